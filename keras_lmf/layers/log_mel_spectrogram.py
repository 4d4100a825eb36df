"""Mel spectrogram in decibels, clip by clip."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import Tensor
from keras_lmf.layers.mel_spectrogram import MelSpectrogram


@keras.saving.register_keras_serializable("keras_lmf")
class LogMelSpectrogram(MelSpectrogram):
    """Waveform → decibels in mel bands, as `librosa.power_to_db` of librosa's mel spectrogram.

    10 · log10(power), of at least 1e-10, and not further than `dynamic_range` below the loudest band of the same clip.
    (Keras's own `MelSpectrogram` takes the loudest of the batch: a clip's features depend on its neighbours.)

    A frame whose samples are all 0 is a row of zeros: padding, which `keras.layers.Masking` reads as absent.

    Input: (batch, samples) in [-1, 1]. Output: (batch, 1 + samples // hop, bands).

    Args:
        dynamic_range: in dB, > 0; None: no limit.
        sample_rate, fft_length, hop, bands, window_length, lowest, highest: as `MelSpectrogram`.

    >>> import numpy as np
    >>> silence = np.zeros((1, 16000), "float32")
    >>> bool((np.asarray(LogMelSpectrogram()(silence)) == 0).all())
    True
    """

    ARGUMENTS = (*MelSpectrogram.ARGUMENTS, "dynamic_range")
    FLOOR = 1e-10

    def __init__(self, *args: Any, dynamic_range: float | None = 80.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if dynamic_range is not None and not (isinstance(dynamic_range, int | float) and dynamic_range > 0):
            raise LMFError(f"{self.name}: dynamic_range must be above 0 dB, received {dynamic_range!r}")
        self.dynamic_range = dynamic_range

    def call(self, inputs: Tensor) -> Tensor:
        power = super().call(inputs)
        decibels = ops.log(ops.maximum(power, self.FLOOR)) * (10 / math.log(10))
        if self.dynamic_range is not None:
            loudest = ops.max(decibels, axis=(1, 2), keepdims=True)
            decibels = ops.maximum(decibels, loudest - self.dynamic_range)
        sounds = ops.any(ops.greater(power, 0), axis=-1, keepdims=True)
        return ops.where(sounds, decibels, ops.zeros_like(decibels))
