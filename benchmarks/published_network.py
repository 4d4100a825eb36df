"""The whole published low-rank network on one row: our .tflite files against PyTorch, on one thread, in one run.

    python benchmarks/published_network.py --csv benchmarks/results/published_network.csv

Liu et al. 2018 with the same random weights everywhere: audio 5, video 20, text 20 × 300 through an LSTM of 128 units.
PyTorch runs eager and as a frozen TorchScript, in a process of its own that waits while the files are timed. It needs
the extra `backends`. A file is called twice: by its interpreter (arrays in, invoke, arrays out), and by
`Runtime.predict`, which checks what goes in and comes out. The float32 file must answer what PyTorch answers. The last
row is a file that takes the LSTM's last state in the place of the text: what is left for all the rest.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import pandas as pd
from measurements import CSV, PACKAGES, about, write_csv
from speed.heads import file_step
from speed.processes import conversation
from speed.published import (
    EAGER,
    LOW_RANK,
    LSTM_ALONE,
    RECURRENT_UNITS,
    REFERENCE_RANK,
    SCRIPT,
    SHAPES,
    TARGET,
    example,
    published_arrays,
)
from speed.turns import Step, ratio, take_turns

from keras_lmf.cli.options import plain_errors
from keras_lmf.errors import LMFError, require_extra
from keras_lmf.export import FORMATS, export_model
from keras_lmf.models import load_published
from keras_lmf.runtime import open_artifact

ROWS = 32
REST = "tflite without its LSTM, interpreter"
TOLERANCE = 1e-5  # of a float32 file, times max(1, |answer|)
WEIGHTS = {"tflite": "float32", "tflite-dynamic": "int8"}  # of the files


def published() -> keras.Model:
    """The network for a text of the published length, which a file needs."""
    network = load_published(published_arrays(LOW_RANK, REFERENCE_RANK), target=TARGET)
    inputs = {name: keras.Input(shape, name=name) for name, shape in SHAPES.items()}
    return keras.Model(inputs, network(inputs))


def without_lstm() -> keras.Model:
    """The network behind the LSTM: {audio, video, text: the last state} → {target}."""
    network = load_published(published_arrays(LOW_RANK, REFERENCE_RANK), target=TARGET)
    shapes = SHAPES | {"text": (RECURRENT_UNITS,)}
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    layers = {name: network.get_layer(f"{name}_backbone") for name in inputs}
    layers["text"] = layers["text"].get_layer("linear_1")
    fused = network.get_layer(TARGET)({name: layer(inputs[name]) for name, layer in layers.items()})
    return keras.Model(inputs, {TARGET: fused})


def files(model: keras.Model, folder: Path, formats: Sequence[str]) -> dict[str, Path]:
    """The model's files by format."""
    return {artifact.format: artifact.path for artifact in export_model(model, folder, formats)}


def difference(path: Path, expected: np.ndarray) -> float:
    """The largest difference of a file's answers from PyTorch's, over `ROWS` rows.

    Raises:
        LMFError: a float32 file whose difference is above `TOLERANCE`.
    """
    inputs, _ = example(ROWS)
    apart = np.abs(open_artifact(path).predict(inputs)[TARGET][:, 0] - expected)
    if path.name == FORMATS["tflite"].file and (apart > TOLERANCE * np.maximum(1, np.abs(expected))).any():
        raise LMFError(f"The float32 file differs from PyTorch by {apart.max():.2g}; nothing was measured.")
    return float(apart.max())


def ours(folder: Path, expected: np.ndarray) -> tuple[dict[str, Step], dict[str, dict[str, Any]]]:
    """Our programs, and what else their rows tell.

    Args:
        folder: for the files.
        expected: PyTorch's answers to `ROWS` rows.
    """
    row = example(1)[0]
    steps: dict[str, Step] = {}
    told: dict[str, dict[str, Any]] = {}
    for key, path in files(published(), folder, list(WEIGHTS)).items():
        about_file = {
            "weights": WEIGHTS[key],
            "difference": difference(path, expected),
            "bytes": path.stat().st_size,
        }
        steps[f"{key}, interpreter"] = file_step(path.read_bytes(), row)
        steps[f"{key}, Runtime.predict"] = functools.partial(open_artifact(path).predict, row)
        told |= {f"{key}, {call}": about_file for call in ("interpreter", "Runtime.predict")}
    path = files(without_lstm(), folder / "rest", ["tflite"])["tflite"]
    state = np.random.default_rng(0).uniform(-1, 1, (1, RECURRENT_UNITS)).astype("float32")
    steps[REST] = file_step(path.read_bytes(), row | {"text": state})
    told[REST] = {"weights": "float32", "bytes": path.stat().st_size}
    return steps, told


def measure(**turns: Any) -> pd.DataFrame:
    """A row per program. `times_eager` and `times_script`: PyTorch's CPU time over the program's, median of the turns.

    Args:
        turns: `repeats` and `seconds` of `take_turns`.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        conversation("PyTorch", "speed.torch_inference", ROWS) as ask,
    ):
        answers = {name: np.array(values) for name, values in ask().items()}
        steps, told = ours(Path(folder), answers[EAGER])
        theirs = {name: lambda count, name=name: ask([name, count]) for name in (EAGER, SCRIPT, LSTM_ALONE)}
        times = take_turns(steps, elsewhere=theirs, **turns)
    far = {name: float(np.abs(values - answers[EAGER]).max()) for name, values in answers.items()}
    told |= {name: {"weights": "float32", "difference": far.get(name)} for name in theirs}
    rows = []
    for name in (*theirs, *steps):
        against = ratio(times["cpu"], EAGER, name)
        rows.append(
            {"program": name, "cpu_ms": times["cpu"][name].median(), "wall_ms": times["wall"][name].median()}
            | {column.replace("ratio", "times_eager"): value for column, value in against.items()}
            | {"times_script": ratio(times["cpu"], SCRIPT, name)["ratio"]}
            | told[name]
        )
    return pd.DataFrame(rows)


@click.command(help=__doc__)
@click.option("--repeats", default=31, show_default=True, type=click.IntRange(1), help="Turns each.")
@click.option(
    "--seconds", default=0.05, show_default=True, type=click.FloatRange(0), help="Length of a turn."
)
@CSV
@plain_errors
def main(csv: Path | None, **turns: Any) -> None:
    require_extra("torch", "backends")
    table = measure(**turns)
    click.echo(table.to_string(index=False, float_format="{:.4g}".format))
    write_csv(table.assign(**about((*PACKAGES, "torch"))), csv)


if __name__ == "__main__":
    main()
