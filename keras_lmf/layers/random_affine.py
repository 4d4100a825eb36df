"""Pictures mirrored, turned, scaled and moved in training."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_lmf.layers.base import ConfiguredLayer, Tensor


@keras.saving.register_keras_serializable("keras_lmf")
class RandomAffine(ConfiguredLayer):
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

    AXES = ("batch", "height", "width", "channels")
    ARGUMENTS = ("rotation", "shift", "zoom", "seed")

    def __init__(
        self,
        rotation: float = 0.0,
        shift: float = 0.0,
        zoom: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # TensorFlow's op for it has no kernel in XLA, which `compile` would choose on a GPU.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self.rotation, self.shift, self.zoom = rotation, shift, zoom
        for name, most in (("rotation", 180), ("shift", 1), ("zoom", 0.99)):
            self.require_number(0, most, name)
        self.seed = seed
        if seed is not None:
            self.require_whole(0, "seed")
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training:
            return inputs
        _, height, width, _ = inputs.shape
        return ops.image.affine_transform(
            inputs,
            self._transforms(ops.shape(inputs)[0], height, width),
            fill_mode="nearest",
            data_format="channels_last",
        )

    def _transforms(self, batch: int, height: int, width: int) -> Tensor:
        """(batch, 8), as `ops.image.affine_transform` takes them: from each pixel to the point it is taken from."""
        drawn = keras.random.uniform((5, batch), -1, 1, dtype="float32", seed=self.seed_generator)
        angle = drawn[0] * (self.rotation * math.pi / 180)
        scale = 1 + drawn[1] * self.zoom
        mirror = ops.where(drawn[4] < 0, -1.0, 1.0)
        cosine, sine = scale * ops.cos(angle), scale * ops.sin(angle)
        # About the middle: there the turn, the scale and the mirror change nothing.
        x, y = (width - 1) / 2, (height - 1) / 2
        right = x + drawn[2] * (self.shift * width) - (cosine * mirror * x - sine * y)
        down = y + drawn[3] * (self.shift * height) - (sine * mirror * x + cosine * y)
        zeros = ops.zeros_like(angle)
        rows = [cosine * mirror, -sine, right, sine * mirror, cosine, down, zeros, zeros]
        return ops.stack(rows, axis=-1)
