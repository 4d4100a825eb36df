"""Attention pooling: a sequence as the mean of its steps, each weighted by how much it matters."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor


@keras.saving.register_keras_serializable("keras_lmf")
class AttentionPooling(ConfiguredLayer):
    """Σ_t a_t x_t with a = softmax over the real steps of x_t · v.

    Lin et al., "A Structured Self-Attentive Sentence Embedding", ICLR 2017, with one linear score. A sequence whose
    steps are all masked gives zeros. The softmax is float32 under mixed precision.

    Input: (batch, steps, width), optional mask (batch, steps). Output: (batch, width).

    Args:
        seed: of v.

    >>> import numpy as np
    >>> tuple(AttentionPooling()(np.ones((2, 5, 3), "float32")).shape)
    (2, 3)
    """

    ARGUMENTS = ("seed",)
    AXES = ("batch", "steps", "width")
    KNOWN = 2

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        if seed is not None:
            self.require_whole(0, "seed")
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        drawn = keras.initializers.GlorotUniform(seed=self.seed)
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], 1), initializer=drawn)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        precision = keras.backend.result_type(self.compute_dtype, "float32")
        if mask is None:
            scores = ops.matmul(inputs, self.kernel)
            weights = ops.softmax(ops.cast(scores, precision), axis=1)
        else:
            there = ops.expand_dims(mask, -1)
            inputs = ops.where(there, inputs, ops.zeros_like(inputs))
            scores = ops.cast(ops.matmul(inputs, self.kernel), precision)
            weights = ops.softmax(ops.where(there, scores, -1e9 * ops.ones_like(scores)), axis=1)
        return ops.sum(inputs * ops.cast(weights, inputs.dtype), axis=1)

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor | None = None) -> None:
        """Pooling ends the sequence: there is no mask after it."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.require_shape(input_shape)
        return (input_shape[0], input_shape[2])
