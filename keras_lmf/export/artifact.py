"""What an export returns: one record per written file, and the tables and the plot over them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.files import write_text

REPORT_FILES = ("report.csv", "report.json", "report.md", "report.png")


class Latency(NamedTuple):
    """What one row takes on this machine, in a process of its own for each number of threads.

    Attributes:
        p50, p95: milliseconds on one thread, as repeated calls took them: the median and the 95th percentile.
        p50_two_threads, p95_two_threads: the same on two threads.
        peak_mib: the most memory that such a process held, framework and all; None where the system doesn't tell.
    """

    p50: float
    p95: float
    p50_two_threads: float | None = None
    p95_two_threads: float | None = None
    peak_mib: float | None = None


@dataclass(frozen=True, eq=False)
class Artifact:
    """A written file (or SavedModel folder), judged by running that file.

    Attributes:
        path: where it is; `path` + ".json" is its sidecar.
        format: the export format, for example "tflite".
        bytes: size; for a folder the sum over its files.
        compressed_bytes: the same as DEFLATE (zip, gzip) packs it.
        metrics: every metric of the task on the evaluation split; empty without one.
        table: the evaluation's table with floor and intervals; None without a split.
        difference_max: largest absolute difference to the Keras model's outputs (run on as many rows at a
            time as the file) on the evaluation split's inputs, or on 32 standard-normal rows without one.
        difference_mean: mean absolute difference on the same rows.
        agreement: share of the evaluation split's rows in which the file names the Keras model's class; None
            for a regression or without a split.
        latency: of one row on this machine, with the memory that it takes.
        operators: the ops of a .tflite file with their dtypes, columns operator, activations, weights,
            outputs, count; empty for a SavedModel.
        notes: what else a user of this file must know, for example which ops an int8 file has in float32.
        errors: of a quantised .tflite file the ops that add the largest errors (`comparison.largest_errors`), columns
            operator, scope, error, added; empty for others.
    """

    path: Path
    format: str
    bytes: int
    compressed_bytes: int
    metrics: dict[str, float]
    table: pd.DataFrame | None = field(repr=False)
    difference_max: float
    difference_mean: float
    agreement: float | None
    latency: Latency
    operators: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...]
    errors: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)


class NotAllWritten(LMFError):
    """There is no file of some formats. Those of the others were written, with their report.

    Attributes:
        artifacts: of the files that were written.
        problems: format → why there is no such file.
    """

    def __init__(self, artifacts: Sequence[Artifact], problems: Mapping[str, str]) -> None:
        self.artifacts, self.problems = list(artifacts), dict(problems)
        formats: dict[str, list[str]] = {}
        for name, why in problems.items():
            formats.setdefault(why, []).append(name)
        super().__init__("\n".join(f"No {', '.join(names)} file: {why}" for why, names in formats.items()))


def report(artifacts: Sequence[Artifact]) -> pd.DataFrame:
    """One row per artifact, as numbers.

    Columns: file, format, bytes, compressed_bytes, every metric, difference_max, difference_mean, agreement (of
    classes), and the fields of `Latency`: latency_p50, latency_p95, … (milliseconds), peak_mib.
    """
    return pd.DataFrame([_numbers(artifact) for artifact in artifacts])


def summary(artifacts: Sequence[Artifact]) -> pd.DataFrame:
    """One column per file, as text to read: metrics, under their readers' names, with their 95 % bootstrap intervals.

    The last column is the floor: what a constant prediction scores (where the training labels were given).
    """
    columns = {artifact.path.name: _texts(artifact) for artifact in artifacts}
    table = artifacts[0].table if artifacts else None
    names = {} if table is None else {name: metric_name(name) for name in table.index}
    if table is not None and table["floor"].notna().any():
        columns["floor"] = {name: f"{value:.3f}" for name, value in table["floor"].items()}
    return pd.DataFrame(columns).fillna("").rename(index=names)


def interval(row: pd.Series) -> str:
    """A row of an evaluation's table: "0.980 [0.968, 0.990]"."""
    ends = "" if pd.isna(row["low"]) else f" [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['value']:.3f}{ends}"


def write_report(artifacts: Sequence[Artifact], folder: Path) -> None:
    """Write report.csv, report.json, report.md and, where there are metrics, report.png into `folder`.

    report.csv has the columns of `report` and `<metric>_low` and `<metric>_high`; report.json is a list of
    one record per file, with intervals, floors, ops and notes; report.md is for readers.
    """
    rows = []
    for artifact in artifacts:
        bounds = {} if artifact.table is None else artifact.table[["low", "high"]].stack().to_dict()
        rows.append(_numbers(artifact) | {f"{name}_{end}": value for (name, end), value in bounds.items()})
    write_text(folder / "report.csv", pd.DataFrame(rows).to_csv(index=False))
    records = [_record(artifact) for artifact in artifacts]
    text = json.dumps(records, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / "report.json", text + "\n")
    pictured = bool(artifacts) and artifacts[0].table is not None
    write_text(folder / "report.md", _markdown(artifacts, pictured))
    if pictured:
        write_plot(artifacts, folder / "report.png")


def write_plot(artifacts: Sequence[Artifact], path: Path) -> None:
    """The headline metric of every file against its bytes and its latency, as a picture."""
    from keras_lmf.evaluation import file_plots, plots
    from keras_lmf.evaluation.protocols import ERRORS

    metric = artifacts[0].table.index[0]
    figure = file_plots.metric_against_cost(
        [artifact.format for artifact in artifacts],
        pd.DataFrame([artifact.table.loc[metric] for artifact in artifacts]),
        [artifact.bytes for artifact in artifacts],
        [artifact.latency.p50 for artifact in artifacts],
        metric_name(metric),
        error=metric in ERRORS,
        apart="saved_model",
    )
    plots.save(figure, path)


def _numbers(artifact: Artifact) -> dict[str, Any]:
    agreement = {} if artifact.agreement is None else {"agreement": artifact.agreement}
    milliseconds = _milliseconds(artifact)
    return {
        "file": artifact.path.name,
        "format": artifact.format,
        "bytes": artifact.bytes,
        "compressed_bytes": artifact.compressed_bytes,
        **artifact.metrics,
        "difference_max": artifact.difference_max,
        "difference_mean": artifact.difference_mean,
        **agreement,
        **{f"latency_{name}": value for name, value in milliseconds.items()},
        "peak_mib": artifact.latency.peak_mib,
    }


def _milliseconds(artifact: Artifact) -> dict[str, float | None]:
    return {name: value for name, value in artifact.latency._asdict().items() if name != "peak_mib"}


def _texts(artifact: Artifact) -> dict[str, str]:
    texts = {"bytes": f"{artifact.bytes:,}", "compressed bytes": f"{artifact.compressed_bytes:,}"}
    for name, row in () if artifact.table is None else artifact.table.iterrows():
        texts[name] = interval(row)
    if artifact.agreement is not None:
        texts["agreement with Keras"] = f"{artifact.agreement:.1%}"
    texts["largest difference to Keras"] = f"{artifact.difference_max:.1e}"
    texts["mean difference to Keras"] = f"{artifact.difference_mean:.1e}"
    for name, value in _milliseconds(artifact).items():
        percentile, _, threads = name.partition("_")
        words = [f"latency {percentile}", "ms", *([threads.replace("_", " ")] if threads else [])]
        texts[", ".join(words)] = "" if value is None else f"{value:.3g}"
    peak = artifact.latency.peak_mib
    return texts | {"peak memory, MiB": "" if peak is None else f"{peak:.0f}"}


def _record(artifact: Artifact) -> dict[str, Any]:
    """`artifact` in JSON's terms; a number that does not exist is null."""
    table = pd.DataFrame() if artifact.table is None else artifact.table
    return {
        "file": artifact.path.name,
        "format": artifact.format,
        "bytes": artifact.bytes,
        "compressed_bytes": artifact.compressed_bytes,
        "metrics": table.astype(object).where(table.notna(), None).to_dict(orient="index"),
        "difference_max": artifact.difference_max,
        "difference_mean": artifact.difference_mean,
        "agreement": artifact.agreement,
        "latency_ms": _milliseconds(artifact),
        "peak_mib": artifact.latency.peak_mib,
        "operators": artifact.operators.to_dict(orient="records"),
        "errors": artifact.errors.to_dict(orient="records"),
        "notes": list(artifact.notes),
    }


def _markdown(artifacts: Sequence[Artifact], pictured: bool) -> str:
    parts = [
        "Every number is of the written file. Brackets: 95 % bootstrap interval over rows. Latency: one row on the "
        "machine that exported, on one thread where no number is said. Compressed: by DEFLATE, as in a zip.",
        summary(artifacts).to_markdown(disable_numparse=True),
    ]
    if pictured:
        parts.append("![metric against bytes and latency](report.png)")
    for artifact in artifacts:
        if len(artifact.operators):
            parts += [f"## Ops of {artifact.path.name}", artifact.operators.to_markdown(index=False)]
            parts += [f"- {note}" for note in artifact.notes]
        if len(artifact.errors):
            parts += [
                f"Ops of {artifact.path.name} that add the largest errors. Error: root mean square of the difference "
                "to the float32 file, as a share of the numbers'; added: beyond that of the op's inputs.",
                artifact.errors.to_markdown(index=False, floatfmt=".2%"),
            ]
    return "\n\n".join(parts) + "\n"
