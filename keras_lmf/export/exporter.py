"""export_model: a Keras model to files, each judged by running the file that was written."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from tqdm import tqdm

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.evaluation import Report, evaluate
from keras_lmf.export.artifact import REPORT_FILES, Artifact, write_report
from keras_lmf.export.saved_model import write_saved_model
from keras_lmf.export.source import Source, require_finite, source_of
from keras_lmf.export.tflite import write_tflite
from keras_lmf.runtime import ROWS_PER_BATCH, open_artifact

if TYPE_CHECKING:
    from keras_lmf.data.dataset import Split


class Format(NamedTuple):
    """An export format.

    Attributes:
        file: name of the file or folder that it writes.
        write: writes it.
        batch: rows at a time that the runtime gives to it.
        float32: whether it keeps the model's float32 numbers.
    """

    file: str
    write: Callable[[Source, Path], None]
    batch: int
    float32: bool


FORMATS: dict[str, Format] = {
    "saved_model": Format("saved_model", write_saved_model, batch=ROWS_PER_BATCH, float32=True),
    "tflite": Format("model.tflite", write_tflite, batch=1, float32=True),
}


def export_model(
    model: keras.Model,
    folder: str | Path,
    formats: Sequence[str] = ("saved_model", "tflite"),
    *,
    evaluation: Split | None = None,
    train_labels: np.ndarray | None = None,
    tolerance: float = 1e-5,
    timeout_seconds: float = 600,
    resamples: int = 1000,
) -> list[Artifact]:
    """Write `model` to `folder` in each format, run every written file, and report what each one costs.

    A file gets its final name only after it ran, gave finite numbers and, for float32 formats, agreed with
    the Keras model. `folder` also receives report.csv, report.json and report.md.

    Args:
        model: functional, a dict of modalities in and a dict of targets out, on the TensorFlow backend.
        folder: made when it isn't there; files of the same name are replaced.
        formats: names of formats. "saved_model": the folder `saved_model`, signature `serving_default`, any
            number of rows. "tflite": `model.tflite`, float32, one row, builtin ops only.
        evaluation: the split on which every file is run and measured. None: no metrics, and the comparison
            with the Keras model uses 32 standard-normal rows.
        train_labels: labels of the training split, for the floor in `Artifact.table`; None: no floor.
        tolerance: a float32 file must keep |Δ| ≤ tolerance · max(1, |y|) for every output y of the Keras
            model, run on as many rows at a time as the file. 1e-5 is for feature models; take 1e-4 for
            models that start from a waveform.
        timeout_seconds: how long one conversion may take.
        resamples: bootstrap resamples behind the intervals in `Artifact.table`.

    Returns:
        One Artifact per format, in the order of `formats`.

    Raises:
        LMFError: unknown format; another backend; a model without dicts; a split that doesn't fit; a model
            that needs ops outside TensorFlow Lite's builtins; a failed, crashed or overlong conversion; a
            file whose outputs aren't finite or differ too much. That file is then not kept; one that an
            earlier export left under its name stays as it was.
    """
    if isinstance(formats, str):
        raise LMFError(f"'formats' takes a list of names, received {formats!r}. Write formats=[{formats!r}].")
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("export format", name, FORMATS)
    if keras.backend.backend() != "tensorflow":
        raise LMFError(
            f"Export needs Keras on the TensorFlow backend, received {keras.backend.backend()!r}. "
            f"Weights fit every backend: start again with\n  KERAS_BACKEND=tensorflow keras-lmf export …"
        )
    source = source_of(model, evaluation, timeout_seconds)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # A report must never describe files that have been replaced since.
    for name in REPORT_FILES:
        (folder / name).unlink(missing_ok=True)
    names = tqdm(dict.fromkeys(formats), desc="export", unit="file", leave=False, disable=None)
    judge = functools.partial(evaluate, split=evaluation, train_labels=train_labels, resamples=resamples)
    artifacts = [
        _export(name, source, folder, judge if evaluation is not None else None, tolerance) for name in names
    ]
    write_report(artifacts, folder)
    return artifacts


def _export(
    name: str, source: Source, folder: Path, judge: Callable[[Any], Report] | None, tolerance: float
) -> Artifact:
    """Write one format beside its final place, judge it by running it, and move it there."""
    file, write, batch, float32 = FORMATS[name]
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as scratch:
        written = Path(scratch) / file
        write(source, written)
        outputs = open_artifact(written).predict(source.inputs)
        label = f"The {name} file of model {source.model.name!r}"
        require_finite(outputs, label)
        expected = source.keras_outputs(batch)
        differences = _differences(outputs, expected, label, tolerance if float32 else np.inf)
        judged = judge(outputs) if judge else None
        size = _size(written)
        _move(written, folder / file, Path(scratch))
    return Artifact(
        path=folder / file,
        format=name,
        bytes=size,
        metrics=dict(judged.metrics) if judged else {},
        table=judged.table if judged else None,
        difference_max=float(differences.max()),
        difference_mean=float(differences.mean()),
    )


def _differences(
    outputs: dict[str, np.ndarray], expected: dict[str, np.ndarray], label: str, tolerance: float
) -> np.ndarray:
    """|file − Keras| of all outputs in one vector; an error where one exceeds the tolerance."""
    if outputs.keys() != expected.keys():
        raise LMFError(
            f"{label} names its outputs {', '.join(sorted(outputs))}; the model's are "
            f"{', '.join(sorted(expected))}."
        )
    differences = []
    for target, values in expected.items():
        difference = np.abs(outputs[target] - values)
        relative = difference / np.maximum(1, np.abs(values))
        if relative.max() > tolerance:
            row = int(np.unravel_index(relative.argmax(), relative.shape)[0])
            raise LMFError(
                f"{label} differs from the Keras model: output {target!r}, row {row}, by "
                f"{relative.max():.2g} · max(1, |y|), allowed {tolerance:g}. It was not kept. Call "
                f"export_model(…, tolerance=…) if that is good enough."
            )
        differences.append(difference.ravel())
    return np.concatenate(differences)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file()]
    return sum(part.stat().st_size for part in files)


def _move(written: Path, final: Path, scratch: Path) -> None:
    """Give `written` its final name; what had that name before goes to `scratch`, to be deleted with it."""
    if written.is_file():
        with written.open("rb+") as stream:
            os.fsync(stream.fileno())
        written.replace(final)
        return
    if not final.exists():
        written.replace(final)
        return
    if not (final / "saved_model.pb").is_file():
        raise LMFError(f"{str(final)!r} is there and is no SavedModel. Move it away, or export elsewhere.")
    # A folder can't be renamed onto a full one: move the old one aside, and back if that fails.
    before = final.rename(scratch / "before")
    try:
        written.replace(final)
    except BaseException:
        before.rename(final)
        raise
