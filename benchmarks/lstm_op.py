"""LSTM and GRU in .tflite files: Keras's loop, this package's loop, and TensorFlow Lite's LSTM op.

    python benchmarks/lstm_op.py --csv benchmarks/results/lstm_op.csv

Single layers with random weights, and entries of the zoo. Keras's loop is as the converter and the quantiser write it,
the others as an export does, without metadata. Of each way a file with float32 and one with int8 weights: bytes,
milliseconds of the processor for one row (median and lower quartile of interleaved calls on one thread, three before
not counted), and the largest difference to Keras. The op is for single LSTMs alone. The table is written case by case.
About eight minutes on a free core.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest import mock

import click
import keras
import numpy as np
import pandas as pd
import sequence_lstm
from ai_edge_litert.interpreter import Interpreter
from measurements import CSV, about, write_csv
from tqdm import tqdm

import keras_lmf as klmf
from keras_lmf.export import loops, tflite
from keras_lmf.export.compact import with_short_names, without_names
from keras_lmf.export.convert import convert
from keras_lmf.export.source import Source, source_of

KERAS, OURS, OP = "Keras's loop", "loop in blocks", "LSTM op"
ENTRIES = ("ge2e-emodb-voice", "ge2e-ravdess-voice", "lmf-pom-av", "lmf-steps-pom-av", "mult-pom-av")
FORMATS: dict[str, Callable[[Source, Path], None]] = {
    "float32": tflite.write_tflite,
    "float16": tflite.write_float16,
    "dynamic": tflite.write_dynamic,
}
SEED = 0


def layers() -> dict[str, tuple[tuple[int, int], keras.layers.Layer]]:
    """By name, (steps, width) and the layer."""
    lstm, gru, both = keras.layers.LSTM, keras.layers.GRU, keras.layers.Bidirectional
    return {
        "300 × 40 → 256, all states": ((300, 40), lstm(256, return_sequences=True)),
        "300 × 256 → 256, all states": ((300, 256), lstm(256, return_sequences=True)),
        "300 × 40 → 256, last state": ((300, 40), lstm(256)),
        "300 × 40 → 64 in each direction": ((300, 40), both(lstm(64, return_sequences=True))),
        "20 × 300 → 128, last state": ((20, 300), lstm(128)),
        "GRU, 300 × 40 → 64, all states": ((300, 40), gru(64, return_sequences=True)),
    }


def model_of(shape: tuple[int, int], layer: keras.layers.Layer) -> keras.Model:
    inputs = keras.Input(shape, name="x")
    model = keras.Model({"x": inputs}, {"y": layer(inputs)}, name="layer")
    random = np.random.default_rng(SEED)
    model.set_weights([random.normal(0, len(part) ** -0.5, part.shape) for part in model.get_weights()])
    return model


@contextlib.contextmanager
def keras_loops() -> Iterator[None]:
    """Within it, files have Keras's loops."""
    with mock.patch.object(loops, "in_blocks", side_effect=contextlib.nullcontext):
        yield


def converted_here() -> contextlib.AbstractContextManager:
    """The same conversion, in this process: another takes seconds to start."""
    return mock.patch.object(tflite, "_convert", lambda _, saved, path: path.write_bytes(convert(str(saved))))


def files_of(model: keras.Model, formats: tuple[str, ...]) -> tuple[dict[tuple[str, str], bytes], Source]:
    """By way and format; and what the model was asked."""
    found = {}
    for way, loop in ((KERAS, keras_loops), (OURS, contextlib.nullcontext)):
        with tempfile.TemporaryDirectory() as scratch, converted_here(), loop():
            source = source_of(model, None, 600, Path(scratch))
            for name in formats:
                FORMATS[name](source, file := Path(scratch, "model.tflite"))
                found[way, name] = file.read_bytes() if way == KERAS else as_exported(file.read_bytes(), name)
    return found, source


def as_exported(content: bytes, name: str) -> bytes:
    return with_short_names(content) if name == "float32" else without_names(content)


class File:
    """A file on one thread."""

    def __init__(self, content: bytes) -> None:
        self.interpreter = Interpreter(model_content=content, num_threads=1)
        self.runner = self.interpreter.get_signature_runner()

    def __call__(self, row: Mapping[str, np.ndarray]) -> tuple[np.ndarray, float]:
        """All answers, and the milliseconds of this thread."""
        start = time.thread_time()
        found = self.runner(**row)
        once = 1000 * (time.thread_time() - start)
        return np.concatenate([values.ravel() for values in found.values()]), once


def rows(
    case: str, files: dict[tuple[str, str], bytes], source: Source, repeats: int
) -> list[dict[str, object]]:
    """A row per file."""
    taken = [{name: values[i : i + 1] for name, values in source.inputs.items()} for i in range(2)]
    expected = [source.model.predict_on_batch(row) for row in taken]
    running = {key: File(content) for key, content in files.items()}
    differences = dict.fromkeys(files, 0.0)
    # The first row twice: the second clip must leave nothing behind.
    for i in (0, 1, 0):
        for key, file in running.items():
            found, _ = file(taken[i])
            wanted = np.concatenate([expected[i][name].ravel() for name in sorted(expected[i])])
            differences[key] = max(differences[key], float(np.abs(found - wanted).max()))
    times = {key: [] for key in files}
    for _ in range(repeats):
        for key, file in running.items():
            times[key].append(file(taken[0])[1])
    return [
        {
            "case": case,
            "format": key[1],
            "file": key[0],
            "bytes": len(files[key]),
            "ms": float(np.median(times[key])),
        }
        | {"ms_quarter": float(np.quantile(times[key], 0.25)), "difference": differences[key]}
        for key in sorted(files, key=lambda key: (key[1] != "float32", key[1]))
    ]


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@click.option("--repeats", default=9, show_default=True, help="Calls of each file.")
@click.option("--layers/--no-layers", "single", default=True, help="Single layers as well.")
@CSV
def main(names: tuple[str, ...], repeats: int, single: bool, csv: Path | None) -> None:
    found = []
    for name, (shape, layer) in tqdm(layers().items() if single else (), desc="layers", disable=None):
        files, source = files_of(model_of(shape, layer), ("float32", "dynamic"))
        if not isinstance(layer, keras.layers.GRU):
            files |= {(OP, "float32"): as_exported(sequence_lstm.written(layer, shape), "float32")}
            files |= {(OP, "dynamic"): as_exported(sequence_lstm.written(layer, shape, int8=True), "dynamic")}
        found += rows(name, files, source, repeats)
        write_csv(pd.DataFrame(found).assign(**about()), csv)
    for name in tqdm(names or ENTRIES, desc="entries", disable=None):
        files, source = files_of(klmf.load(name), tuple(FORMATS))
        found += rows(name, files, source, repeats)
        write_csv(pd.DataFrame(found).assign(**about()), csv)
    click.echo(pd.DataFrame(found).to_string(index=False, float_format="{:.4g}".format))


if __name__ == "__main__":
    main()
