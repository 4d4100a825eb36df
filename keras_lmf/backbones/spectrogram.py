"""Backbones that take features over time as a picture, (steps, bands): convolutional and convolutional-recurrent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.backbones.parts import convolution, embedding
from keras_lmf.backbones.sequence import bidirectional, standardized
from keras_lmf.layers import SpecAugment, StatisticsPooling


def spectrogram_cnn(
    shape: Sequence[int],
    *,
    filters: Sequence[int] = (16, 32, 64),
    units: int = 64,
    band_width: int = 0,
    step_width: int = 0,
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Two-dimensional convolutions over time and bands, (batch, steps, bands) → (batch, units).

    The reference paper's audio network (Kumar & Martin, section III): blocks of 3 × 3 convolution, batch normalisation,
    ReLU and 2 × 2 maximum pooling; then, beyond the paper, mean and deviation over the steps that are no padding, and
    one dense layer with ReLU. The receptive field is 3 · 2^n − 2 steps and bands for n blocks, then the whole clip.
    Padding after the clip changes nothing, however much there is.

    Args:
        shape: (steps, bands).
        filters: of each block.
        units: width of the embedding.
        band_width: bands under each of two SpecAugment masks, at most; 0 for none. In training only.
        step_width: steps under each of two SpecAugment masks, at most; 0 for none. In training only.
        input_dropout, input_noise, dropout, seed, name: as `mlp`.
    """
    inputs, hidden, mask, seeds = _picture(shape, band_width, step_width, input_dropout, input_noise, seed)
    for i, width in enumerate(filters):
        hidden, mask = _block(hidden, mask, i, width, 2, dropout, seeds)
    pooled = StatisticsPooling(name="pooling")(_flat(hidden), mask=mask)
    return keras.Model(inputs, embedding(pooled, units, dropout, seeds), name=name)


def spectrogram_crnn(
    shape: Sequence[int],
    *,
    filters: Sequence[int] = (16, 32, 64),
    units: int = 64,
    band_width: int = 0,
    step_width: int = 0,
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Convolutions as `spectrogram_cnn`, then a GRU in each direction: (batch, steps, bands) → (batch, 4 · units).

    The first block halves the steps, the others the bands alone, so that the GRUs keep a step each 20 ms. Mean and
    deviation of their states. Choi et al., "Convolutional recurrent neural networks for music classification", 2017.

    Arguments as `spectrogram_cnn`; `units` is the width of each GRU.
    """
    inputs, hidden, mask, seeds = _picture(shape, band_width, step_width, input_dropout, input_noise, seed)
    for i, width in enumerate(filters):
        hidden, mask = _block(hidden, mask, i, width, 1 if i else 2, dropout, seeds)
    states = bidirectional(keras.layers.GRU, units, seeds, "bigru")(_flat(hidden), mask=mask)
    pooled = StatisticsPooling(name="pooling")(states, mask=mask)
    pooled = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(pooled)
    return keras.Model(inputs, pooled, name=name)


def _picture(
    shape: Sequence[int],
    band_width: int,
    step_width: int,
    input_dropout: float,
    input_noise: float,
    seed: int | None,
) -> tuple[Any, Any, Any, Iterator[int | None]]:
    """Input, standardised features with one channel and zeros for padding, mask of the steps, the next seeds."""
    inputs, features, seeds = standardized(shape, 2, input_dropout, input_noise, seed)
    mask = ops.any(ops.not_equal(inputs, 0), axis=-1)
    if band_width or step_width:
        features = SpecAugment(
            band_masks=2, band_width=band_width, step_masks=2, step_width=step_width, seed=next(seeds),
            name="spec_augment",
        )(features)  # fmt: skip
    features = ops.where(ops.expand_dims(mask, -1), features, 0.0)
    return inputs, ops.expand_dims(features, -1), mask, seeds


def _block(
    hidden: Any, mask: Any, i: int, width: int, pooled_steps: int, dropout: float, seeds: Iterator[int | None]
) -> tuple[Any, Any]:
    """Convolution, normalisation, ReLU, pooling; the mask keeps step with them."""
    hidden = convolution(width, 3, next(seeds), f"convolution_{i}")(hidden)
    hidden = keras.layers.BatchNormalization(name=f"norm_{i}")(hidden)
    hidden = keras.layers.Activation("relu", name=f"relu_{i}")(hidden)
    # The norm's shift makes numbers of padding, which the next convolution would bring into the clip's last steps.
    hidden = hidden * ops.cast(mask[:, :, None, None], hidden.dtype)
    # "same": the last one of an odd number is kept, as it is where padding follows.
    hidden = keras.layers.MaxPooling2D((pooled_steps, 2), padding="same", name=f"pool_{i}")(hidden)
    if dropout:
        # Whole feature maps: neighbouring steps and bands say much the same.
        hidden = keras.layers.SpatialDropout2D(dropout, seed=next(seeds), name=f"dropout_{i}")(hidden)
    return hidden, mask[:, ::pooled_steps]


def _flat(hidden: Any) -> Any:
    """Bands and channels as one axis."""
    _, steps, bands, channels = hidden.shape
    return ops.reshape(hidden, (-1, steps, bands * channels))
