"""What an export returns: one record per written file, and the table over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from keras_lmf.files import write_text

REPORT_FILES = ("report.csv", "report.json", "report.md")


@dataclass(frozen=True, eq=False)
class Artifact:
    """A written file (or SavedModel folder), judged by running that file.

    Attributes:
        path: where it is.
        format: the export format, for example "tflite".
        bytes: size; for a folder the sum over its files.
        metrics: every metric of the task on the evaluation split; empty without one.
        table: the evaluation's table with floor and intervals; None without a split.
        difference_max: largest absolute difference to the Keras model's outputs (run on as many rows at a
            time as the file) on the evaluation split's inputs, or on 32 standard-normal rows without one.
        difference_mean: mean absolute difference on the same rows.
    """

    path: Path
    format: str
    bytes: int
    metrics: dict[str, float]
    table: pd.DataFrame | None = field(repr=False)
    difference_max: float
    difference_mean: float


def report(artifacts: Sequence[Artifact]) -> pd.DataFrame:
    """One row per artifact: file, format, bytes, every metric, difference_max, difference_mean."""
    return pd.DataFrame(
        [
            {
                "file": artifact.path.name,
                "format": artifact.format,
                "bytes": artifact.bytes,
                **artifact.metrics,
                "difference_max": artifact.difference_max,
                "difference_mean": artifact.difference_mean,
            }
            for artifact in artifacts
        ]
    )


def write_report(artifacts: Sequence[Artifact], folder: Path) -> None:
    """`report` as report.csv, report.json (a list of records) and report.md in `folder`."""
    table = report(artifacts)
    write_text(folder / "report.csv", table.to_csv(index=False))
    write_text(folder / "report.json", table.to_json(orient="records", indent=2, double_precision=15) + "\n")
    write_text(folder / "report.md", table.to_markdown(index=False, floatfmt=".4g") + "\n")
