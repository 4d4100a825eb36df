"""What an entry is filled with: records of files, metrics of a report, shapes of weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from keras_lmf.errors import LMFError
from keras_lmf.zoo.records import File, Metric, sha256_of

if TYPE_CHECKING:
    import keras
    import pandas as pd


def file_records(folder: str | Path, names: Mapping[str, str]) -> dict[str, File]:
    """The `files` of an entry from what lies in its folder.

    Args:
        folder: the entry's.
        names: key → file name, for example {"weights": "model.weights.h5", "tflite": "model.tflite"}.
    """
    records = {}
    for key, name in names.items():
        path = Path(folder) / name
        if not path.is_file():
            raise LMFError(f"There is no file {path} for {key!r}.")
        records[key] = File(name=name, sha256=sha256_of(path), bytes=path.stat().st_size)
    return records


def metric_block(table: pd.DataFrame) -> dict[str, Metric]:
    """The metrics of one file from `Report.table`; an interval or a floor that is NaN there is left out."""
    rows = table[["value", "low", "high", "floor"]].astype(float).to_dict(orient="index")
    return {
        str(name): Metric(**{field: number for field, number in row.items() if not math.isnan(number)})
        for name, row in rows.items()
    }


def weight_shapes(model: keras.Model) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """(path, shape) of every weight of the model, in order: the `weights` of an entry."""
    return tuple((weight.path, tuple(int(width) for width in weight.shape)) for weight in model.weights)
