"""Speaker enrolment: a voice that a model heard before it is asked about it, and the file that keeps it."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.files import write_atomically
from keras_lmf.recognition.inputs import inputs_of, windows_at_once
from keras_lmf.recognition.judgement import probabilities
from keras_lmf.recognition.opened import Opened
from keras_lmf.recognition.windows import Window

if TYPE_CHECKING:
    import keras

SUFFIX = ".npz"
MOST_BYTES = 2**24
# Clips of one mood: five or more, more than four fifths of which get the same answer.
LEAST_CLIPS, MOST_OF_ONE = 5, 0.8

Clips = Sequence[tuple[str, Iterator[Window]]]


@dataclass(frozen=True, eq=False)
class Enrolment:
    """A speaker, as a model hears one.

    Attributes:
        mean: (width,) float64, of the front end's features: the mean over the clips of each one's mean over its steps.
        clips: how many.
        model: the name of the recipe that the model was built from.
        recipe: that recipe's sha256; it says which front end the features are of.
    """

    mean: np.ndarray
    clips: int
    model: str
    recipe: str

    def save(self, path: str | Path) -> Path:
        """Writes an .npz of the four attributes, whole or not at all; returns its path.

        Raises:
            LMFError: the path doesn't end in .npz.
        """
        path = Path(path)
        if path.suffix != SUFFIX:
            raise LMFError(
                f"{path}: an enrolment is saved as {SUFFIX}, received {path.suffix or 'no suffix'!r}."
            )
        arrays = {name: np.asarray(value) for name, value in vars(self).items()}
        return write_atomically(path, lambda temporary: np.savez(temporary, **arrays))

    @classmethod
    def read(cls, path: str | Path) -> Enrolment:
        """What `save` wrote.

        Raises:
            LMFError: no such file, or one that holds something else. Nothing is unpickled.
        """
        from keras_lmf.data.npz import read_npz  # brings all corpora, which an answer needn't wait for

        arrays = read_npz(path, cls.__annotations__, most=MOST_BYTES)
        mean, clips, *names = (arrays[key] for key in cls.__annotations__)
        if mean.ndim != 1 or mean.dtype.kind != "f" or not np.isfinite(mean).all():
            raise LMFError(
                f"{path}: 'mean' is {mean.dtype} of shape {mean.shape}; it takes finite numbers (width,)."
            )
        if clips.shape or clips.dtype.kind not in "iu" or clips < 1:
            raise LMFError(f"{path}: 'clips' takes a whole number from 1, received {clips!s:.100}.")
        for key, name in zip(("model", "recipe"), names):
            if name.shape or name.dtype.kind != "U":
                raise LMFError(
                    f"{path}: {key!r} takes one string, received {name.dtype} of shape {name.shape}."
                )
        return cls(mean.astype(np.float64), int(clips), *map(str, names))


def is_stored(given: object) -> bool:
    """Whether it is the path of a stored enrolment, and no clip."""
    return isinstance(given, str | Path) and Path(given).suffix.lower() == SUFFIX


def require_enrollable(opened: Opened) -> None:
    """Raises an LMFError for a model that can't be enrolled."""
    _with_features(opened)


def measure(opened: Opened, clips: Clips) -> Enrolment:
    """The speaker in these clips, each of which counts once, however long it is.

    Args:
        opened: the model, not enrolled.
        clips: name and windows of each, one or more. Windows overlap: what is in two of them counts twice in its clip.

    Raises:
        LMFError: a model that can't be enrolled, or a clip without sound.

    Warns:
        UserWarning: five or more clips, to more than four fifths of which the model, not enrolled, gives one answer.
    """
    model = _with_features(opened)
    width = model.outputs[0].shape[-1]
    sums, steps = np.zeros((len(clips), width)), np.zeros((len(clips), 1))
    shares = np.zeros((len(clips), opened.spec.target.size))
    windows = ((place, window) for place, (_, found) in enumerate(clips) for window in found)
    # The features of an hour are small, its waveforms are not.
    while batch := list(itertools.islice(windows, windows_at_once(opened))):
        inputs = inputs_of(opened, [window for _, window in batch], {})
        heard = inputs[opened.sound.name].any(axis=1)
        features, logits = model.predict_on_batch(inputs)
        features = features.reshape(len(batch), -1, width)[heard].astype(np.float64)
        there = {opened.sound.name: heard[heard]}
        place = np.array([place for place, _ in batch])[heard]
        np.add.at(sums, place, features.sum(axis=1))
        # A step of zeros is padding.
        np.add.at(steps, place, (features != 0).any(axis=-1).sum(axis=1, keepdims=True))
        np.add.at(shares, place, probabilities(opened, there, logits[heard]))
    for (name, _), count in zip(clips, steps):
        if not count:
            raise LMFError(f"{name}: there is no sound in it that could be enrolled. Leave it out.")
    if opened.spec.presence == "derived" or len(opened.spec.inputs) == 1:
        _warn_of_one_mood(opened, shares.argmax(axis=1))
    recipe = opened.spec.recipe
    return Enrolment((sums / steps).mean(axis=0), len(clips), recipe.name, recipe.sha256)


def enrol(opened: Opened, enrolment: Enrolment) -> None:
    """The model answers about this speaker from now on.

    Raises:
        LMFError: a model that can't be enrolled, or an enrolment of another one.
    """
    width, recipe = _with_features(opened).outputs[0].shape[-1], opened.spec.recipe
    same = (recipe.name, recipe.sha256) == (enrolment.model, enrolment.recipe)
    if not same or enrolment.mean.shape != (width,):
        raise LMFError(
            f"The stored enrolment is of {enrolment.model} (recipe {enrolment.recipe:.12}), the model is {recipe.name} "
            f"({recipe.sha256:.12}), which hears a voice otherwise. Enrol the speaker's clips with this model."
        )
    from keras_lmf.models.enrolment import enrol as moved

    moved(opened.model, opened.sound.name, enrolment.mean, enrolment.clips)


def _with_features(opened: Opened) -> keras.Model:
    """The model that gives the voice's features too."""
    found = None
    if opened.model is not None and opened.sound is not None:
        from keras_lmf.models.enrolment import with_features

        found = with_features(opened.model, opened.sound.name, opened.spec.target.name)
    if found is None:
        raise LMFError(
            f"{opened.name} can't be enrolled: only a Keras model that standardises what a front end for sound gives "
            f"can (a zoo entry or a run). In an exported file this is fixed."
        )
    return found


def _warn_of_one_mood(opened: Opened, answers: np.ndarray) -> None:
    counts = np.bincount(answers)
    if len(answers) >= LEAST_CLIPS and counts.max() > MOST_OF_ONE * len(answers):
        mood = opened.spec.target.classes[counts.argmax()]
        warnings.warn(
            f"The clips to enrol sound like one mood: {opened.name} answers {mood!r} to {counts.max()} of "
            f"{len(answers)}. Enrolment takes away what all clips share, so this mood is no longer heard. Give "
            f"clips of several moods; of a speaker who has one mood only, enrol none.",
            stacklevel=5,
        )
