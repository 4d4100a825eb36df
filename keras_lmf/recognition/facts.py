"""What a model can't say of itself, read from its zoo entry, its run or its sidecar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from keras_lmf.errors import LMFError
from keras_lmf.recipe import Recipe
from keras_lmf.target import Target
from keras_lmf.zoo.entry import MAX_TEXT_BYTES, RECIPE, Entry
from keras_lmf.zoo.records import sha256_of

CALIBRATION = "calibration.json"
# Twice what a calibration may find, either way.
Temperature = Annotated[float, Field(ge=0.025, le=40)]
Media = Literal["waveform", "frames"]
Presence = Literal["assumed", "derived"]


class Source(NamedTuple):
    """What fills an input: `media` at `rate` Hz, or (None) features, which no media file gives."""

    media: Media | None
    rate: float | None


class Facts(NamedTuple):
    """What a model can't say of itself.

    Attributes:
        inputs: by modality.
        target: of the output; None when unknown.
        temperature: by which logits are divided before the softmax.
        presence: "derived" when an input of zeros is an absent modality; "assumed" when every one must be there.
    """

    inputs: dict[str, Source]
    target: Target | None
    temperature: float
    presence: Presence


def of_entry(entry: Entry) -> Facts:
    return Facts(
        {name: Source(spec.media, spec.rate) for name, spec in entry.inputs.items()},
        entry.target,
        1.0 if entry.calibration is None else entry.calibration.temperature,
        entry.presence,
    )


def of_run(folder: Path) -> Facts:
    """Of a run, whose recipe has a front end or a backbone for what a media file gives."""
    recipe = Recipe.read(folder / RECIPE)
    inputs = {name: Source(section.media, section.rate) for name, section in recipe.inputs.items()}
    calibration = folder / CALIBRATION
    temperature = 1.0
    if calibration.is_file():
        try:
            temperature = _Calibration.model_validate_json(calibration.read_bytes()).temperature
        except ValidationError as error:
            raise LMFError(
                f"{calibration} is damaged: {error.errors()[0]['msg']}. Train the run again."
            ) from None
    return Facts(inputs, recipe.target, temperature, "derived" if recipe.presence else "assumed")


class _Calibration(BaseModel):
    """What a training writes beside its weights."""

    temperature: Temperature


class _Input(BaseModel):
    media: Media | None = None
    rate: Annotated[float, Field(gt=0, le=1e6)] | None = None


class _Sidecar(BaseModel):
    """What is read of the JSON that `export_model` writes beside a file; other keys are passed over."""

    sha256: str
    inputs: dict[str, _Input]
    target: Target | None = None
    temperature: Temperature | None = None
    presence: Presence = "assumed"


def of_sidecar(path: Path) -> Facts:
    beside = path.absolute().with_name(f"{path.absolute().name}.json")
    if not beside.is_file():
        raise LMFError(
            f"{path} has no sidecar {beside.name} beside it, so its classes and inputs are unknown. Copy it along, or "
            f"export the model again with keras_lmf.export_model."
        )
    if beside.stat().st_size > MAX_TEXT_BYTES:
        raise LMFError(f"{beside} is larger than {MAX_TEXT_BYTES} bytes, so it does not describe a model.")
    try:
        sidecar = _Sidecar.model_validate_json(beside.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise LMFError(f"{beside} is no sidecar of an exported file: {where}: {problem['msg']}.") from None
    if path.is_file() and sha256_of(path) != sidecar.sha256:
        raise LMFError(f"{beside} describes another {path.name}: the sha256 differ. Copy both files again.")
    inputs = {name: Source(spec.media, spec.rate) for name, spec in sidecar.inputs.items()}
    return Facts(inputs, sidecar.target, sidecar.temperature or 1.0, sidecar.presence)
