"""Backbones for a single picture: two-dimensional convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.backbones.sequence import dense, seed_stream
from keras_lmf.errors import LMFError
from keras_lmf.layers import RandomAffine

LEAST_CONTRAST = 1e-3


def image_cnn(
    shape: Sequence[int] = (48, 48, 1),
    *,
    filters: Sequence[int] = (32, 64, 96, 128),
    units: int = 64,
    rotation: float = 0.0,
    shift: float = 0.0,
    zoom: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Residual convolutions over a picture, (batch, height, width, channels) → (batch, units).

    Each picture is brought to mean 0 and deviation 1. A 3 × 3 convolution of stride 2 with `filters[0]` channels; for
    each of `filters`, two 3 × 3 convolutions around which the input is led (He et al., "Deep residual learning", 2016)
    and 2 × 2 maximum pooling; one dense layer on all that is left, because in a face that is found it matters where
    something is. Batch normalisation and ReLU follow every convolution and the dense layer. The receptive field of a
    number before the dense layer is 10 · 2^n − 7 pixels for n blocks.

    In training only, pictures are mirrored, turned, moved and scaled at random: `layers.RandomAffine`.

    Args:
        shape: (height, width, channels) of pictures in [0, 1].
        filters: channels of each block.
        units: width of the embedding.
        rotation: largest turn, in degrees.
        shift: largest move, as a share of height and width.
        zoom: largest change of size, as a share.
        dropout: rate before and after the dense layer, in training.
        seed: of weights, random changes and dropout; None draws one.
        name: the model's name.
    """
    if len(shape) != 3:
        raise LMFError(
            f"image_cnn takes (height, width, channels) without the batch axis, received {tuple(shape)}"
        )
    seeds = seed_stream(seed)
    inputs = keras.Input(tuple(shape), name="image")
    hidden = _standardized(inputs)
    if rotation or shift or zoom:
        hidden = RandomAffine(rotation, shift, zoom, seed=next(seeds), name="affine")(hidden)
    hidden = _convolution(hidden, filters[0], "stem", next(seeds), strides=2)
    for i, width in enumerate(filters):
        before = hidden
        if before.shape[-1] != width:
            before = keras.layers.Conv2D(
                width,
                1,
                use_bias=False,
                kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)),
                name=f"shortcut_{i}",
            )(before)
        hidden = _convolution(hidden, width, f"{i}_a", next(seeds))
        hidden = _convolution(hidden, width, f"{i}_b", next(seeds))
        hidden = keras.layers.Add(name=f"add_{i}")([hidden, before])
        hidden = keras.layers.MaxPooling2D(2, padding="same", name=f"pool_{i}")(hidden)
    hidden = keras.layers.Flatten(name="flatten")(hidden)
    hidden = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(hidden)
    hidden = dense(units, next(seeds), use_bias=False, name="embedding")(hidden)
    # Of positive numbers alone, most ReLUs would be dead within an epoch.
    hidden = keras.layers.BatchNormalization(name="norm_embedding")(hidden)
    hidden = keras.layers.Activation("relu", name="relu_embedding")(hidden)
    hidden = keras.layers.Dropout(dropout, seed=next(seeds), name="embedding_dropout")(hidden)
    return keras.Model(inputs, hidden, name=name)


def _standardized(image: Any) -> Any:
    """Each picture at mean 0 and deviation 1: exposure and contrast say nothing about a face."""
    mean = ops.mean(image, axis=(1, 2, 3), keepdims=True)
    centred = image - mean
    deviation = ops.sqrt(ops.mean(ops.square(centred), axis=(1, 2, 3), keepdims=True))
    return centred / ops.maximum(deviation, LEAST_CONTRAST)


def _convolution(hidden: Any, width: int, name: str, seed: int | None, strides: int = 1) -> Any:
    hidden = keras.layers.Conv2D(
        width,
        3,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.HeNormal(seed=seed),
        name=f"convolution_{name}",
    )(hidden)
    hidden = keras.layers.BatchNormalization(name=f"norm_{name}")(hidden)
    return keras.layers.Activation("relu", name=f"relu_{name}")(hidden)
