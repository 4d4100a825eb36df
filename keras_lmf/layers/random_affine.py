"""Pictures mirrored, turned, scaled and moved in training."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.modality_fusion import Shape, Tensor


@keras.saving.register_keras_serializable("keras_lmf")
class RandomAffine(keras.layers.Layer):
    """Mirrors, turns, scales and moves each picture at random, about its middle, in training only.

    All in one bilinear interpolation: Keras's layers, one for each change, interpolate three times, which blurs a small
    picture. What comes in from outside is the nearest pixel of the edge. Each change is uniform on its range, the two
    directions of a move on their own; half of the pictures are mirrored left to right.

    Input and output: (batch, height, width, channels).

    Args:
        rotation: largest turn to either side, in degrees, 0 to 180.
        shift: largest move, as a share of height and width, 0 to 1.
        zoom: largest change of size, as a share, 0 to less than 1.
        seed: of the changes.

    >>> import numpy as np
    >>> picture = np.ones((1, 8, 8, 1), "float32")
    >>> bool((np.asarray(RandomAffine(10.0)(picture)) == picture).all())  # not training
    True
    """

    def __init__(
        self,
        rotation: float = 0.0,
        shift: float = 0.0,
        zoom: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rotation, self.shift, self.zoom = rotation, shift, zoom
        for name, most in (("rotation", 180), ("shift", 1), ("zoom", 0.99)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise LMFError(f"{self.name}: {name} must be 0 to {most}, received {value!r}")
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise LMFError(
                f"{self.name} takes (batch, height, width, channels) of known sizes, received {input_shape}"
            )
        super().build(input_shape)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training:
            return inputs
        _, height, width, channels = inputs.shape
        x, y = self._sources(ops.shape(inputs)[0], height, width)
        left, top = ops.floor(x), ops.floor(y)
        pixels = ops.reshape(inputs, (-1, channels))
        rows = ops.expand_dims(ops.arange(ops.shape(inputs)[0], dtype="int32"), 1) * (height * width)

        def row(column: Tensor, line: Tensor, weight: Tensor) -> Tensor:
            """What the nearest pixel of the picture to (column, line) adds."""
            column = ops.cast(ops.clip(column, 0, width - 1), "int32")
            line = ops.cast(ops.clip(line, 0, height - 1), "int32")
            found = ops.take(pixels, rows + line * width + column, axis=0)
            return found * ops.expand_dims(ops.cast(weight, found.dtype), 2)

        right, low = x - left, y - top
        changed = (
            row(left, top, (1 - right) * (1 - low))
            + row(left + 1, top, right * (1 - low))
            + row(left, top + 1, (1 - right) * low)
            + row(left + 1, top + 1, right * low)
        )
        return ops.reshape(changed, ops.shape(inputs))

    def _sources(self, batch: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        """x and y, each (batch, height · width), of the point that each pixel is taken from, float32."""
        drawn = keras.random.uniform((5, batch, 1), -1, 1, dtype="float32", seed=self.seed_generator)
        angle = drawn[0] * (self.rotation * math.pi / 180)
        scale = 1 + drawn[1] * self.zoom
        mirror = ops.where(drawn[4] < 0, -1.0, 1.0)
        index = ops.arange(height * width, dtype="float32")
        line = ops.floor((index + 0.5) / width)
        across = (index - line * width - (width - 1) / 2) * mirror
        down = line - (height - 1) / 2
        cosine, sine = scale * ops.cos(angle), scale * ops.sin(angle)
        x = cosine * across - sine * down + (width - 1) / 2 + drawn[2] * (self.shift * width)
        y = sine * across + cosine * down + (height - 1) / 2 + drawn[3] * (self.shift * height)
        return x, y

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        names = ("rotation", "shift", "zoom", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
