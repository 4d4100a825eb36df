"""LSTMs in .tflite files: TensorFlow Lite's own op against the converter's loop, float32 and dynamic int8.

    python benchmarks/lstm_files.py --csv benchmarks/results/lstm_files.csv

Each model is one LSTM and a dense layer, without a mask, written twice from the same weights. The files of a model take
turns in one process, on one thread; "milliseconds" is the median of a call, "loop_milliseconds" that of the loop in the
same turns, "faster" their ratio. "difference" is the largest one to Keras on 8 rows.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import click
import keras
import numpy as np
import pandas as pd
from measurements import CSV, write_csv

from keras_lmf import export_model
from keras_lmf.runtime import open_artifact

# (steps, width, units): a long spectrogram, twice; the text of the published LMF network.
SHAPES = ((300, 40, 256), (300, 40, 64), (20, 300, 128))
FORMATS = ("tflite", "tflite-dynamic")
TURNS, CALLS = 15, 5


def model_of(steps: int, width: int, units: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((steps, width), name="voice")
    answer = keras.layers.Dense(2, name="mood")(keras.layers.LSTM(units)(inputs))
    return keras.Model({"voice": inputs}, {"mood": answer}, name="lstm")


@contextlib.contextmanager
def as_loops() -> Iterator[None]:
    with mock.patch("keras_lmf.export.source.as_one_op", return_value=contextlib.nullcontext()):
        yield


def milliseconds(files: dict[str, Path], row: dict[str, np.ndarray]) -> dict[str, float]:
    """The median of a call of each, taken in turns."""
    runtimes = {name: open_artifact(path) for name, path in files.items()}
    taken: dict[str, list[float]] = {name: [] for name in files}
    for runtime in runtimes.values():
        runtime.predict(row)
    for _ in range(TURNS):
        for name, runtime in runtimes.items():
            for _ in range(CALLS):
                start = time.perf_counter()
                runtime.predict(row)
                taken[name].append(1000 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in taken.items()}


@click.command(help=__doc__)
@CSV
def main(csv: Path | None) -> None:
    rows = []
    for shape in SHAPES:
        model, (steps, width, units) = model_of(*shape), shape
        inputs = {"voice": np.random.default_rng(0).standard_normal((8, steps, width)).astype("float32")}
        expected = model.predict(inputs, verbose=0)["mood"]
        with tempfile.TemporaryDirectory() as folder:
            ours = export_model(model, Path(folder, "ours"), FORMATS)
            with as_loops():
                loops = export_model(model, Path(folder, "loops"), FORMATS)
            for one, loop in zip(ours, loops):
                row = {"voice": inputs["voice"][:1]}
                took = milliseconds({"op": one.path, "loop": loop.path}, row)
                difference = np.abs(open_artifact(one.path).predict(inputs)["mood"] - expected).max()
                facts = {"steps": steps, "width": width, "units": units, "format": one.format}
                facts |= {"milliseconds": took["op"], "loop_milliseconds": took["loop"]}
                facts |= {"faster": took["loop"] / took["op"], "bytes": one.bytes, "loop_bytes": loop.bytes}
                rows.append(facts | {"smaller": one.bytes / loop.bytes, "difference": difference})
    table = pd.DataFrame(rows).round({"milliseconds": 3, "loop_milliseconds": 3, "faster": 2, "smaller": 3})
    write_csv(table, csv)
    click.echo(table.to_string(index=False))


if __name__ == "__main__":
    main()
