"""Speaker enrolment: a model's standardisation measured on the voice that it is asked about."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.media.sound import padded
from keras_lmf.recognition.opened import Opened
from keras_lmf.recognition.windows import Window, has_voice

LEAST_WINDOWS = 4
WINDOWS_AT_ONCE = 32


def enrol(opened: Opened, windows: Iterable[Window]) -> None:
    """Standardise the voice's features by their mean and variance over these windows, from now on.

    Raises:
        LMFError: a model that is no Keras model with a front end, or fewer than four windows with sound.
    """
    model, sound = opened.model, opened.sound
    name = sound and f"{sound.name}_front_end"
    layers = [] if model is None else [layer for layer in model.layers if layer.name == name]
    if not layers:
        raise LMFError(
            f"{opened.name} can't be enrolled: only a Keras model with a front end for sound can (a zoo entry or a "
            f"run). The standardisation of an exported file is fixed."
        )
    waveforms = (window.waveform for window in windows)
    rows = (padded(heard, sound.samples) for heard in waveforms if has_voice(heard, sound))
    # The features of an hour are small, its waveforms are not.
    found = [layers[0].predict_on_batch(np.stack(batch)) for batch in _batches(rows)]
    if (count := sum(map(len, found))) < LEAST_WINDOWS:
        raise LMFError(
            f"Enrolment needs {LEAST_WINDOWS} or more windows of {float(sound.seconds):g} s with sound, "
            f"received {count}. Give more of the speaker's clips, of several emotions."
        )
    features = np.concatenate(found)
    steps = features.reshape(-1, features.shape[-1]).astype(np.float64)
    steps = steps[(steps != 0).any(axis=1)]  # rows of zeros are padding
    from keras_lmf.models import set_standardization

    constant = steps.min(axis=0) == steps.max(axis=0)
    set_standardization(model, {sound.name: (steps.mean(axis=0), np.where(constant, 1.0, steps.var(axis=0)))})


def _batches(rows: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
    while batch := list(itertools.islice(rows, WINDOWS_AT_ONCE)):
        yield batch
