"""The JSON beside an exported file: what a program on another machine must know to use it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from keras_lmf.export.artifact import Artifact
from keras_lmf.files import write_text
from keras_lmf.runtime import TensorInfo, open_artifact
from keras_lmf.target import Target

if TYPE_CHECKING:
    from keras_lmf.recipe import Recipe

PACKAGES = ("keras-lmf", "keras", "tensorflow", "tensorflow-cpu", "ai-edge-litert", "litert-quantizer")


@dataclass(frozen=True)
class InputDescription:
    """What one input holds, beside the shape that its file knows.

    Attributes:
        rate: steps (samples, frames) per second, in Hz.
        unit: of the values, for example "kHz" or "full scale = 1".
        description: what the values are, for example "40 log-mel bands".
        range: smallest and largest value that occur.
        media: what of a media file fills it. "waveform": (samples,) mono in [-1, 1] at `rate`, zeros after the end;
            "frames": pictures at `rate`; None: features, which no file gives.
    """

    rate: float | None = None
    unit: str | None = None
    description: str | None = None
    range: tuple[float, float] | None = None
    media: Literal["waveform", "frames"] | None = None


@dataclass(frozen=True)
class About:
    """What a file can't say of itself.

    Attributes:
        target: what the output means; None when unknown.
        descriptions: by modality.
        recipe: from which the model was built and trained.
        licence: for example {"code": "Apache-2.0", "weights": "CC-BY-NC-SA-4.0", "data": …}.
        calibration: by modality (n, …), the rows behind the int8 formats.
        temperature: by which logits are divided before the softmax (Guo et al. 2017); None when not fitted.
        presence: "derived" when an input of zeros is an absent modality; "assumed" when every modality must be there.
    """

    target: Target | None = None
    descriptions: Mapping[str, InputDescription] = field(default_factory=dict)
    recipe: Recipe | None = None
    licence: Mapping[str, str] | None = None
    calibration: Mapping[str, np.ndarray] | None = None
    temperature: float | None = None
    presence: Literal["assumed", "derived"] = "assumed"


def sidecar_of(path: Path) -> Path:
    """Where the JSON of the file or folder `path` is: `model.tflite.json`, `saved_model.json`."""
    return path.with_name(f"{path.name}.json")


def write_sidecar(artifact: Artifact, about: About) -> Path:
    """Write `artifact`'s JSON beside it, atomically.

    Keys: `file`, `format`, `bytes`, `sha256`; `inputs` and `outputs`, by name (shape with the rows first, null
    where free; dtype; scale and zero point of integers; for inputs rate, unit, description, range, media and the
    calibration's range where they are known); `target` and `labels`; `temperature` and `presence`; `recipe` (name
    and SHA-256), `licence`, `versions`, `operators` (none for a SavedModel) and `notes`. What is unknown is null.
    """
    runtime = open_artifact(artifact.path)
    rows = None if artifact.path.is_dir() else 1
    inputs = {}
    for name, info in runtime.inputs.items():
        described = asdict(about.descriptions.get(name, InputDescription()))
        used = None if about.calibration is None else about.calibration[name]
        limits = None if used is None else [float(used.min()), float(used.max())]
        inputs[name] = _tensor(info, rows) | described | {"calibration_range": limits}
    target, recipe = about.target, about.recipe
    facts = {
        "file": artifact.path.name,
        "format": artifact.format,
        "bytes": artifact.bytes,
        "sha256": sha256(artifact.path),
        "inputs": inputs,
        "outputs": {name: _tensor(info, rows) for name, info in runtime.outputs.items()},
        "target": target and target.model_dump(mode="json", exclude_none=True),
        "labels": target and target.classes,
        "temperature": about.temperature,
        "presence": about.presence,
        "recipe": recipe and {"name": recipe.name, "sha256": recipe.fingerprint},
        "licence": about.licence and dict(about.licence),
        "versions": _versions(),
        "operators": artifact.operators.to_dict("records"),
        "notes": list(artifact.notes),
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)
    return write_text(sidecar_of(artifact.path), text + "\n")


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file; of a folder, that of the lines "<sha256>  <relative path>", sorted by path."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(part.relative_to(path).as_posix() for part in path.rglob("*") if part.is_file())
    lines = "".join(f"{sha256(path / name)}  {name}\n" for name in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _tensor(info: TensorInfo, rows: int | None) -> dict[str, Any]:
    stored = info.quantization
    return {
        "shape": [rows, *info.shape],
        "dtype": str(stored.dtype if stored else info.dtype),
        "scale": stored and stored.scale,
        "zero_point": stored and stored.zero_point,
    }


def _versions() -> dict[str, str]:
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # one of TensorFlow's two wheels, for instance
    return installed
