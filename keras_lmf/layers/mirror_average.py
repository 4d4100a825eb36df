"""What a network says of a picture and of its mirror image, averaged."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor


@keras.saving.register_keras_serializable("keras_lmf")
class MirrorAverage(ConfiguredLayer):
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

    AXES = ("batch", "height", "width", "channels")
    KNOWN = 4

    def __init__(self, network: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(network, keras.Model):
            raise LMFError(
                f"{self.name} takes a keras.Model of pictures, received a {type(network).__name__}."
            )
        self.network = network

    def require_shape(self, shape: Shape) -> None:
        super().require_shape(shape)
        taken = getattr(self.network, "input_shape", None)  # a model that is not built has none
        if taken and any(None not in pair and pair[0] != pair[1] for pair in zip(shape, taken)):
            raise LMFError(f"{self.name}: its network takes {taken}, received {shape}.")

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if training:
            return ops.cast(self.network(inputs, training=True), self.compute_dtype)
        mirrored = ops.flip(inputs, axis=2)
        one, other = (self.network(pictures, training=False) for pictures in (inputs, mirrored))
        return ops.cast((one + other) / 2, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.require_shape(input_shape)
        return self.network.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "network": keras.saving.serialize_keras_object(self.network)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MirrorAverage:
        return cls(keras.saving.deserialize_keras_object(config.pop("network")), **config)
