"""A model that was opened for clips: what it is asked, and what it takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.media.crops import FaceInput, followed_rate
from keras_lmf.runtime import Runtime, open_artifact
from keras_lmf.spec import ModelSpec

if TYPE_CHECKING:
    import keras

SHORTEST_HOP = 0.04


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
    def single_picture(self) -> bool:
        """Whether a window is one picture, without sound."""
        return self.sound is None and self.face.frames == 1

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
