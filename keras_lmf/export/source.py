"""What every writer starts from: the Keras model with example rows; and how a file's answers compare with its own."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_lmf.backend import nested_layers, without_tensorflow
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.export import save
from keras_lmf.export.process import run_script
from keras_lmf.lazy import Array, blocks
from keras_lmf.runtime import Runtime, open_artifact
from keras_lmf.spec import attached
from keras_lmf.target import Target

if TYPE_CHECKING:
    from keras_lmf.data.dataset import Split

_RANDOM_ROWS = 32


@dataclass(frozen=True)
class Source:
    """A Keras model to be written, with the rows on which the written files are judged.

    Attributes:
        model: functional, dict in and dict out.
        inputs: by modality (N, …), example rows.
        timeout_seconds: how long one conversion may take.
        scratch: a folder for what several writers start from.
        calibration: by modality (n, …), rows that give the int8 formats their scales.
        waveforms: modalities that take sound.
    """

    model: keras.Model
    inputs: dict[str, Array] = field(repr=False)
    timeout_seconds: float
    scratch: Path
    calibration: dict[str, Array] | None = field(default=None, repr=False)
    waveforms: tuple[str, ...] = ()

    def keras_outputs(self, batch: int) -> dict[str, np.ndarray]:
        """What the Keras model answers to `inputs`, by target (N, size), run on `batch` rows at a time.

        Files are compared with the model on as many rows at a time as they take. The order in which a float32
        sum is made depends on it: for a tensor fusion of 274,625 products the Keras model alone moves by
        1.1e-5 · max(1, |y|) between 1 and 256 rows.
        """
        rows = len(next(iter(self.inputs.values())))
        answers = [
            self.model.predict_on_batch(
                {name: row[start : start + batch] for name, row in self.inputs.items()}
            )
            for start in range(0, rows, batch)
        ]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def save(self, path: Path, batch: int | None = None) -> None:
        """Write a SavedModel folder; `batch` is the fixed or (None) free number of rows.

        The signature `serving_default` has the modalities as inputs and the targets as outputs. A fixed batch
        comes with the example rows' lengths, so that no dimension is left free, and with no other signature.
        """
        shapes = {
            name: (batch, *(self.inputs[name].shape[1:] if batch else tensor.shape[1:]))
            for name, tensor in self.model.input.items()
        }
        waveforms = () if batch else self.waveforms
        if has_tensorflow():
            save.write_saved_model(self.model, path, shapes, waveforms)
        else:
            self._save_elsewhere(path, {"shapes": shapes, "waveforms": waveforms})

    def open(self, path: Path) -> Runtime:
        """The written file. What needs TensorFlow runs in a process of its own, unless Keras is on it."""
        if has_tensorflow() or path.is_file():
            return open_artifact(path)
        taken = open_artifact(self.model)
        # Files keep no order: theirs is alphabetical.
        inputs, outputs = (dict(sorted(end.items())) for end in (taken.inputs, taken.outputs))
        return Runtime(str(path), inputs, outputs, functools.partial(self._answers, path))

    def _save_elsewhere(self, path: Path, request: dict[str, Any]) -> None:
        """As `save`, in a process that has Keras on TensorFlow."""
        modules = _own_modules(self.model)
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch, "model.keras")
            with without_tensorflow():
                self.model.save(file)
            run_script(
                "save.py",
                [file, json.dumps(request | {"modules": modules, "path": sys.path})],
                path,
                what="Writing the SavedModel",
                model=self.model,
                timeout_seconds=self.timeout_seconds,
            )

    def _answers(self, path: Path, inputs: Mapping[str, Array]) -> dict[str, np.ndarray]:
        """What the SavedModel at `path` answers, in a process that has TensorFlow."""
        with tempfile.TemporaryDirectory() as scratch:
            files = {name: str(Path(scratch, f"{index}.npy")) for index, name in enumerate(inputs)}
            for name, values in inputs.items():
                rows = np.lib.format.open_memmap(files[name], "w+", values.dtype, values.shape)
                for place, block in blocks(values):
                    rows[place] = block
                rows.flush()
            answers = Path(scratch, "answers.npz")
            run_script(
                "answers.py",
                [path, json.dumps(files)],
                answers,
                what="The SavedModel",
                model=self.model,
                timeout_seconds=None,
            )
            with np.load(answers) as found:
                return dict(found)


def has_tensorflow() -> bool:
    """Whether Keras is on TensorFlow here; beside another framework it isn't loaded."""
    return keras.backend.backend() == "tensorflow"


def _own_modules(model: keras.Model) -> list[str]:
    """Where the layers of `model` are defined that neither Keras nor this package has.

    Raises:
        LMFError: in the program itself, which another process can't import.
    """
    found = set()
    for layer in nested_layers(model):
        module, name = type(layer).__module__, type(layer).__name__
        if module == "__main__":
            raise LMFError(
                f"Layer {layer.name!r}: its class {name} is defined in the program itself, where the process with "
                f"TensorFlow that exports can't import it. Move it to a module of its own, or start again with\n"
                f"  KERAS_BACKEND=tensorflow"
            )
        if module.partition(".")[0] not in ("keras", "keras_lmf"):
            found.add(module)
    return sorted(found)


def source_of(
    model: keras.Model,
    evaluation: Split | None,
    timeout_seconds: float,
    scratch: Path,
    calibration: Split | None = None,
) -> Source:
    """The model with the rows of `evaluation`; when it is None with those that the model carries (`spec.attach`), or
    else with 32 standard-normal rows (seed 0).

    Raises:
        LMFError: a split lacks a modality or its target is no output; without a split, a length that the
            model leaves free or an input that is no real number; NaN or infinity from the model itself.
    """
    runtime = open_artifact(model)
    examples = attached(model)[1]
    if evaluation is None and examples and examples.keys() == runtime.inputs.keys():
        inputs = {name: np.asarray(examples[name], info.dtype) for name, info in runtime.inputs.items()}
    elif evaluation is None:
        generator = np.random.default_rng(0)
        inputs = {}
        for name, (shape, dtype, _) in runtime.inputs.items():
            if None in shape or dtype.kind != "f":
                raise LMFError(
                    f"{runtime.name}, input {name!r}: random rows need fixed lengths and real numbers, the "
                    f"model takes {shape} of {dtype}. Give evaluation=, a split with real rows."
                )
            inputs[name] = generator.standard_normal((_RANDOM_ROWS, *shape)).astype(dtype)
    else:
        inputs = _inputs_of(evaluation, runtime)
        if evaluation.target.name not in runtime.outputs:
            raise unknown_name(f"output of {runtime.name}:", evaluation.target.name, runtime.outputs)
    runtime.predict(inputs)  # where the model itself can't answer them, nothing is written
    rows = None if calibration is None else _inputs_of(calibration, runtime)
    if rows is not None:
        runtime.check(rows)
    return Source(model, inputs, timeout_seconds, scratch, rows)


def behind(front_end: keras.Model, split: Split) -> Split:
    """The rows of `split` as the body of a model takes them: features in the place of the recordings.

    Args:
        front_end: of `models.front_end_model`.
        split: with the recordings.

    Raises:
        LMFError: as of `Runtime.predict`; a modality that the split lacks.
    """
    features = open_artifact(front_end).predict(_inputs_of(split, open_artifact(front_end)))
    return dataclasses.replace(split, inputs=dict(split.inputs) | features)


def _inputs_of(split: Split, runtime: Runtime) -> dict[str, Array]:
    """The modalities that the model takes, out of those of `split`."""
    for name in runtime.inputs:
        if name not in split.inputs:
            raise unknown_name(f"modality of split {split.name!r}", name, split.inputs)
    return {name: split.inputs[name] for name in runtime.inputs}


def agreement(
    outputs: dict[str, np.ndarray], expected: dict[str, np.ndarray], target: Target
) -> float | None:
    """Share of the rows with the same class; None for a regression."""
    if target.classes is None:
        return None
    return float(np.mean(outputs[target.name].argmax(axis=1) == expected[target.name].argmax(axis=1)))


def require_names(found: Iterable[str], expected: Iterable[str], label: str, ends: str) -> None:
    """An LMFError where a file's "inputs" or "outputs" don't have the model's names."""
    if set(found) != set(expected):
        raise LMFError(
            f"{label} names its {ends} {', '.join(sorted(found))}; the model's are {', '.join(sorted(expected))}."
        )


def differences_to(
    expected: dict[str, np.ndarray], outputs: dict[str, np.ndarray], label: str, tolerance: float
) -> np.ndarray:
    """|outputs − expected| of all outputs in one vector; an error where one exceeds tolerance · max(1, |y|)."""
    require_names(outputs, expected, label, "outputs")
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
