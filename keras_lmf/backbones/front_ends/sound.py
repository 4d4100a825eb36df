"""Front ends for sound: waveform → features of each frame, or of the whole clip.

The spectral layer is named "spectrum": int8 formats leave that one in float.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.backbones.parts import (
    FRONT_END,
    frozen,
    input_layer,
    mean_change,
    require_different,
    side_by_side,
)
from keras_lmf.layers import MFCC, LevelNormalization, LogMelSpectrogram, MelSpectrogram, StatisticsPooling

SPECTRUM = "spectrum"
DYNAMIC_RANGE = 80.0  # dB, as librosa
GE2E_UNITS = 256
GE2E_LAYERS = 4


def log_mel(
    shape: Sequence[int] = (48000,),
    *,
    sample_rate: int = 16000,
    bands: int = 64,
    dynamic_range: float = DYNAMIC_RANGE,
    name: str = FRONT_END,
) -> keras.Model:
    """Log-mel spectrogram, (batch, samples) → (batch, 1 + samples // hop, bands): 25 ms windows, one each 10 ms.

    Args:
        shape: (samples,) of a waveform in [-1, 1], zeros after its end.
        sample_rate: in Hz.
        bands: mel bands.
        dynamic_range: how far below the clip's loudest band silence begins, in dB; 0: it has no limit, so that no
            frame depends on the rest of the clip (`klmf.models.streaming_model`).
        name: the model's name.
    """
    waveform = input_layer("waveform", shape, "samples")
    layer = LogMelSpectrogram(
        **_frames(sample_rate), bands=bands, dynamic_range=dynamic_range or None, name=SPECTRUM
    )
    return frozen(waveform, layer(waveform), name)


def mfcc(
    shape: Sequence[int] = (48000,),
    *,
    sample_rate: int = 16000,
    bands: int = 64,
    coefficients: int = 20,
    dynamic_range: float = DYNAMIC_RANGE,
    name: str = FRONT_END,
) -> keras.Model:
    """Mel-frequency cepstral coefficients, (batch, samples) → (batch, 1 + samples // hop, coefficients).

    Args:
        shape, sample_rate, bands, dynamic_range: as `log_mel`.
        coefficients: from the 0th on.
        name: the model's name.
    """
    waveform = input_layer("waveform", shape, "samples")
    layer = MFCC(
        **_frames(sample_rate),
        bands=bands,
        coefficients=coefficients,
        dynamic_range=dynamic_range or None,
        name=SPECTRUM,
    )
    return frozen(waveform, layer(waveform), name)


def ge2e(
    shape: Sequence[int] = (48000,),
    *,
    sample_rate: int = 16000,
    layers: Sequence[int] = (2,),
    name: str = FRONT_END,
) -> keras.Model:
    """The GE2E speaker encoder, tapped at any of its layers: (batch, samples) at 16 kHz → (batch, 768 · n or 256).

    Clip at −30 dB (full scale = 0 dB; the original raises quiet clips to it, and trims silence) → mel power spectrogram
    (40 bands, 25 ms windows, one each 10 ms, no logarithm) → three LSTMs of 256 units → dense layer with ReLU → unit
    length. Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018; the weights of Resemblyzer
    fit it (`klmf.zoo.load_backbone`). 1.42 M weights with all layers, .83 M for layer 2.

    The receptive field is the whole clip up to a frame. Lower layers say more about emotion than the last, which was
    trained to forget all but the speaker.

    Args:
        shape: (samples,) of a waveform in [-1, 1], zeros after its end; what lies above the highest tapped layer is
            left out.
        sample_rate: in Hz; the published weights need 16000.
        layers: 1, 2, 3: mean and standard deviation, over the frames, of that LSTM's states, and mean
            absolute change from frame to frame, 768 numbers; 4: the speaker embedding, 256 numbers.
        name: the model's name.
    """
    require_different("layers of ge2e", tuple(layers), range(1, GE2E_LAYERS + 1))
    waveform = input_layer("waveform", shape, "samples")
    hidden = MelSpectrogram(sample_rate, fft_length=400, hop=160, bands=40, name=SPECTRUM)(
        LevelNormalization(name="level")(waveform)
    )
    sounds = ops.any(ops.greater(hidden, 0), axis=-1)
    taps: dict[int, Any] = {}
    # Padding is at the end, where it changes no state before it: the LSTMs need no mask.
    for i in range(1, min(max(layers), 3) + 1):
        hidden = keras.layers.LSTM(GE2E_UNITS, return_sequences=True, name=f"lstm_{i}")(hidden)
        taps[i] = hidden
    tapped = [_statistics(taps[i], sounds, i) if i in taps else _speaker(hidden, sounds) for i in layers]
    return frozen(waveform, side_by_side(tapped), name)


def _statistics(states: Any, sounds: Any, i: int) -> Any:
    """Mean and standard deviation over the frames that sound, and mean absolute change between neighbours of them."""
    moments = StatisticsPooling(name=f"pooling_{i}")(states, mask=sounds)
    return side_by_side([moments, mean_change(states, sounds, f"changes_{i}")])


def _speaker(states: Any, sounds: Any) -> Any:
    """The speaker embedding of the state at the last frame that sounds; zeros where none does."""
    steps = ops.cast(sounds, states.dtype)
    following = ops.pad(steps[:, 1:], ((0, 0), (0, 1)))
    # The last frame: none after it sounds. Summed up from the end, those after it are counted.
    later = ops.flip(ops.cumsum(ops.flip(following, axis=1), axis=1), axis=1)
    last = ops.where(later > 0, ops.zeros_like(steps), steps)
    state = ops.sum(states * ops.expand_dims(last, -1), axis=1)
    projected = keras.layers.Dense(GE2E_UNITS, activation="relu", name="linear")(state)
    length = ops.sqrt(ops.sum(ops.square(projected), axis=-1, keepdims=True))
    return projected / ops.maximum(length, 1e-5) * ops.max(steps, axis=1, keepdims=True)


def _frames(sample_rate: int) -> dict[str, int]:
    """25 ms windows in frames of the next power of two, one each 10 ms."""
    window = round(0.025 * sample_rate)
    return {
        "sample_rate": sample_rate,
        "window_length": window,
        "fft_length": 1 << (window - 1).bit_length(),
        "hop": round(0.010 * sample_rate),
    }
