"""quickstart and benchmark."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_lmf.cli.options import JSON, names_of_entries, numbers, plain_errors

if TYPE_CHECKING:
    import pandas as pd


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
    """The main job in miniature: write synthetic clips, train on voice and face, export, ask a .tflite about a clip;
    then train three fusions on synthetic features, export the best and measure the files. An interrupted call goes
    on when it is given again.
    """
    from keras_lmf import quickstart as story

    story.quickstart(folder, click.echo)


@click.command(epilog="Example: keras-lmf benchmark lmf-media-av")
@click.argument("model", shell_complete=names_of_entries)
@click.option("--threads", default="1,2", show_default=True, help="Numbers of threads, separated by commas.")
@JSON
@plain_errors
def benchmark(model: str, threads: str, as_json: bool) -> None:
    """Size, time and memory of MODEL's formats on this machine: a zoo entry, a run's folder, a .tflite file or the
    folder of a SavedModel.

    One row per format: bytes; milliseconds for one row of input, median (p50) and 95th percentile, by number of
    threads; and peak memory. Each is measured in a process of its own, on the processor alone. A SavedModel with ops
    that could touch files, processes or Python is refused before it is loaded.
    """
    from keras_lmf.measurement import measure, processor

    table = measure(model, numbers("--threads", threads))
    if as_json:
        formats = json.loads(table.to_json(orient="records"))
        click.echo(json.dumps({"machine": processor(), "formats": formats}, indent=1))
        return
    click.echo(f"On {processor()}:\n{_told(table)}")


def _told(measured: pd.DataFrame) -> str:
    """A line for each format, and what its columns mean."""
    from keras_lmf.cli.tables import Column, paragraph, table

    counts = [name.removeprefix("p50_ms_") for name in measured if name.startswith("p50_ms_")]
    rows = [
        (
            row["format"],
            f"{row['bytes']:,}",
            *(f"{row[f'p50_ms_{count}']:.3g} / {row[f'p95_ms_{count}']:.3g}" for count in counts),
            "" if math.isnan(row["peak_mib"]) else f"{row['peak_mib']:.0f}",
            row["file"],
        )
        for row in measured.to_dict("records")
    ]
    columns = [
        Column("format"),
        Column("bytes", right=True),
        *(
            Column(f"ms, {count.replace('_', ' ')}", right=True, spare=place > 0)
            for place, count in enumerate(counts)
        ),
        Column("MiB", right=True),
        Column("file", spare=True),
    ]
    words = "ms: median / 95th percentile for one row. MiB: the most memory that the process held, framework and all."
    return f"{table(rows, columns)}\n\n{paragraph(words)}"
