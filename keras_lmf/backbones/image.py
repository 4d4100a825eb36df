"""Backbones for a single picture: two-dimensional convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.backbones.parts import convolution, input_layer, seed_stream
from keras_lmf.errors import LMFError
from keras_lmf.layers import MirrorAverage, RandomAffine

LEAST_CONTRAST = 1e-3
LEAST_ERASED = 0.02


def image_cnn(
    shape: Sequence[int] = (48, 48, 1),
    *,
    filters: Sequence[int] = (16, 32, 64, 128, 192),
    rotation: float = 0.0,
    shift: float = 0.0,
    zoom: float = 0.0,
    erasing: float = 0.0,
    dropout: float = 0.0,
    mirror: bool = False,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Residual convolutions over a picture, (batch, height, width, channels) → (batch, filters[-1]).

    Each picture is brought to mean 0 and deviation 1. A 3 × 3 convolution with `filters[0]` channels; for each of
    `filters`, two 3 × 3 convolutions around which the input is led (He et al., "Deep residual learning", 2016), with
    2 × 2 maximum pooling between them; the mean over the picture. Batch normalisation follows every convolution,
    then ReLU, in a block's second after its input is added. The receptive field of a number before the mean is
    9 · 2^(n − 1) − 2 pixels for n blocks.

    In training only, pictures are mirrored, turned, moved and scaled at random (`layers.RandomAffine`), and a part
    of each is erased (Zhong et al., "Random erasing data augmentation", 2020; `keras.layers.RandomErasing`).

    Args:
        shape: (height, width, channels) of pictures in [0, 1].
        filters: channels of each block.
        rotation: largest turn, in degrees.
        shift: largest move, as a share of height and width.
        zoom: largest change of size, as a share.
        erasing: largest part that is erased, as a share of the picture; 0, or from .02, the smallest part.
        dropout: rate after the mean, in training.
        mirror: the embedding is the mean of the picture's and of its mirror image's (`layers.MirrorAverage`), which
            takes twice as long, but in training.
        seed: of weights, random changes and dropout; None draws one.
        name: the model's name.
    """
    if erasing and not LEAST_ERASED <= erasing <= 1:
        raise LMFError(f"image_cnn: erasing must be 0, or {LEAST_ERASED} to 1, received {erasing!r}")
    seeds = seed_stream(seed)
    image = input_layer("image", shape, "height", "width", "channels")
    hidden = _standardized(image)
    if rotation or shift or zoom:
        hidden = RandomAffine(rotation, shift, zoom, seed=next(seeds), name="affine")(hidden)
    if erasing:
        hidden = keras.layers.RandomErasing(
            (1.0, 1.0), (LEAST_ERASED, erasing), fill_value=0.0, seed=next(seeds), name="erasing"
        )(hidden)
    hidden = _relu(_convolution(hidden, filters[0], "stem", next(seeds)), "stem")
    for i, width in enumerate(filters):
        if i:
            hidden = keras.layers.MaxPooling2D(2, padding="same", name=f"pool_{i}")(hidden)
        before = hidden
        if before.shape[-1] != width:
            before = convolution(width, 1, next(seeds), f"shortcut_{i}")(before)
        hidden = _relu(_convolution(hidden, width, f"{i}_a", next(seeds)), f"{i}_a")
        hidden = _convolution(hidden, width, f"{i}_b", next(seeds))
        hidden = _relu(keras.layers.Add(name=f"add_{i}")([hidden, before]), f"{i}_b")
    hidden = keras.layers.GlobalAveragePooling2D(name="average")(hidden)
    hidden = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(hidden)
    if not mirror:
        return keras.Model(image, hidden, name=name)
    network = keras.Model(image, hidden, name="network")
    pictures = keras.Input(tuple(shape), name="image")
    return keras.Model(pictures, MirrorAverage(network, name="mirror")(pictures), name=name)


def _standardized(image: Any) -> Any:
    """Each picture at mean 0 and deviation 1: exposure and contrast say nothing about a face."""
    mean = ops.mean(image, axis=(1, 2, 3), keepdims=True)
    centred = image - mean
    deviation = ops.sqrt(ops.mean(ops.square(centred), axis=(1, 2, 3), keepdims=True))
    return centred / ops.maximum(deviation, LEAST_CONTRAST)


def _convolution(hidden: Any, width: int, name: str, seed: int | None) -> Any:
    hidden = convolution(width, 3, seed, f"convolution_{name}")(hidden)
    return keras.layers.BatchNormalization(name=f"norm_{name}")(hidden)


def _relu(hidden: Any, name: str) -> Any:
    return keras.layers.Activation("relu", name=f"relu_{name}")(hidden)
