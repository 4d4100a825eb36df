"""Milliseconds, memory and compressed bytes of every file of the zoo, one after the other, in one run.

    python benchmarks/latencies.py && keras-lmf render

Run it where nothing else runs: cards compare only what was measured in one run on a quiet machine. It takes about
twenty minutes, most of which go into writing the files that are not shipped. p50 and p95 of one row on one thread and
on two, the peak memory of the process and the compressed bytes go into the `costs` of each entry.json, from which
`render` draws. Nothing is written before all is measured.
"""

from __future__ import annotations

import os
from pathlib import Path

import click
from tqdm import tqdm

from keras_lmf.locate import ENTRY, folders_with
from keras_lmf.measurement import processor
from keras_lmf.publishing.costs import timed
from keras_lmf.zoo import Entry

ZOO = Path(__file__).parents[1] / "zoo"


@click.command(help=__doc__)
@click.option(
    "--zoo", type=click.Path(path_type=Path), default=ZOO, help="A folder of entries; default the zoo."
)
def main(zoo: Path) -> None:
    folders = list(folders_with(ENTRY, zoo).values())
    click.echo(f"On {processor()}. Load before: {_load()}")
    costs = {folder: timed(folder) for folder in tqdm(folders, desc="measuring", unit="entry", disable=None)}
    click.echo(f"Load after: {_load()}. Much more than 1 means that others worked: run it again later.")
    for folder, found in costs.items():
        entry = Entry.read(folder).model_copy(update={"costs": found})
        entry.write(folder)
        for key, cost in found.items():
            click.echo(f"{folder.name} {key}: {cost.latency_p50_ms:.3g} ms")


def _load() -> str:
    return f"{os.getloadavg()[0]:.2f} processes"


if __name__ == "__main__":
    main()
