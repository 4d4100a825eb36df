"""What can be recognised with: a zoo entry, a run, a SavedModel or a `.tflite` file, each with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from keras_lmf.errors import LMFError
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import Runtime, open_artifact
from keras_lmf.target import Target
from keras_lmf.zoo import fetching, folders
from keras_lmf.zoo.entry import ENTRY, MAX_TEXT_BYTES, RECIPE, Entry, sha256_of

if TYPE_CHECKING:
    import keras

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


@dataclass(frozen=True)
class Opened:
    """A model that names the emotion of a clip.

    Attributes:
        name: as messages call it.
        runtime: runs it.
        facts: what is known of it; `target` has classes.
        sound: the input that takes the waveform.
        samples: length of that input.
        rate: its samples a second.
        model: the Keras model, where it is one.
    """

    name: str
    runtime: Runtime
    facts: Facts
    sound: str
    samples: int
    rate: int
    model: keras.Model | None = None


def open_model(artifact: str | Path, cache_dir: str | Path | None = None) -> Opened:
    """The model, refused before it is loaded where a media file can't fill any of its inputs.

    Raises:
        LMFError: no such model; a missing, wrong or foreign sidecar; inputs or an output that don't fit.
    """
    if not isinstance(artifact, str | Path):
        raise LMFError(
            f"Received a {type(artifact).__name__}. Give the name of a zoo entry, the folder of a run, the folder of "
            f"a SavedModel or a .tflite file: they say what their inputs and classes are."
        )
    name = str(artifact)
    path = folders.local_path(artifact)
    if path is None or (path / ENTRY).is_file():
        facts = _of_entry(fetching.find(artifact, cache_dir).entry)
    elif (path / RECIPE).is_file():
        facts = _of_run(path)
    else:
        if not ((path.is_file() and path.suffix == ".tflite") or (path / "saved_model.pb").is_file()):
            open_artifact(path)  # says what it is not
        facts = _of_sidecar(path)
        _require_media(name, facts)
        return _checked(name, open_artifact(path), facts)
    _require_media(name, facts)
    from keras_lmf.zoo import load  # what follows imports Keras, which takes seconds

    model = load(artifact, cache_dir=cache_dir)
    return replace(_checked(name, open_artifact(model), facts), model=model)


def _of_entry(entry: Entry) -> Facts:
    return Facts(
        {name: Source(spec.media, spec.rate) for name, spec in entry.inputs.items()},
        entry.target,
        1.0 if entry.calibration is None else entry.calibration.temperature,
        entry.presence,
    )


def _of_run(folder: Path) -> Facts:
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


def _of_sidecar(path: Path) -> Facts:
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


def _require_media(name: str, facts: Facts) -> None:
    if any(source.media for source in facts.inputs.values()):
        return
    fitting = ", ".join(_entries_for_media()) or "none yet"
    raise LMFError(
        f"{name} takes features ({', '.join(facts.inputs)}), which can't be made from a media file here. Zoo entries "
        f"that take media files: {fitting}. With features at hand, use klmf.runtime.open_artifact(…).predict."
    )


def _entries_for_media() -> list[str]:
    fitting = []
    for name, folder in folders.known_entries().items():
        try:
            if any(spec.media for spec in Entry.read(folder).inputs.values()):
                fitting.append(name)
        except (LMFError, OSError):  # `zoo.table` tells of entries that can't be read
            continue
    return fitting


def _checked(name: str, runtime: Runtime, facts: Facts) -> Opened:
    """The model, with its facts held against its own inputs and outputs."""
    _require_media(name, facts)
    target = facts.target
    if target is None or target.classes is None:
        what = (
            "does not say what its output means" if target is None else f"gives a number for {target.name!r}"
        )
        raise LMFError(f"{name} {what}; a Recognizer needs a model for classes. Export it with recipe=….")
    if facts.inputs.keys() != runtime.inputs.keys():
        raise LMFError(
            f"{name}: its inputs are {', '.join(sorted(runtime.inputs))}, its description says "
            f"{', '.join(sorted(facts.inputs))}."
        )
    if target.name not in runtime.outputs or runtime.outputs[target.name].shape != (target.size,):
        outputs = ", ".join(f"{output} {info.shape}" for output, info in runtime.outputs.items())
        raise LMFError(f"{name}: it has no output {target.name!r} of {target.size} classes, only: {outputs}.")
    if free := [key for key, info in runtime.inputs.items() if None in info.shape]:
        raise LMFError(f"{name}: the length of {', '.join(free)} is free; a Recognizer needs fixed lengths.")
    media = [key for key, source in facts.inputs.items() if source.media]
    if len(media) > 1 or facts.inputs[media[0]].media != "waveform":
        raise LMFError(f"{name}: of media, one waveform can be read here; it takes {', '.join(media)}.")
    sound = media[0]
    shape, rate = runtime.inputs[sound].shape, facts.inputs[sound].rate
    if len(shape) != 1 or rate is None or rate != int(rate):
        raise LMFError(
            f"{name}, input {sound!r}: a waveform has the shape (samples,) and a whole number of samples a second; "
            f"received {shape} at {rate} Hz."
        )
    return Opened(name, runtime, facts, sound, shape[0], int(rate))
