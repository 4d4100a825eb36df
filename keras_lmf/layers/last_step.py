"""The last real step of a sequence."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor


@keras.saving.register_keras_serializable("keras_lmf")
class LastStep(ConfiguredLayer):
    """The last step that is not masked; zeros where all are.

    Input: (batch, steps, width), optional mask (batch, steps). Output: (batch, width).

    >>> import numpy as np
    >>> np.asarray(LastStep()(np.array([[[1.0], [2.0]]]), mask=np.array([[True, False]]))).tolist()
    [[1.0]]
    """

    AXES = ("batch", "steps", "width")
    KNOWN = 2

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def require_shape(self, shape: Any) -> None:
        super().require_shape(shape)
        if shape[1] == 0:
            raise LMFError(f"{self.name} takes one step or more, received the shape {shape}.")

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return inputs[:, -1]
        there = ops.cast(mask, "int32")
        # How many real steps there are from here on: at the last one, 1.
        left = ops.flip(ops.cumsum(ops.flip(there, axis=1), axis=1), axis=1)
        last = ops.expand_dims(ops.logical_and(ops.cast(mask, "bool"), left == 1), -1)
        return ops.sum(ops.where(last, inputs, ops.zeros_like(inputs)), axis=1)

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor | None = None) -> None:
        """Pooling ends the sequence: there is no mask after it."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.require_shape(input_shape)
        return (input_shape[0], input_shape[2])
