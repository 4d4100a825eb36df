"""What can be recognised with: a zoo entry, a run or an exported file, each with what is known of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.locate import EXPORTED, WEIGHTS, known_entries, locate
from keras_lmf.media.crops import FaceInput, followed_rate
from keras_lmf.recipe import run_spec
from keras_lmf.runtime import Runtime, open_artifact, prefers_tflite
from keras_lmf.sidecar import Document, Sidecar
from keras_lmf.spec import MEDIA, STATE, ModelSpec
from keras_lmf.zoo import fetching, loading
from keras_lmf.zoo.entry import Entry

if TYPE_CHECKING:
    import keras

SHORTEST_HOP = 0.04
PICTURES = 5.0  # that a model of single pictures is asked about, a second


@dataclass(frozen=True)
class SoundInput:
    """The input that takes the waveform.

    Attributes:
        name: of the input.
        samples: its length.
        rate: samples a second.
    """

    name: str
    samples: int
    rate: int

    @property
    def seconds(self) -> Fraction:
        """The length of a window."""
        return Fraction(self.samples, self.rate)


@dataclass(frozen=True)
class Opened:
    """A model that names the emotion of a clip: of its sound, of the face in it, or of both.

    Attributes:
        name: as messages call it.
        runtime: runs it.
        spec: what is known of it; `target` has classes.
        file: that answers: a `.tflite` or `.onnx`, the weights of a Keras model, or the folder of a SavedModel.
        sound: the input that takes the waveform; None without one.
        face: the input that takes the face; None without one.
        labels: the classes that it is asked about, in the model's order.
        model: the Keras model, where it is one.
    """

    name: str
    runtime: Runtime
    spec: ModelSpec
    file: Path
    sound: SoundInput | None
    face: FaceInput | None
    labels: tuple[str, ...]
    model: keras.Model | None = None

    @property
    def media(self) -> tuple[str, ...]:
        """The inputs that a media file fills."""
        return tuple(part.name for part in (self.sound, self.face) if part)

    @property
    def modalities(self) -> tuple[str, ...]:
        """All inputs, sound and face first: files keep no order."""
        return (*self.media, *(name for name in self.spec.inputs if name not in self.media))

    @property
    def temperature(self) -> float:
        """By which its logits are divided before the softmax, where every modality is there."""
        return self.spec.temperature_of(self.spec.inputs)

    @property
    def seconds(self) -> float:
        """The length of a window."""
        return float((self.sound or self.face).seconds)

    @property
    def least_hop(self) -> float:
        """The fewest seconds from one window's start to the next: a window starts with a frame."""
        # A model of single pictures may take one as short as a window.
        step = float(1 / followed_rate(self.face)) if self.face else 0.0
        return min(self.seconds, max(SHORTEST_HOP, step))

    @property
    def hop(self) -> float:
        """The same where nothing else is asked for: half a window."""
        return max(self.seconds / 2, self.least_hop)

    @cached_property
    def of_nothing(self) -> np.ndarray:
        """(labels,): the logits without any modality."""
        absent = {key: np.zeros((1, *info.shape), info.dtype) for key, info in self.runtime.inputs.items()}
        return self.logits(absent)[0]

    def logits(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """(N, labels) of what the model takes."""
        classes = self.spec.target.classes
        return self.runtime.predict(inputs)[self.spec.target.name][:, list(map(classes.index, self.labels))]

    @cached_property
    def embedding(self) -> Runtime:
        """Gives the vector before the layer that gives the logits, as its one output.

        Raises:
            LMFError: no Keras model, or one whose answer isn't made of one vector.
        """
        if self.model is None:
            recipe = f", of the recipe {self.spec.recipe.name!r}" if self.spec.recipe else ""
            raise LMFError(
                f"{self.name} gives its answers alone: what is inside {self.file.name} can't be read. Embeddings need "
                f"Keras: give the zoo entry or the run that it was exported from{recipe}. Of an entry, with "
                f"runtime='keras' (--runtime keras)."
            )
        from keras_lmf.models import embedding_model

        return open_artifact(embedding_model(self.model, self.spec.target.name))

    @property
    def embedding_width(self) -> int:
        """Of that vector."""
        return next(iter(self.embedding.outputs.values())).shape[0]

    def embed(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """(N, embedding_width) of what the model takes."""
        return next(iter(self.embedding.predict(inputs).values()))

    def among(self, emotions: Collection[str]) -> Opened:
        """The model, asked about these of its labels alone.

        Raises:
            LMFError: an unknown label, or fewer than two.
        """
        if isinstance(emotions, str):
            raise LMFError(f"'emotions' takes a list of labels, received {emotions!r}: emotions=[…].")
        for emotion in emotions:
            if emotion not in self.labels:
                raise unknown_name(f"emotion of {self.name}:", emotion, self.labels)
        labels = tuple(label for label in self.labels if label in emotions)
        if len(labels) < 2:
            raise LMFError(
                f"'emotions' takes two or more labels, received {', '.join(labels) or 'none'}. {self.name} has "
                f"{', '.join(self.labels)}."
            )
        return replace(self, labels=labels)


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
