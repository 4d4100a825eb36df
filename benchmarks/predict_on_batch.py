"""How many times faster a TFLite file answers one row of features than `predict_on_batch` of its Keras model.

    python benchmarks/predict_on_batch.py --csv benchmarks/results/predict_on_batch.csv

Every entry whose inputs are features, not recordings: the Keras model, compiled, and the entry's shipped files, each in
a process of its own on one thread, one after the other. Run it where nothing else runs; it takes about three minutes.
"""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd
from measurements import CSV, about, write_csv
from tqdm import tqdm

from keras_lmf.locate import ENTRY, folders_with
from keras_lmf.measurement import KERAS, measure
from keras_lmf.zoo import Entry

ZOO = Path(__file__).parents[1] / "zoo"


def rows(name: str, times: pd.DataFrame) -> list[dict[str, object]]:
    """A row per file, from the table that `measure` gives."""
    milliseconds = times.set_index("format")["p50_ms_1_thread"]
    return [
        {"entry": name, "format": key, "keras_ms": milliseconds[KERAS], "file_ms": once}
        | {"times_faster": milliseconds[KERAS] / once}
        for key, once in milliseconds.drop(KERAS).items()
    ]


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@CSV
def main(names: tuple[str, ...], csv: Path | None) -> None:
    of_features = [
        name for name, folder in folders_with(ENTRY, ZOO).items() if not Entry.read(folder).spec.media
    ]
    found = []
    for name in tqdm(names or of_features, desc="measuring", unit="entry", disable=None):
        found += rows(name, measure(ZOO / name, [1]))
    table = pd.DataFrame(found)
    click.echo(table.to_string(index=False, float_format="{:.4g}".format))
    write_csv(table.assign(**about()), csv)


if __name__ == "__main__":
    main()
