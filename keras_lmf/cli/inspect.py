"""inspect: what a model takes, gives and costs by its own account."""

from __future__ import annotations

import json

import click

from keras_lmf.cli.options import JSON, plain_errors


@click.command(epilog="Example: keras-lmf inspect exported/model.tflite")
@click.argument("artifact", metavar="FILE")
@JSON
@plain_errors
def inspect(artifact: str, as_json: bool) -> None:
    """What FILE takes and gives: inputs, labels, temperature, licences, versions; and its ops and memory.

    FILE is a .tflite or .onnx file, the folder of a SavedModel or of a training run, or a zoo entry.
    """
    from keras_lmf import inspection

    found = inspection.inspect(artifact)
    click.echo(
        json.dumps(found, indent=1, ensure_ascii=False) if as_json else inspection.text(artifact, found)
    )
