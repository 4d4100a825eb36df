"""What every writer starts from: the Keras model with example rows; and how a file's answers compare with its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_lmf.backend import nested_layers
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.lazy import Array
from keras_lmf.runtime import Runtime, open_artifact
from keras_lmf.spec import attached
from keras_lmf.target import Target

if TYPE_CHECKING:
    import keras

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
    """

    model: keras.Model
    inputs: dict[str, Array] = field(repr=False)
    timeout_seconds: float
    scratch: Path
    calibration: dict[str, Array] | None = field(default=None, repr=False)

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
        comes with the example rows' lengths, so that no dimension is left free.
        """
        import keras

        signature = {
            name: keras.InputSpec(
                shape=(batch, *(self.inputs[name].shape[1:] if batch else tensor.shape[1:])),
                dtype=tensor.dtype,
                name=name,
            )
            for name, tensor in self.model.input.items()
        }
        # Where a GPU is visible, recurrent layers would trace cuDNN ops, which neither a machine without one
        # nor TensorFlow Lite can run.
        recurrent = [layer for layer in nested_layers(self.model) if hasattr(layer, "use_cudnn")]
        before = [layer.use_cudnn for layer in recurrent]
        try:
            for layer in recurrent:
                layer.use_cudnn = False
            archive = keras.export.ExportArchive()
            # As `model.export` does, but layer by layer: a tracked model, and each within it, is traced anew.
            for layer in _layers(self.model):
                archive.track(layer)
            archive.add_endpoint("serve", self.model.__call__, [signature])
            archive.write_out(str(path), verbose=False)
        finally:
            for layer, value in zip(recurrent, before):
                layer.use_cudnn = value


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


def _layers(layer: keras.Layer) -> Iterator[keras.Layer]:
    """Those of a model, and of the models within it, that are no models."""
    import keras

    if not isinstance(layer, keras.Model):
        yield layer
        return
    for part in layer.layers:
        yield from _layers(part)


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


def differences_to(
    expected: dict[str, np.ndarray], outputs: dict[str, np.ndarray], label: str, tolerance: float
) -> np.ndarray:
    """|outputs − expected| of all outputs in one vector; an error where one exceeds tolerance · max(1, |y|)."""
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
