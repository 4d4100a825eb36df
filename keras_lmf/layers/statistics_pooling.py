"""Statistics pooling: a sequence as the mean and standard deviation of its steps."""

from __future__ import annotations

import keras
from keras import ops

from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor


@keras.saving.register_keras_serializable("keras_lmf")
class StatisticsPooling(ConfiguredLayer):
    """Mean and standard deviation over the real steps of a sequence.

    Snyder et al., "X-vectors: Robust DNN embeddings for speaker recognition", ICASSP 2018, section 2.1. A sequence
    whose steps are all masked gives zeros, with zero gradient (no NaN).

    Input: (batch, time, channels), optional mask (batch, time). Output: (batch, 2 · channels): means, deviations.

    >>> import numpy as np
    >>> np.asarray(StatisticsPooling()(np.array([[[1.0], [3.0]]], "float32"))).round(2).tolist()
    [[2.0, 1.0]]
    """

    AXES = ("batch", "time", "channels")
    KNOWN = 2
    # Keeps the square root's gradient finite where all steps are equal.
    EPSILON = 1e-5

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        inputs = ops.cast(inputs, keras.backend.result_type(self.compute_dtype, "float32"))
        if mask is None:
            weights = ops.ones_like(inputs[..., :1])
        else:
            weights = ops.cast(ops.expand_dims(mask, -1), inputs.dtype)
            inputs = ops.where(ops.expand_dims(mask, -1), inputs, ops.zeros_like(inputs))
        count = ops.maximum(ops.sum(weights, axis=1), 1.0)
        mean = ops.sum(inputs, axis=1) / count
        centred = (inputs - ops.expand_dims(mean, 1)) * weights
        variance = ops.sum(ops.square(centred), axis=1) / count
        deviation = ops.sqrt(variance + self.EPSILON**2) - self.EPSILON
        return ops.cast(ops.concatenate([mean, deviation], axis=-1), self.compute_dtype)

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor | None = None) -> None:
        """Pooling ends the sequence: there is no mask after it."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.require_shape(input_shape)
        return (input_shape[0], 2 * input_shape[-1])
