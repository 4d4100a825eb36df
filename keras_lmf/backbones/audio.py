"""Audio backbones, waveform → embedding: a front end, then a backbone for its features.

Each takes (batch, samples) in [-1, 1], zeros after the clip's end, and keeps padding out of the embedding. Arguments
beside the front end's are those of the backbone for features. The code's licence is the package's, Apache-2.0; only
`ge2e` has published weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_lmf.backbones.front_ends import log_mel, mfcc, sound
from keras_lmf.backbones.front_ends.sound import DYNAMIC_RANGE
from keras_lmf.backbones.parts import joined
from keras_lmf.backbones.sequence import bilstm, lstm, mlp
from keras_lmf.backbones.spectrogram import spectrogram_cnn, spectrogram_crnn


def log_mel_cnn(
    shape: Sequence[int] = (48000,),
    *,
    sample_rate: int = 16000,
    bands: int = 64,
    dynamic_range: float = DYNAMIC_RANGE,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """Log-mel spectrogram → two-dimensional convolutions: the reference paper's. (batch, samples) → (batch, units).

    Kumar & Martin, section III. `front_ends.log_mel`, then `spectrogram_cnn`, which takes `options`. Waveforms in
    [-1, 1] at `sample_rate`. With the defaults 89,361 parameters; receptive field 22 frames (235 ms), then the whole
    clip. Code Apache-2.0, no published weights.

    >>> log_mel_cnn((16000,), filters=(8, 16), units=32).output_shape
    (None, 32)
    """
    return joined(
        log_mel(shape, sample_rate=sample_rate, bands=bands, dynamic_range=dynamic_range),
        spectrogram_cnn,
        name,
        options,
    )


def crnn(
    shape: Sequence[int] = (48000,),
    *,
    sample_rate: int = 16000,
    bands: int = 64,
    dynamic_range: float = DYNAMIC_RANGE,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """Log-mel spectrogram → convolutions → GRUs. (batch, samples) → (batch, 4 · units).

    Choi et al. 2017. `front_ends.log_mel`, then `spectrogram_crnn`, which takes `options`. Waveforms in [-1, 1] at
    `sample_rate`. With the defaults 245,713 parameters; receptive field 12 frames (135 ms), then the whole clip by the
    GRUs. Code Apache-2.0, no published weights.
    """
    return joined(
        log_mel(shape, sample_rate=sample_rate, bands=bands, dynamic_range=dynamic_range),
        spectrogram_crnn,
        name,
        options,
    )


def mfcc_lstm(
    shape: Sequence[int] = (48000,),
    *,
    sample_rate: int = 16000,
    coefficients: int = 20,
    dynamic_range: float = DYNAMIC_RANGE,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """MFCC → LSTM, its last state. (batch, samples) → (batch, units).

    Kumar & Martin, section III. `front_ends.mfcc`, then `lstm`, which takes `options`. Waveforms in [-1, 1] at
    `sample_rate`. With the defaults 21,801 parameters; receptive field the whole clip. Code Apache-2.0, no published
    weights.
    """
    return joined(
        mfcc(shape, sample_rate=sample_rate, coefficients=coefficients, dynamic_range=dynamic_range),
        lstm,
        name,
        options,
    )


def mfcc_bilstm(
    shape: Sequence[int] = (48000,),
    *,
    sample_rate: int = 16000,
    coefficients: int = 20,
    dynamic_range: float = DYNAMIC_RANGE,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """MFCC → LSTM in each direction, mean and deviation of their states. (batch, samples) → (batch, 4 · units).

    Kumar & Martin, section III; Graves & Schmidhuber 2005. `front_ends.mfcc`, then `bilstm`, which takes `options`.
    Waveforms in [-1, 1] at `sample_rate`. With the defaults 43,561 parameters; receptive field the whole clip. Code
    Apache-2.0, no published weights.
    """
    return joined(
        mfcc(shape, sample_rate=sample_rate, coefficients=coefficients, dynamic_range=dynamic_range),
        bilstm,
        name,
        options,
    )


def ge2e(
    shape: Sequence[int] = (48000,), *, layers: Sequence[int] = (2,), name: str | None = None, **options: Any
) -> keras.Model:
    """The GE2E speaker encoder's states → dense layers. (batch, samples) at 16 kHz → (batch, units[-1]).

    Wan et al. 2018. `front_ends.ge2e`, then `mlp`, which takes `options`. Waveforms in [-1, 1] at 16 kHz. With the
    defaults 880,193 parameters; receptive field the whole clip. Code Apache-2.0. Random weights; the published ones
    (Resemblyzer, Apache-2.0, 1.42 M numbers with all layers) come with `klmf.zoo.load_backbone("ge2e")`.
    """
    return joined(sound.ge2e(shape, layers=layers), mlp, name, options)
