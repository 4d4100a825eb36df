"""Whisper's encoder as a front end for sound: waveform → features of every 20 ms, or of the whole clip."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.backbones.front_ends.sound import SPECTRUM
from keras_lmf.backbones.parts import FRONT_END, frozen, input_layer, require_different, side_by_side
from keras_lmf.layers import LogMelSpectrogram, Positions, StatisticsPooling

BLOCKS = 4
STATISTICS = ("mean", "deviation")
UNITS, HEADS, HIDDEN = 384, 6, 1536
HOP, BANDS = 160, 80
STRIDES = {1: 1, 2: 2}  # of the convolutions
STEP = 2 * HOP  # samples
# What it was trained on ends in silence, and .2 s of it do as well as 30.
SILENT_STEPS = 10
LEVEL = -23.0
LEAST = 1e-10  # mean square: what is quieter than -100 dB stays quieter than `LEVEL`
RANKS = 64, 96  # of the compressed convolutions' kernels


def whisper(
    shape: Sequence[int] = (48000,),
    *,
    sample_rate: int = 16000,
    layers: Sequence[int] = (1, 2, 3),
    active_decibels: float = 35.0,
    name: str = FRONT_END,
) -> keras.Model:
    """The encoder of Whisper tiny.en, tapped at any block: (batch, samples) at 16 kHz → (batch, steps, 384 · n).

    Steps of 20 ms, ⌈samples / 320⌉ of them. Level −23 dB over the active steps (full scale = 0 dB) → log-mel
    spectrogram (80 bands, 25 ms windows, one each 10 ms, at most 80 dB below the window's maximum) → two convolutions
    with GELU → sinusoids of position → blocks of attention (6 heads) and feed-forward layers (1536 units, GELU), each
    behind a layer normalisation. Radford et al., "Robust speech recognition via large-scale weak supervision", ICML
    2023; its weights fit it (`klmf.zoo.load_backbone`). 2.3 M weights with one block, 1.8 M more with each further one.

    The receptive field is the whole clip. Nothing is filled up to 30 s as in the original: the encoder hears the clip
    and .2 s of silence after it, however long the window is. A step that is silent, or quieter than the loudest by more
    than `active_decibels`, is heard, and comes out as zeros: absent. Beyond both ends of the window lie zeros, where
    the original mirrors the sound.

    Args:
        shape: (samples,) of a waveform in [-1, 1], zeros after its end; blocks above the highest tapped one are left
            out.
        sample_rate: in Hz; the published weights need 16000.
        layers: of 1 to 4: the blocks whose output is taken, 384 numbers each, beside one another.
        active_decibels: how far below the loudest step others may be, in dB, above 0.
        name: the model's name.
    """
    waveform, taps, active = _encoded(shape, sample_rate, layers, active_decibels)
    steps = side_by_side(taps)
    there = ops.expand_dims(active, -1)
    return frozen(waveform, ops.where(there, steps, ops.zeros_like(steps)), name)


def whisper_statistics(
    shape: Sequence[int] = (48000,),
    *,
    sample_rate: int = 16000,
    layers: Sequence[int] = (1, 2, 3),
    statistics: Sequence[str] = ("mean",),
    active_decibels: float = 35.0,
    name: str = FRONT_END,
) -> keras.Model:
    """`whisper`, and statistics over the active steps: (batch, samples) at 16 kHz → (batch, 384 · layers · statistics).

    For each tapped block its statistics, beside one another. A silent clip gives zeros.

    Args:
        shape, sample_rate, layers, active_decibels: as `whisper`.
        statistics: "mean", "deviation": the standard deviation.
        name: the model's name.
    """
    require_different("statistics of whisper_statistics", tuple(statistics), STATISTICS)
    waveform, taps, active = _encoded(shape, sample_rate, layers, active_decibels)
    found = []
    for block, tap in zip(layers, taps):
        moments = StatisticsPooling(name=f"pooling_{block}")(tap, mask=active)
        found += [moments[:, i * UNITS : (i + 1) * UNITS] for i in map(STATISTICS.index, statistics)]
    return frozen(waveform, side_by_side(found), name)


def whisper_convolutions(
    shape: Sequence[int] = (48000,),
    *,
    sample_rate: int = 16000,
    statistics: Sequence[str] = STATISTICS,
    active_decibels: float = 35.0,
    name: str = FRONT_END,
) -> keras.Model:
    """The lower end of `whisper`, compressed: (batch, samples) at 16 kHz → statistics (batch, 384 · statistics).

    Level, spectrogram and the two convolutions with GELU are `whisper`'s. Each kernel is a product of two factors, of
    rank 64 and 96: a convolution without bias, then a dense layer, 188 k weights instead of 535 k. Then come statistics
    over the active steps. The receptive field of a step is 65 ms, that of the level the whole clip. Weights that fit it
    are cut from Whisper's (`klmf.models.low_rank_kernel`). A silent clip gives zeros.

    Args:
        shape, sample_rate, active_decibels: as `whisper`.
        statistics: "mean", "deviation": the standard deviation.
        name: the model's name.
    """
    require_different("statistics of whisper_convolutions", tuple(statistics), STATISTICS)
    waveform, mel, heard, active = _prepared(shape, sample_rate, active_decibels)
    hidden = _stem(mel, heard, _low_rank_convolution)[:, : active.shape[1]]
    moments = StatisticsPooling(name="pooling")(hidden, mask=active)
    found = [moments[:, i * UNITS : (i + 1) * UNITS] for i in map(STATISTICS.index, statistics)]
    return frozen(waveform, side_by_side(found), name)


def _encoded(
    shape: Sequence[int], sample_rate: int, layers: Sequence[int], active_decibels: float
) -> tuple[Any, list[Any], Any]:
    """The input, the tapped blocks (batch, steps, 384), and which steps are active (batch, steps)."""
    require_different("layers of whisper", tuple(layers), range(1, BLOCKS + 1))
    waveform, mel, heard, active = _prepared(shape, sample_rate, active_decibels)
    hidden = Positions(name="positions")(_stem(mel, heard, _convolution))
    taps = {}
    for block in range(1, max(layers) + 1):
        hidden = _block(hidden, heard, f"block_{block}")
        taps[block] = hidden[:, : active.shape[1]]
    return waveform, [taps[block] for block in layers], active


def _prepared(shape: Sequence[int], sample_rate: int, active_decibels: float) -> tuple[Any, Any, Any, Any]:
    """The input, its spectrogram (batch, 2 · heard steps, bands), which steps are heard, and which of the clip's own
    are active."""
    waveform = input_layer("waveform", shape, "samples")
    count = -(-shape[0] // STEP)
    padded = ops.pad(ops.cast(waveform, "float32"), ((0, 0), (0, (count + SILENT_STEPS) * STEP - shape[0])))
    powers = ops.mean(ops.square(ops.reshape(padded, (-1, count + SILENT_STEPS, STEP))), axis=-1)
    loudest = ops.max(powers, axis=-1, keepdims=True)
    active = ops.logical_and(powers > loudest * 10 ** (-active_decibels / 10), powers > 0)
    active_steps = ops.cast(active, "float32")
    level = ops.sum(powers * active_steps, axis=-1, keepdims=True) / ops.maximum(
        ops.sum(active_steps, axis=-1, keepdims=True), 1.0
    )
    scaled = padded * (10 ** (LEVEL / 20) * ops.rsqrt(ops.maximum(level, LEAST)))
    heard = _heard(ops.cast(powers > 0, "float32"))
    return waveform, _log_mel(scaled, sample_rate), heard, active[:, :count]


def _heard(sounds: Any) -> Any:
    """1 for each step up to the last that sounds, and for those of the silence after it; 0 for the rest."""
    # Summed up from the end: how many sound from here on.
    left = ops.flip(ops.cumsum(ops.flip(sounds, axis=1), axis=1), axis=1)
    before = ops.pad(left, ((0, 0), (SILENT_STEPS, 0)), constant_values=1.0)[:, : sounds.shape[1]]
    return ops.cast(before > 0, "float32")


def _log_mel(waveform: Any, sample_rate: int) -> Any:
    """Whisper's: (log10(power) + 4) / 4, where a silent frame has the least that a frame may have."""
    decibels = LogMelSpectrogram(sample_rate, fft_length=400, hop=HOP, bands=BANDS, name=SPECTRUM)(waveform)
    decibels = decibels[:, : waveform.shape[1] // HOP]
    quietest = 10 * math.log10(LogMelSpectrogram.FLOOR)
    silent = ops.all(ops.equal(decibels, 0), axis=-1, keepdims=True)
    decibels = ops.where(silent, quietest * ops.ones_like(decibels), decibels)
    loudest = ops.max(decibels, axis=(1, 2), keepdims=True)
    return ops.maximum(decibels, loudest - 80.0) / 40.0 + 1.0


def _stem(mel: Any, heard: Any, convolution: Callable[[Any, int], Any]) -> Any:
    """Two convolutions, (batch, 2 · steps, bands) → (batch, steps, units), of the heard frames, with nothing around.

    `convolution` is the first or the second without padding and activation.
    """
    frames = ops.expand_dims(ops.repeat(heard, 2, axis=1), -1)
    hidden = mel
    for i in STRIDES:
        hidden = ops.pad(hidden * ops.cast(frames, hidden.dtype), ((0, 0), (1, 1), (0, 0)))
        hidden = ops.gelu(convolution(hidden, i), approximate=False)
    return hidden


def _convolution(hidden: Any, i: int) -> Any:
    return keras.layers.Conv1D(UNITS, 3, strides=STRIDES[i], name=f"convolution_{i}")(hidden)


def _low_rank_convolution(hidden: Any, i: int) -> Any:
    """The kernel of `_convolution` as a product of two."""
    narrow = keras.layers.Conv1D(
        RANKS[i - 1], 3, strides=STRIDES[i], use_bias=False, name=f"convolution_{i}_narrow"
    )
    return keras.layers.Dense(UNITS, name=f"convolution_{i}_wide")(narrow(hidden))


def _block(steps: Any, heard: Any, name: str) -> Any:
    """What attention and then two dense layers add to the steps, which are normalised before each."""

    def normalized(hidden: Any, word: str) -> Any:
        return keras.layers.LayerNormalization(epsilon=1e-5, name=f"{name}_{word}_norm")(hidden)

    def heads(word: str, use_bias: bool = True) -> Any:
        hidden = keras.layers.Dense(UNITS, use_bias=use_bias, name=f"{name}_{word}")(inputs)
        split = ops.reshape(hidden, (-1, steps.shape[1], HEADS, UNITS // HEADS))
        return ops.transpose(split, (0, 2, 1, 3))

    inputs = normalized(steps, "attention")
    # The softmax would take away what a bias of the keys adds.
    queries, keys, values = heads("query"), heads("key", use_bias=False), heads("value")
    scores = ops.matmul(queries * (UNITS // HEADS) ** -0.5, ops.transpose(keys, (0, 1, 3, 2)))
    scores = ops.cast(scores, "float32")
    there = ops.expand_dims(ops.expand_dims(heard, 1), 1) > 0
    weights = ops.softmax(ops.where(there, scores, -1e9 * ops.ones_like(scores)), axis=-1)
    seen = ops.transpose(ops.matmul(ops.cast(weights, values.dtype), values), (0, 2, 1, 3))
    seen = ops.reshape(seen, (-1, steps.shape[1], UNITS))
    steps = steps + keras.layers.Dense(UNITS, name=f"{name}_output")(seen)
    hidden = keras.layers.Dense(HIDDEN, name=f"{name}_hidden")(normalized(steps, "hidden"))
    hidden = ops.gelu(hidden, approximate=False)
    return steps + keras.layers.Dense(UNITS, name=f"{name}_answer")(hidden)
