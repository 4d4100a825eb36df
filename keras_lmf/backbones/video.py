"""Video backbones, frames → embedding: (2+1)-D convolutions, and networks for pictures followed by a recurrent one.

Each takes (batch, frames, height, width, channels) in [0, 1]. A frame whose pixels are all zero is padding or has no
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
from keras_lmf.layers import StatisticsPooling

FrontEnd = Callable[[Sequence[int]], keras.Model]


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
