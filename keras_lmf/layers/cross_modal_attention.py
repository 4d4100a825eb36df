"""Cross-modal attention: every step of one sequence looks at the steps of another."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor, agree, is_shape


@keras.saving.register_keras_serializable("keras_lmf")
class CrossModalAttention(ConfiguredLayer):
    """Single-head attention whose queries come from one sequence, keys and values from another.

        softmax( (x W_q + b_q) (y W_k)ᵀ / √units ) (y W_v + b_v) W_o + b_o

    Tsai et al., "Multimodal Transformer for Unaligned
    Multimodal Language Sequences", ACL 2019, equation 1; between a fused signal and its modalities: Sahay et al., "Low
    Rank Fusion based Transformers for Multimodal Sequences", 2020, and Kumar & Martin, section IV. Keys have no bias:
    the softmax takes away what it adds.

    A masked step of y is never looked at. Where all of y is masked, nothing is: the answer is b_o. The mask of x is
    the output's. The softmax is float32 under mixed precision.

    Attention knows no order: `Positions` before it tells x and y their times.

    Input: a list of x (batch, steps, width) and y (batch, other steps, other width). Output: (batch, steps, units).

    Args:
        units: width of queries, keys, values and output, ≥ 1.
        dropout: 0 to below 1, of the attention's weights.
        seed: of the weights and the dropout.

    >>> import numpy as np
    >>> video, audio = np.ones((2, 5, 3), "float32"), np.ones((2, 20, 8), "float32")
    >>> tuple(CrossModalAttention(6)([video, audio]).shape)
    (2, 5, 6)
    """

    ARGUMENTS = ("units", "dropout", "seed")

    def __init__(self, units: int, *, dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.dropout, self.seed = units, dropout, seed
        self.require_whole(1, "units")
        self.require_number(0, 1 - 1e-6, "dropout")
        if seed is not None:
            self.require_whole(0, "seed")
        self.supports_masking = True
        self._widths: tuple[int, int] | None = None
        self.seed_generator = keras.random.SeedGenerator(seed)

    def require_shape(self, shape: Any) -> None:
        fits = isinstance(shape, list | tuple) and len(shape) == 2 and all(is_shape(part) for part in shape)
        fits = fits and all(len(part) == 3 and part[-1] and agree(part[:1], shape[0]) for part in shape)
        if not fits or (self._widths and self._widths != (shape[0][-1], shape[1][-1])):
            widths = f"the widths {self._widths}" if self._widths else "known width"
            raise LMFError(
                f"{self.name} takes a list of two sequences (batch, steps, width) of {widths}, received the shapes "
                f"{shape}."
            )

    def build(self, input_shape: Sequence[Shape]) -> None:
        super().build(input_shape)
        self._widths = width, other_width = (input_shape[0][-1], input_shape[1][-1])
        seeds = itertools.count(self.seed) if self.seed is not None else itertools.repeat(None)

        def kernel(name: str, rows: int) -> keras.Variable:
            drawn = keras.initializers.GlorotUniform(seed=next(seeds))
            return self.add_weight(name=f"{name}_kernel", shape=(rows, self.units), initializer=drawn)

        def bias(name: str) -> keras.Variable:
            return self.add_weight(name=f"{name}_bias", shape=(self.units,), initializer="zeros")

        self.query_kernel, self.query_bias = kernel("query", width), bias("query")
        self.key_kernel = kernel("key", other_width)
        self.value_kernel, self.value_bias = kernel("value", other_width), bias("value")
        self.output_kernel, self.output_bias = kernel("output", self.units), bias("output")

    def call(
        self,
        inputs: Sequence[Tensor],
        mask: Sequence[Tensor | None] | None = None,
        training: bool = False,
    ) -> Tensor:
        _, attended = self._there(inputs, mask)
        values = ops.matmul(attended, self.value_kernel) + self.value_bias
        weights = self.attention(inputs, mask)
        if training and self.dropout:
            weights = keras.random.dropout(weights, self.dropout, seed=self.seed_generator)
        seen = ops.matmul(ops.cast(weights, values.dtype), values)
        return ops.matmul(seen, self.output_kernel) + self.output_bias

    def attention(self, inputs: Sequence[Tensor], mask: Sequence[Tensor | None] | None = None) -> Tensor:
        """How much each step of x looks at each step of y: (batch, steps, other steps), float32 or wider.

        A step's numbers add up to 1; they are 0 where all of y is masked.
        """
        attending, attended = self._there(inputs, mask)
        queries = ops.matmul(attending, self.query_kernel) + self.query_bias
        keys = ops.matmul(attended, self.key_kernel)
        scores = ops.matmul(queries, ops.transpose(keys, (0, 2, 1))) * self.units**-0.5
        scores = ops.cast(scores, keras.backend.result_type(self.compute_dtype, "float32"))
        if not mask or mask[1] is None:
            return ops.softmax(scores, axis=-1)
        there = ops.expand_dims(mask[1], 1)
        weights = ops.softmax(ops.where(there, scores, -1e9 * ops.ones_like(scores)), axis=-1)
        return ops.where(there, weights, ops.zeros_like(weights))

    def _there(self, inputs: Sequence[Tensor], mask: Sequence[Tensor | None] | None) -> tuple[Tensor, Tensor]:
        """x, and y with zeros where it is masked: what is there may be NaN, and 0 × NaN is NaN."""
        attending, attended = (ops.cast(sequence, self.compute_dtype) for sequence in inputs)
        if not mask or mask[1] is None:
            return attending, attended
        return attending, ops.where(ops.expand_dims(mask[1], -1), attended, ops.zeros_like(attended))

    def compute_mask(
        self, inputs: Any, previous_mask: Sequence[Tensor | None] | None = None
    ) -> Tensor | None:
        return previous_mask[0] if previous_mask else None

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        self.require_shape(input_shape)
        return (*input_shape[0][:-1], self.units)
