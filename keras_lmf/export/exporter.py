"""export_model: a Keras model to files, each judged by running the file that was written."""

from __future__ import annotations

import dataclasses
import functools
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.evaluation import Report, evaluate
from keras_lmf.export import onnx, tflite
from keras_lmf.export.artifact import REPORT_FILES, Artifact, Latency, NotAllWritten, write_report
from keras_lmf.export.compact import with_short_names, without_names
from keras_lmf.export.comparison import largest_errors
from keras_lmf.export.description import described_inputs, document_of, require_fit, sidecar_of, spec_of
from keras_lmf.export.metadata import with_document
from keras_lmf.export.process import latency_of
from keras_lmf.export.source import Source, agreement, differences_to, require_names, source_of
from keras_lmf.files import PARTIAL, compressed_size_of, require_writable, size_of
from keras_lmf.operators import operators, table
from keras_lmf.runtime import ROWS_PER_BATCH, open_artifact
from keras_lmf.sidecar import Sidecar
from keras_lmf.spec import InputSpec, ModelSpec, Presence

if TYPE_CHECKING:
    from keras_lmf.data.dataset import Split
    from keras_lmf.recipe import Recipe


class Format(NamedTuple):
    """An export format.

    Attributes:
        file: name of the file or folder that it writes.
        write: writes it.
        batch: rows at a time that the runtime gives to it.
        float32: whether it keeps the model's float32 numbers.
        calibrated: whether it takes its scales from a calibration split.
    """

    file: str
    write: Callable[[Source, Path], None]
    batch: int
    float32: bool
    calibrated: bool = False

    @property
    def rows(self) -> int | None:
        """That the file takes at a time; None: any number."""
        return 1 if self.batch == 1 else None


FORMATS: dict[str, Format] = {
    "saved_model": Format("saved_model", Source.save, batch=ROWS_PER_BATCH, float32=True),
    "tflite": Format("model.tflite", tflite.write_tflite, batch=1, float32=True),
    "tflite-float16": Format("model-float16.tflite", tflite.write_float16, batch=1, float32=False),
    "tflite-dynamic": Format("model-dynamic.tflite", tflite.write_dynamic, batch=1, float32=False),
    "tflite-int8": Format(
        "model-int8.tflite", tflite.write_int8, batch=1, float32=False, calibrated=True
    ),
    "tflite-int8-integer": Format(
        "model-int8-integer.tflite", tflite.write_int8_integer, batch=1, float32=False, calibrated=True
    ),
    "tflite-int16": Format(
        "model-int16.tflite", tflite.write_int16, batch=1, float32=False, calibrated=True
    ),
    "onnx": Format("model.onnx", onnx.write_onnx, batch=1, float32=True),
}  # fmt: skip

_EMBED = {".tflite": with_document, ".onnx": onnx.with_document}  # what a file says of itself, by its suffix


def export_model(
    model: keras.Model,
    folder: str | Path,
    formats: Sequence[str] = ("saved_model", "tflite"),
    *,
    evaluation: Split | None = None,
    calibration: Split | None = None,
    train_labels: np.ndarray | None = None,
    timeout_seconds: float = 600,
    resamples: int = 1000,
    spec: ModelSpec | None = None,
    recipe: Recipe | None = None,
    licence: Mapping[str, str] | None = None,
    descriptions: Mapping[str, InputSpec] | None = None,
    temperature: float | None = None,
    presence: Presence | None = None,
    tolerance: float | None = None,
) -> list[Artifact]:
    """Write `model` to `folder` in each format, run every written file, and report what each one costs.

    A file gets its final name only after it ran, gave finite numbers and, for float32 formats, agreed with
    the Keras model. What it takes and gives stands inside each .tflite and .onnx file, and beside each file in
    its sidecar, `model.tflite.json` for example: labels, inputs, scales, versions, hashes. `folder` also receives
    report.csv, report.json, report.md and (with `evaluation`) report.png.

    | format | file | numbers |
    |---|---|---|
    | "saved_model" | `saved_model/`, signature `serving_default`, any number of rows | float32 |
    | "tflite" | `model.tflite`; as all below: one row, builtin ops only | float32 |
    | "tflite-float16" | `model-float16.tflite` | weights float16, computed in float32 |
    | "tflite-dynamic" | `model-dynamic.tflite` | weights int8, activations quantised as it runs |
    | "tflite-int8" | `model-int8.tflite` | products and convolutions int8, inputs and outputs float32 |
    | "tflite-int8-integer" | `model-int8-integer.tflite` | the same, inputs and outputs int8 |
    | "tflite-int16" | `model-int16.tflite` | as "tflite-int8", with int16 activations: slow on a processor |
    | "onnx" | `model.onnx`, for onnxruntime; one row | float32 |

    The SavedModel of a recipe's model with a front end on sound has two more signatures: `waveform` takes the same as
    `serving_default`, `features` what the front ends give.

    Int8 and int16 files keep in float32 what int8 would spoil or can't hold: standardisation, the product of the
    modalities, products of two computed tensors (attention), the activations inside loops (recurrent layers without
    unroll=True), CONV_3D. "tflite-int8" quantises the activations of its first and last products row by row, as
    "tflite-dynamic" does, where fixed scales would add to the answers more than half a percent of their variance.
    `Artifact.operators` lists every op with its dtypes; weighted ops that are left out are in `Artifact.notes`
    and given as a warning.

    Args:
        model: functional, a dict of modalities in and a dict of targets out. On JAX or PyTorch, processes of their own
            do with TensorFlow what needs it; the files are compared with the model as it answers here.
        folder: made when it isn't there; files of the same name are replaced.
        formats: names of formats.
        evaluation: the split on which every file is run and measured. None: no metrics, and the comparison with the
            Keras model uses the rows that the model carries (`klmf.load` gives it the entry's test vectors), else 32
            standard-normal ones.
        calibration: the split (the training one) whose smallest and largest values give the int8 formats
            their scales; of more than 1000 rows, 1000 evenly spaced ones. An int8 input's range ends earlier where
            that loses less: features of unlike size share its steps.
        train_labels: labels of the training split, for the floor in `Artifact.table`; None: no floor.
        timeout_seconds: how long one conversion may take.
        resamples: bootstrap resamples behind the intervals in `Artifact.table`.
        spec: what the model takes and gives, for the sidecars. None: the recipe's, or what the model carries: the
            models of `klmf.build`, `klmf.load` and `Run.model` do.
        recipe: whose spec it is, where the model carries none of this recipe. Not beside `spec`.
        licence, temperature, presence: as of `ModelSpec`, instead of what the spec says. (The files give the model's
            own logits, whatever the temperature.) A temperature given here is that of every subset of modalities.
        descriptions: of inputs by modality, likewise.
        tolerance: a float32 file must keep |Δ| ≤ tolerance · max(1, |y|) for every output y of the Keras model, run
            on as many rows at a time as the file. None: 1e-5, or 1e-4 where a recording fills an input.

    Returns:
        One Artifact per format, in the order of `formats`.

    Raises:
        LMFError: unknown format or presence; a temperature out of 0.01 to 100; no TensorFlow here; a model without
            dicts, or, on another backend, with layers that TensorFlow's process can't rebuild; a split that doesn't
            fit; a model that needs ops outside TensorFlow Lite's builtins, or
            for "onnx" outside those of ONNX; an int8 format without `calibration`, or
            of a model with no op that can be int8; a failed, crashed or overlong conversion; a file whose outputs
            aren't finite or differ too much. That file is then not kept; one that an earlier export left under its
            name stays as it was. What one format alone can't be is a `NotAllWritten`, raised after the others were
            written.
    """
    _check_formats(formats, calibration)
    spec = spec_of(model, spec, recipe)
    target = next((given.target for given in (evaluation, spec, calibration) if given and given.target), None)
    changes = {"target": target, "licence": licence, "temperature": temperature, "presence": presence}
    folder = Path(folder)
    with tempfile.TemporaryDirectory() as scratch:
        source = source_of(model, evaluation, timeout_seconds, Path(scratch), calibration)
        spec = spec.replace(inputs=described_inputs(source, spec, descriptions or {}))
        require_fit(spec, open_artifact(model))
        if temperature is not None:
            spec = spec.replace(subset_temperatures=None)
        waveforms = tuple(name for name, part in spec.inputs.items() if part.media == "waveform")
        source = dataclasses.replace(source, waveforms=waveforms)
        spec = spec.replace(**{name: value for name, value in changes.items() if value is not None})
        tolerance = spec.tolerance if tolerance is None else tolerance
        require_writable(folder / REPORT_FILES[0])
        for name in formats:
            _require_place(folder / FORMATS[name].file)
        # A report must never describe files that have been replaced since.
        for name in REPORT_FILES:
            (folder / name).unlink(missing_ok=True)
        judge = functools.partial(evaluate, split=evaluation, train_labels=train_labels, resamples=resamples)
        # Running the Keras model row by row takes longer than running a file: once for all formats.
        expected = functools.cache(source.keras_outputs)
        judge_or_none = judge if evaluation is not None else None
        artifacts, problems = [], {}
        for name in tqdm(dict.fromkeys(formats), desc="export", unit="file", leave=False, disable=None):
            try:
                artifacts.append(_export(name, source, spec, folder, expected, judge_or_none, tolerance))
            except LMFError as error:  # the others can be written all the same
                problems[name] = str(error)
    if artifacts or not problems:
        write_report(artifacts, folder)
    if problems:
        raise NotAllWritten(artifacts, problems)
    return artifacts


def _check_formats(formats: Sequence[str], calibration: Split | None) -> None:
    if isinstance(formats, str):
        raise LMFError(f"'formats' takes a list of names, received {formats!r}. Write formats=[{formats!r}].")
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("export format", name, FORMATS)
        if FORMATS[name].calibrated and calibration is None:
            raise LMFError(
                f"The format {name!r} needs calibration=, a split with typical rows (the training split), to "
                f"choose its scales. Or export to 'tflite-dynamic', which needs none."
            )
    if find_spec("tensorflow") is None:
        raise LMFError(
            "Export needs TensorFlow, which is not installed. Install it beside Keras's backend "
            f'({keras.backend.backend()}): pip install "keras-lmf[tf]"'
        )


def _require_place(final: Path) -> None:
    """An LMFError where something else has the name of a file, or of a SavedModel's folder, that is to be written."""
    if final.suffix:
        require_writable(final)
    elif final.exists() and not (final / "saved_model.pb").is_file():
        raise LMFError(f"{str(final)!r} is there and is no SavedModel. Move it away, or export elsewhere.")


def _export(
    name: str,
    source: Source,
    spec: ModelSpec,
    folder: Path,
    expect: Callable[[int], dict[str, np.ndarray]],
    judge: Callable[[Any], Report] | None,
    tolerance: float,
) -> Artifact:
    """Write one format beside its final place, judge it by running it, move it there, and describe it."""
    file, write, batch, float32, calibrated = FORMATS[name]
    with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=folder) as scratch:
        written = Path(scratch) / file
        write(source, written)
        label = f"The {name} file of model {source.model.name!r}"
        found = operators(written.read_bytes()) if written.suffix == ".tflite" else []
        notes = tflite.notes(source, written, found) if calibrated else []
        unnamed = source.open(written)
        require_names(unnamed.inputs, source.inputs, label, "inputs")
        document = document_of(name, FORMATS[name].rows, spec, unnamed, source.calibration, notes)
        errors = pd.DataFrame()
        if written.suffix == ".tflite" and not float32:
            errors = _errors(source, written)  # by names, which the file then loses
            written.write_bytes(without_names(written.read_bytes()))
        elif written.suffix == ".tflite":
            written.write_bytes(with_short_names(written.read_bytes()))
        if embed := _EMBED.get(written.suffix):
            written.write_bytes(embed(written.read_bytes(), document))
        runtime = dataclasses.replace(source.open(written), name=label)
        outputs = runtime.predict(source.inputs)
        expected = expect(batch)
        differences = differences_to(expected, outputs, label, tolerance if float32 else np.inf)
        judged = judge(outputs) if judge else None
        artifact = Artifact(
            path=folder / file,
            format=name,
            bytes=size_of(written),
            compressed_bytes=compressed_size_of(written),
            metrics=dict(judged.metrics) if judged else {},
            table=judged.table if judged else None,
            difference_max=float(differences.max()),
            difference_mean=float(differences.mean()),
            agreement=agreement(outputs, expected, judged.target) if judged else None,
            latency=_latency(source, written),
            operators=table(found),
            notes=tuple(notes),
            errors=errors,
        )
        Sidecar.path_of(artifact.path).unlink(missing_ok=True)  # it describes what is about to be replaced
        _move(written, artifact.path, Path(scratch))
    sidecar_of(artifact, FORMATS[name].rows, document, runtime).write(artifact.path)
    for note in notes:
        warnings.warn(f"{artifact.path.name}: {note}", stacklevel=3)
    return artifact


def _errors(source: Source, written: Path) -> pd.DataFrame:
    float32 = tflite.float32_file(source).read_bytes()
    return largest_errors(float32, written.read_bytes(), source.inputs)


def _latency(source: Source, written: Path) -> Latency:
    row = {name: values[:1] for name, values in source.inputs.items()}
    return latency_of(written, row, model=source.model, timeout_seconds=source.timeout_seconds)


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
    # A folder can't be renamed onto a full one: move the old one aside, and back if that fails.
    before = final.rename(scratch / "before")
    try:
        written.replace(final)
    except BaseException:
        before.rename(final)
        raise
