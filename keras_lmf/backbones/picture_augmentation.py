"""Pictures that are changed at random each time training sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.backbones.parts import input_layer, present, seed_stream
from keras_lmf.errors import LMFError
from keras_lmf.layers import RandomAffine

LEAST_ERASED = 0.02


class _InTraining:
    """Keras's random layers change pictures in a plain call, too. These do in training alone."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return super().call(inputs, training=training)


def _in_training(layer: type[keras.layers.Layer]) -> type[keras.layers.Layer]:
    made = type(f"{layer.__name__}InTraining", (_InTraining, layer), {})
    return keras.saving.register_keras_serializable("keras_lmf")(made)


_Brightness = _in_training(keras.layers.RandomBrightness)
_Contrast = _in_training(keras.layers.RandomContrast)
_GaussianBlur = _in_training(keras.layers.RandomGaussianBlur)
_Erasing = _in_training(keras.layers.RandomErasing)


def picture_augmentation(
    shape: Sequence[int],
    *,
    rotation: float = 0.0,
    shift: float = 0.0,
    zoom: float = 0.0,
    erasing: float = 0.0,
    blur: float = 0.0,
    brightness: float = 0.0,
    contrast: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Pictures as they are, and in training changed at random, (batch, height, width, channels) → the same.

    Lighter or darker, with more or less contrast, and some of them blurred, as small or unsharp ones are
    (`keras.layers.RandomBrightness`, `RandomContrast`, `RandomGaussianBlur`, a deviation of up to one pixel); mirrored,
    turned, moved and scaled (`layers.RandomAffine`), and a part of each erased (Zhong et al., "Random erasing data
    augmentation", 2020; `keras.layers.RandomErasing`). A picture of zeros, which is an absent one, stays so.

    Args:
        shape: (height, width, channels) of pictures in [0, 1].
        rotation: largest turn, in degrees.
        shift: largest move, as a share of height and width. Any change but 0 of these three mirrors half of the
            pictures, too.
        zoom: largest change of size, as a share.
        erasing: largest part that is erased, as a share of the picture; 0, or from .02, the smallest part.
        blur: share of the pictures that are blurred, 0 to 1.
        brightness: largest change of brightness, as a share of white.
        contrast: largest change of contrast, as a share.
        seed: of the changes; None draws one.
        name: the model's name.
    """
    if erasing and not LEAST_ERASED <= erasing <= 1:
        raise LMFError(f"erasing must be 0, or {LEAST_ERASED} to 1, received {erasing!r}")
    seeds = seed_stream(seed)
    picture = input_layer("image", shape, "height", "width", "channels")
    scale = {"value_range": (0.0, 1.0)}
    hidden = picture
    if brightness:
        hidden = _Brightness(brightness, **scale, seed=next(seeds), name="brightness")(hidden)
    if contrast:
        hidden = _Contrast(contrast, **scale, seed=next(seeds), name="contrast")(hidden)
    if blur:
        hidden = _GaussianBlur(
            (blur, blur), kernel_size=5, sigma=(0.0, 1.0), **scale, seed=next(seeds), name="blur"
        )(hidden)
    if rotation or shift or zoom:
        hidden = RandomAffine(rotation, shift, zoom, seed=next(seeds), name="affine")(hidden)
    if erasing:
        hidden = _Erasing(
            (1.0, 1.0), (LEAST_ERASED, erasing), fill_value=0.5, **scale, seed=next(seeds), name="erasing"
        )(hidden)
    there = ops.reshape(present(picture), (-1, 1, 1, 1))
    return keras.Model(picture, ops.where(there, hidden, 0.0), name=name)
