"""What can be recognised with: a zoo entry, a run or an exported file, held against what is known of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.locate import EXPORTED, WEIGHTS, known_entries, locate
from keras_lmf.media.crops import FaceInput
from keras_lmf.recipe import run_spec
from keras_lmf.recognition.opened import Opened, SoundInput
from keras_lmf.runtime import Runtime, open_artifact, prefers_tflite
from keras_lmf.sidecar import Document, Sidecar
from keras_lmf.spec import MEDIA, STATE, ModelSpec
from keras_lmf.zoo import fetching, loading
from keras_lmf.zoo.entry import Entry

if TYPE_CHECKING:
    import keras

PICTURES = 5.0  # that a model of single pictures is asked about, a second


def open_model(
    artifact: str | Path, cache_dir: str | Path | None = None, runtime: str | None = None
) -> Opened:
    """The model, refused before it is loaded where a media file can't fill any of its inputs.

    Args:
        artifact: as of `Recognizer`.
        cache_dir: see `zoo.fetch`.
        runtime: of an entry: "tflite" or "keras"; None: its `.tflite` where it ships one and LiteRT is installed, else
            Keras. The others run one way.

    Raises:
        LMFError: no such model; a runtime that it has no file for; a file of which nothing is known, or something
            wrong; inputs or an output that don't fit.
    """
    if not isinstance(artifact, str | Path):
        raise LMFError(
            f"Received a {type(artifact).__name__}. Give the name of a zoo entry, the folder of a run, the folder of "
            f"a SavedModel or a .tflite file: they say what their inputs and classes are."
        )
    place = locate(artifact, "entry", "run", *EXPORTED)
    name, path = place.name, place.path
    ways: dict[str, Callable[[], Opened]] = {}
    if place.kind == "entry":
        files = fetching.files_of(place, cache_dir)
        spec = files.entry.spec
        if key := _tflite_of(files.entry):
            ways["tflite"] = lambda: _file(name, fetching.file(files, key), spec)
        weights = partial(fetching.file, files, "weights")
        ways["keras"] = lambda: _keras_model(name, loading.load_entry(files), weights(), spec)
    elif place.kind == "run":
        spec = run_spec(path)
        ways["keras"] = lambda: _keras_model(name, loading.load_own(place), path / WEIGHTS, spec)
    else:
        document = Document.of(path)
        if document is None:
            raise LMFError(
                f"{path} says nothing of its classes and inputs, and has no sidecar {Sidecar.path_of(path).name} "
                f"beside it. Copy that along, or export the model again with keras_lmf.export_model."
            )
        spec = document.spec
        ways[place.kind] = lambda: _file(name, path, spec)
    _require_media(name, spec)
    if runtime is not None and runtime not in ways:
        hint = (
            "Keras, which enrolment and embeddings need, runs zoo entries and runs."
            if runtime == "keras"
            else f"'keras-lmf export {name}' writes a .tflite file; give its path."
        )
        raise unknown_name(f"runtime of {name}:", runtime, ways, hint)
    if runtime is None:
        runtime, *others = ways
        if others and not prefers_tflite():
            runtime = others[0]
    return ways[runtime]()


def _tflite_of(entry: Entry) -> str | None:
    """The key of the `.tflite` to ask: float32, else the one that is nearest to the Keras model; None without one."""
    keys = [key for key, file in entry.files.items() if file.name.endswith(".tflite")]

    def rank(key: str) -> tuple[bool, tuple[float, float]]:
        return key == "tflite", entry.costs[key].nearness if key in entry.costs else (0.0, -math.inf)

    return max(keys, key=rank, default=None)


def _file(name: str, path: Path, spec: ModelSpec) -> Opened:
    return _checked(name, open_artifact(path), spec, path)


def _keras_model(name: str, model: keras.Model, weights: Path, spec: ModelSpec) -> Opened:
    return replace(_checked(name, open_artifact(model), spec, weights), model=model)


def _require_media(name: str, spec: ModelSpec) -> None:
    if spec.media:
        return
    fitting = ", ".join(_entries_for_media()) or "none yet"
    raise LMFError(
        f"{name} takes features ({', '.join(spec.inputs)}), which can't be made from a media file here; or its "
        "description doesn't say what fills them: export with recipe=…. "
        f"Zoo entries that take media files: {fitting}. With features at hand, use "
        "klmf.runtime.open_artifact(…).predict."
    )


def _entries_for_media() -> list[str]:
    fitting = []
    for name, folder in known_entries().items():
        try:
            if Entry.read(folder).spec.media:
                fitting.append(name)
        except (LMFError, OSError):  # `zoo.table` tells of entries that can't be read
            continue
    return fitting


def _checked(name: str, runtime: Runtime, spec: ModelSpec, file: Path) -> Opened:
    """The model, with its spec held against its own inputs and outputs."""
    target = spec.target
    if target is None or target.classes is None:
        what = (
            "does not say what its output means" if target is None else f"gives a number for {target.name!r}"
        )
        raise LMFError(f"{name} {what}; a Recognizer needs a model for classes. Export it with recipe=….")
    if spec.inputs.keys() != runtime.inputs.keys():
        raise LMFError(
            f"{name}: its inputs are {', '.join(sorted(runtime.inputs))}, its description says "
            f"{', '.join(sorted(spec.inputs))}."
        )
    if STATE in spec.inputs:
        raise LMFError(
            f"{name} is a streaming file, which remembers chunks. Export without --chunks for a Recognizer."
        )
    if target.name not in runtime.outputs or runtime.outputs[target.name].shape != (target.size,):
        outputs = ", ".join(f"{output} {info.shape}" for output, info in runtime.outputs.items())
        raise LMFError(f"{name}: it has no output {target.name!r} of {target.size} classes, only: {outputs}.")
    if free := [key for key, info in runtime.inputs.items() if None in info.shape]:
        raise LMFError(f"{name}: the length of {', '.join(free)} is free; a Recognizer needs fixed lengths.")
    if other := [key for key, part in spec.media.items() if part.media not in ("waveform", "frames")]:
        raise LMFError(f"{name}: a Recognizer fills sound and pictures, not {', '.join(other)}.")
    by_media = {word: [key for key, part in spec.media.items() if part.media == word] for word in MEDIA}
    if several := [", ".join(keys) for keys in by_media.values() if len(keys) > 1]:
        raise LMFError(f"{name}: a clip has one sound and one face; it takes more of one kind: {several[0]}.")
    sound, face = (next(iter(by_media[word]), None) for word in ("waveform", "frames"))
    opened = Opened(
        name,
        runtime,
        spec,
        file,
        sound and _sound(name, sound, runtime.inputs[sound].shape, spec.inputs[sound].rate),
        face and _face(name, face, runtime.inputs[face].shape, spec.inputs[face].rate),
        target.classes,
    )
    if sound and face and opened.sound.seconds != opened.face.seconds:
        raise LMFError(
            f"{name}: its inputs {sound!r} and {face!r} must last equally long; they take "
            f"{float(opened.sound.seconds):g} and {float(opened.face.seconds):g} seconds."
        )
    return opened


def _sound(name: str, key: str, shape: tuple[int, ...], rate: float | None) -> SoundInput:
    if len(shape) not in MEDIA["waveform"].axes or rate is None or rate != int(rate):
        raise LMFError(
            f"{name}, input {key!r}: a waveform has the shape (samples,) and a whole number of samples a second; "
            f"received {shape} at {rate} Hz."
        )
    return SoundInput(key, shape[0], int(rate))


def _face(name: str, key: str, shape: tuple[int, ...], rate: float | None) -> FaceInput:
    lowest, highest = MEDIA["frames"].rates
    fits = len(shape) in MEDIA["frames"].axes and shape[-2] == shape[-3] and shape[-1] in (1, 3)
    if rate is None and len(shape) == 3:
        rate = PICTURES  # pictures have none of their own
    if not fits or rate is None or not lowest <= rate <= highest:
        raise LMFError(
            f"{name}, input {key!r}: faces have the shape ([frames,] size, size, 1 or 3) and {lowest:g} to "
            f"{highest:g} frames a second; received {shape} at {rate} frames a second."
        )
    frames = shape[0] if len(shape) == 4 else 1
    return FaceInput(key, frames, shape[-2], shape[-1], Fraction(rate).limit_denominator(1000))
