"""Backbones for a picture, and for video: networks for pictures over time, and (2+1)-D convolutions.

Video is (batch, frames, height, width, channels) in [0, 1]. A frame whose pixels are all zero is padding or has no
face, and stays out of the embedding. The code's licence is the package's, Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.backbones.front_ends import mini_xception
from keras_lmf.backbones.parts import convolution, embedding, input_layer, joined, present, seed_stream
from keras_lmf.backbones.sequence import gru, lstm
from keras_lmf.layers import MirrorAverage, StatisticsPooling

FrontEnd = Callable[[Sequence[int]], keras.Model]
LEAST_CONTRAST = 1e-3


def image_cnn(
    shape: Sequence[int] = (48, 48, 1),
    *,
    filters: Sequence[int] = (16, 32, 64, 128, 192),
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

    Args:
        shape: (height, width, channels) of pictures in [0, 1].
        filters: channels of each block.
        dropout: rate after the mean, in training.
        mirror: the embedding is the mean of the picture's and of its mirror image's (`layers.MirrorAverage`), which
            takes twice as long, but in training.
        seed: of weights and dropout; None draws one.
        name: the model's name.
    """
    seeds = seed_stream(seed)
    image = input_layer("image", shape, "height", "width", "channels")
    hidden = _standardized(image)
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


def cnn_lstm(
    shape: Sequence[int] = (75, 64, 64, 1),
    *,
    network: FrontEnd = mini_xception,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """A network of each frame, never trained, → LSTM, its last state: (batch, frames, h, w, channels) → (batch, units).

    Kumar & Martin, section III. With mini-Xception up to block_4 and 64 units: 100,017 parameters. The receptive field
    is the clip.

    Args:
        shape: (frames, height, width, channels).
        network: makes the front end of that shape: `frames.mini_xception` with random weights (the published ones:
            `klmf.zoo.load_backbone("mini-xception")`), or any network of `keras.applications`,
            `functools.partial(frames.application, network="MobileNetV3Small", weights="imagenet")`.
        name: the model's name.
        options: of `lstm`.
    """
    return joined(network(shape), lstm, name, options)


def cnn_gru(
    shape: Sequence[int] = (75, 64, 64, 1),
    *,
    network: FrontEnd = mini_xception,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """As `cnn_lstm`, with a GRU, which takes `options`: (batch, frames, h, w, channels) → (batch, units)."""
    return joined(network(shape), gru, name, options)


def cnn_2plus1d(
    shape: Sequence[int] = (75, 64, 64, 1),
    *,
    filters: Sequence[int] = (16, 32, 64),
    units: int = 64,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Convolutions over the picture, then over time: (batch, frames, height, width, channels) → (batch, units).

    Blocks of a 3 × 3 convolution, batch normalisation, ReLU, a convolution over three frames, batch normalisation, ReLU
    and 2 × 2 maximum pooling; then the mean over the picture, mean and deviation over the frames that are no padding,
    and one dense layer with ReLU. Tran et al., "A closer look at spatiotemporal convolutions for action recognition",
    CVPR 2018, whose R(2+1)D factorises so; without its shortcuts, and with as many filters in both halves. All ops
    are two-dimensional, so int8 files compute in int8. 48,464 parameters with the defaults and grey frames.

    One number before the pooling sees 2 n + 1 frames and 3 · 2^n − 2 pixels for n blocks, 7 frames and 22 pixels by
    default, then the whole clip. Padding after the clip changes nothing, however much there is, in training neither:
    the batch normalisation leaves padding out.

    Args:
        shape: (frames, height, width, channels) of pictures in [0, 1], which the model scales to [-1, 1].
        filters: of each block.
        units: width of the embedding.
        dropout: rate of dropout of whole maps after each block, and on the embedding.
        seed: of weights and dropout.
        name: the model's name.
    """
    seeds = seed_stream(seed)
    frames = input_layer("frames", shape, "frames", "height", "width", (1, 3))
    there = present(frames)
    hidden = _blank(2.0 * frames - 1.0, there)
    for i, width in enumerate(filters):
        _, steps, height, columns, channels = hidden.shape
        pictures = ops.reshape(hidden, (-1, height, columns, channels))
        pictures = convolution(width, 3, next(seeds), f"spatial_{i}")(pictures)
        # Time, and the picture as one axis: a kernel of three frames and one pixel goes over them.
        hidden = ops.reshape(pictures, (-1, steps, height * columns, width))
        hidden = _normalized(hidden, there, f"spatial_{i}")
        hidden = convolution(width, (3, 1), next(seeds), f"temporal_{i}")(hidden)
        hidden = _normalized(hidden, there, f"temporal_{i}")
        pictures = ops.reshape(hidden, (-1, height, columns, width))
        pictures = keras.layers.MaxPooling2D(2, padding="same", name=f"pool_{i}")(pictures)
        if dropout:
            pictures = keras.layers.SpatialDropout2D(dropout, seed=next(seeds), name=f"dropout_{i}")(pictures)
        hidden = ops.reshape(pictures, (-1, steps, *pictures.shape[1:]))
    pooled = StatisticsPooling(name="pooling")(ops.mean(hidden, axis=(2, 3)), mask=there)
    return keras.Model(frames, embedding(pooled, units, dropout, seeds), name=name)


def _normalized(hidden: Any, there: Any, name: str) -> Any:
    """Batch normalisation over what is no padding, ReLU, and zeros for padding, as (batch, frames, pixels, maps)."""
    pixels = hidden.shape[2]
    mask = ops.repeat(ops.expand_dims(there, -1), pixels, axis=-1)
    hidden = keras.layers.BatchNormalization(name=f"{name}_norm")(hidden, mask=mask)
    return _blank(keras.layers.Activation("relu", name=f"{name}_relu")(hidden), there)


def _blank(hidden: Any, there: Any) -> Any:
    """(batch, frames, …) with zeros for padding, which convolutions would bring into the clip."""
    for _ in hidden.shape[2:]:
        there = ops.expand_dims(there, -1)
    return hidden * ops.cast(there, hidden.dtype)
