"""Recurrent layers that give all their steps, as .tflite files: export's against TensorFlow's converter left to itself.

    python benchmarks/loops.py --csv benchmarks/results/loops.csv

Masked layers of three sizes, with random weights, and the mean of their steps; float32, on one thread. Both files must
answer what Keras answers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import pandas as pd
import tensorflow
from measurements import CSV, about, write_csv
from speed.heads import file_step
from speed.turns import ratio, take_turns
from tqdm import tqdm

from keras_lmf.errors import LMFError
from keras_lmf.export.source import source_of
from keras_lmf.export.tflite import float32_file
from keras_lmf.runtime import open_artifact

SIZES = ((20, 43, 64), (20, 300, 128), (300, 40, 64))  # steps, width, units
LAYERS = {"GRU": keras.layers.GRU, "LSTM": keras.layers.LSTM}
TOLERANCE = 1e-5
OURS, THEIRS = "export", "TensorFlow's converter"


def network(kind: str, steps: int, width: int, units: int) -> keras.Model:
    inputs = keras.Input((steps, width), name="features")
    hidden = LAYERS[kind](units, return_sequences=True)(keras.layers.Masking()(inputs))
    return keras.Model({"features": inputs}, {"answer": keras.layers.GlobalAveragePooling1D()(hidden)})


def measure(kind: str, size: tuple[int, int, int], **turns: Any) -> dict[str, Any]:
    """One layer: bytes and milliseconds of both files, and how many times as fast ours is.

    Raises:
        LMFError: a file that answers something else than Keras.
    """
    keras.utils.set_random_seed(0)
    model = network(kind, *size)
    with tempfile.TemporaryDirectory() as scratch:
        source = source_of(model, None, 600, Path(scratch))
        files = {OURS: float32_file(source), THEIRS: Path(scratch, "theirs.tflite")}
        source.save(saved := Path(scratch, "saved"), batch=1)
        converter = tensorflow.lite.TFLiteConverter.from_saved_model(str(saved))
        files[THEIRS].write_bytes(converter.convert())
        expected = source.keras_outputs(1)["answer"]
        row = {name: values[:1] for name, values in source.inputs.items()}
        for name, file in files.items():
            far = np.abs(open_artifact(file).predict(source.inputs)["answer"] - expected).max()
            if far > TOLERANCE:
                raise LMFError(f"The file of {name} differs from Keras by {far:.2g}: {kind} {size}.")
        content = {name: file.read_bytes() for name, file in files.items()}
    times = take_turns({name: file_step(data, row) for name, data in content.items()}, **turns)
    faster = ratio(times["cpu"], THEIRS, OURS)
    return {
        "layer": kind,
        **dict(zip(("steps", "width", "units"), size)),
        **{f"bytes, {name}": len(data) for name, data in content.items()},
        **{f"ms, {name}": times["cpu"][name].median() for name in content},
        **{key.replace("ratio", "times_faster"): value for key, value in faster.items()},
    }


@click.command(help=__doc__)
@click.option("--repeats", default=15, show_default=True, type=click.IntRange(1), help="Turns each.")
@click.option(
    "--seconds", default=0.05, show_default=True, type=click.FloatRange(0), help="Length of a turn."
)
@CSV
def main(csv: Path | None, **turns: Any) -> None:
    cases = [(kind, size) for kind in LAYERS for size in SIZES]
    table = pd.DataFrame(
        [measure(*case, **turns) for case in tqdm(cases, desc="measuring", unit="layer", disable=None)]
    )
    click.echo(table.to_string(index=False, float_format="{:.4g}".format))
    write_csv(table.assign(**about()), csv)


if __name__ == "__main__":
    main()
