"""quickstart and benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from keras_lmf.cli.options import JSON, plain_errors, words


@click.command(epilog="Example: keras-lmf quickstart --folder /tmp/quickstart")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("keras-lmf-quickstart"),
    show_default=True,
    help="For clips, runs, files and reports.",
)
@plain_errors
def quickstart(folder: Path) -> None:
    """The main job in miniature: write synthetic clips, train on their sound, export, ask a .tflite file about a clip;
    then train three fusions on synthetic features, export the best and measure the files. An interrupted call goes
    on when it is given again.
    """
    from keras_lmf import quickstart as story

    story.quickstart(folder, click.echo)


@click.command(epilog="Example: keras-lmf benchmark --folder speed")
@click.option("--batches", default="1,32,256", show_default=True, help="Batch sizes, separated by commas.")
@click.option(
    "--ranks", default="1,4,8,16", show_default=True, help="Of low-rank fusion, separated by commas."
)
@click.option("--repeats", default=15, show_default=True, type=click.IntRange(1), help="Turns each.")
@click.option(
    "--seconds", default=0.05, show_default=True, type=click.FloatRange(0), help="Length of a turn."
)
@click.option("--against", help="torch: the published networks in PyTorch, in the same run.")
@click.option("--folder", type=click.Path(path_type=Path), help="Write tables and pictures here as well.")
@JSON
@plain_errors
def benchmark(batches: str, ranks: str, folder: Path | None, as_json: bool, **options: Any) -> None:
    """Speed and memory of tensor fusion and low-rank fusion, as ratios in one run on one thread of this machine."""
    from keras_lmf.benchmarking import benchmark as measured

    report = measured(batches=_numbers("--batches", batches), ranks=_numbers("--ranks", ranks), **options)
    click.echo(report.to_json() if as_json else report)
    if folder is not None:
        click.echo(f"\nTables and pictures: {report.save(folder)}", err=True)


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(word) for word in words(text)]
    except ValueError:
        raise click.UsageError(
            f"{option} takes whole numbers separated by commas, received {text!r}"
        ) from None
