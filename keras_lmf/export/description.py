"""What an exported file says of itself, inside and beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lmf.backend import installed
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.export.artifact import Artifact
from keras_lmf.export.source import Source
from keras_lmf.files import sha256
from keras_lmf.runtime import Runtime, TensorInfo
from keras_lmf.sidecar import Document, Sidecar
from keras_lmf.spec import InputSpec, ModelSpec, attached

if TYPE_CHECKING:
    import keras

    from keras_lmf.recipe import Recipe

PACKAGES = (
    "keras-lmf",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "ai-edge-litert",
    "litert-quantizer",
    "tf2onnx",
)


def spec_of(model: keras.Model, spec: ModelSpec | None, recipe: Recipe | None) -> ModelSpec:
    """What is given; else what the model carries, where it is of that recipe; else what the recipe says."""
    if spec is not None and recipe is not None:
        raise LMFError("Give spec= or recipe=, not both: the recipe's own is recipe.spec.")
    carried = spec or attached(model)[0] or ModelSpec()
    if recipe is None or (carried.recipe and carried.recipe.sha256 == recipe.fingerprint):
        return carried
    return recipe.spec


def require_fit(spec: ModelSpec, runtime: Runtime) -> None:
    """The spec is of a model with these inputs and outputs."""
    for name, part in spec.inputs.items():
        if part.shape is not None and part.shape != runtime.inputs[name].shape:
            raise LMFError(
                f"{runtime.name}, input {name!r}: its spec says a row of shape {part.shape}, the model takes "
                f"{runtime.inputs[name].shape}. Give the spec of this model, or leave out the shape."
            )
    if (target := spec.target) is None:
        return
    if target.name not in runtime.outputs:
        raise unknown_name(f"output of {runtime.name}:", target.name, runtime.outputs)
    if runtime.outputs[target.name].shape != (target.size,):
        raise LMFError(
            f"{runtime.name}: its output {target.name!r} has the shape {runtime.outputs[target.name].shape} a row, its "
            f"target has {target.size} {'classes' if target.classes else 'numbers'}."
        )


def described_inputs(
    source: Source, spec: ModelSpec, descriptions: Mapping[str, InputSpec]
) -> dict[str, InputSpec]:
    """Of every input what is known of it."""
    for what, names in (("'descriptions'", descriptions), ("the spec", spec.inputs)):
        for name in names:
            if name not in source.inputs:
                raise unknown_name(f"modality in {what}:", name, source.inputs)
    return {name: InputSpec() for name in source.inputs} | spec.inputs | dict(descriptions)


def document_of(
    format: str,
    rows: int | None,
    spec: ModelSpec,
    runtime: Runtime,
    calibration: Mapping[str, np.ndarray] | None,
    notes: list[str],
) -> Document:
    """What a file of the format says of itself; it takes so many rows at a time, None: any number."""
    inputs = {
        key: spec.inputs[key].model_dump() | _tensor(info, rows) for key, info in runtime.inputs.items()
    }
    for key in inputs if calibration else ():
        inputs[key]["calibration_range"] = float(calibration[key].min()), float(calibration[key].max())
    return Document(
        format=format,
        **spec.model_dump(exclude={"inputs"}),
        inputs=inputs,
        labels=spec.target and spec.target.classes,
        versions=installed(PACKAGES),
        notes=notes,
    )


def sidecar_of(artifact: Artifact, rows: int | None, document: Document, runtime: Runtime) -> Sidecar:
    """What stands beside the file."""
    return Sidecar(
        **document.model_dump(),
        file=artifact.path.name,
        bytes=artifact.bytes,
        sha256=sha256(artifact.path),
        outputs={name: _tensor(info, rows) for name, info in runtime.outputs.items()},
        operators=artifact.operators.to_dict("records"),
    )


def _tensor(info: TensorInfo, rows: int | None) -> dict[str, Any]:
    stored = info.quantization
    return {
        "shape": (rows, *info.shape),
        "dtype": str(stored.dtype if stored else info.dtype),
        "scale": stored and stored.scale,
        "zero_point": stored and stored.zero_point,
    }
