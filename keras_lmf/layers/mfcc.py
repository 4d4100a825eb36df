"""Mel-frequency cepstral coefficients, clip by clip."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_lmf.layers import spectral
from keras_lmf.layers.base import Shape, Tensor
from keras_lmf.layers.log_mel_spectrogram import LogMelSpectrogram


@keras.saving.register_keras_serializable("keras_lmf")
class MFCC(LogMelSpectrogram):
    """Waveform → mel-frequency cepstral coefficients, as `librosa.feature.mfcc`.

    The orthonormal cosine transform (DCT-II) of `LogMelSpectrogram`'s decibels. Davis & Mermelstein 1980.

    Input: (batch, samples) in [-1, 1]. Output: (batch, 1 + samples // hop, coefficients); padding frames are zero.

    Args:
        coefficients: how many, from the 0th on; at most `bands`.
        dynamic_range, sample_rate, fft_length, hop, bands, window_length, lowest, highest: as `LogMelSpectrogram`.

    >>> import numpy as np
    >>> MFCC(coefficients=13)(np.ones((2, 16000), "float32")).shape[1:] == (101, 13)
    True
    """

    ARGUMENTS = (*LogMelSpectrogram.ARGUMENTS, "coefficients")

    def __init__(self, *args: Any, coefficients: int = 20, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.coefficients = coefficients
        self.require_whole(1, "coefficients", most=self.bands)

    def build(self, input_shape: Shape) -> None:
        self._cosines = spectral.cosine_transform(self.bands, self.coefficients).astype("float32")
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.matmul(super().call(inputs), self._cosines)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*super().compute_output_shape(input_shape)[:-1], self.coefficients)
