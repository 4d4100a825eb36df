"""A temporal convolution that keeps padding out."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor


@keras.saving.register_keras_serializable("keras_lmf")
class TemporalConvolution(ConfiguredLayer, keras.layers.Conv1D):
    """One-dimensional convolution over time that knows masks.

    Masked steps enter as zeros, which is what lies beyond the end of a sequence anyway ("same" padding), so a
    sequence gives the same output however far it was padded. The mask is passed on unchanged.

    Input: (batch, time, channels), optional mask (batch, time). Output: (batch, time, filters).

    Args:
        filters, kernel_size, activation, …: as `keras.layers.Conv1D`; `padding` is always "same", `strides` 1 and
            `data_format` "channels_last".

    >>> import numpy as np
    >>> TemporalConvolution(filters=8, kernel_size=3)(np.ones((2, 5, 4), "float32")).shape[-1]
    8
    """

    AXES = ("batch", "time", "channels")
    KNOWN = 2

    def __init__(self, filters: int, kernel_size: int, **kwargs: Any) -> None:
        fixed = {"strides": 1, "padding": "same", "data_format": "channels_last"}
        super().__init__(filters, kernel_size, **kwargs | fixed)
        self.supports_masking = True

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*super().compute_output_shape(input_shape)[:-1], self.filters)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            inputs = ops.where(ops.expand_dims(mask, -1), inputs, ops.zeros_like(inputs))
        return super().call(inputs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["strides"], config["padding"]
        return config
