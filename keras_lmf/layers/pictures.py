"""Pictures: mirrored, turned, scaled and moved at random in training; a network's answers to both mirror images."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor


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
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise LMFError(f"{self.name}: {name} must be 0 to {most}, received {value!r}")
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Shape) -> None:
        self.require_axes(input_shape, 4, "(batch, height, width, channels) of known sizes")

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


@keras.saving.register_keras_serializable("keras_lmf")
class MirrorAverage(keras.layers.Layer):
    """The mean of a network's answers to a picture and to its mirror image; in training, the answer to the picture.

    A face says the same either way, a network not quite (Krizhevsky et al., "ImageNet classification with deep
    convolutional neural networks", 2012, section 4.1). It takes twice as long, but in training, where pictures are
    better mirrored at random (`RandomAffine`).

    Input: (batch, height, width, channels). Output: what the network gives, (batch, units).

    Args:
        network: a keras.Model of pictures.

    >>> import numpy as np
    >>> picture = keras.Input((1, 2, 1))
    >>> left = keras.Model(picture, picture[:, 0, 0])
    >>> float(MirrorAverage(left)(np.array([[[[1.0], [3.0]]]], "float32"))[0, 0])
    2.0
    """

    def __init__(self, network: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.network = network

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 4:
            raise LMFError(f"{self.name} takes (batch, height, width, channels), received {input_shape}")

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if training:
            return ops.cast(self.network(inputs, training=True), self.compute_dtype)
        mirrored = ops.flip(inputs, axis=2)
        one, other = (self.network(pictures, training=False) for pictures in (inputs, mirrored))
        return ops.cast((one + other) / 2, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.network.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "network": keras.saving.serialize_keras_object(self.network)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MirrorAverage:
        return cls(keras.saving.deserialize_keras_object(config.pop("network")), **config)
