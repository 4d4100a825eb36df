"""Which modalities are there, read from their features; in training some are taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor, agree, is_shape


@keras.saving.register_keras_serializable("keras_lmf")
class ModalityPresence(ConfiguredLayer):
    """A modality is there when any of its numbers is not zero: the `presence` that fusion layers take.

    In training, each modality that is there is taken away with probability `dropout`; of a sample that would lose all
    of them, none is. So one model learns to answer from every subset (modality dropout: Neverova et al., "ModDrop",
    2016).

    Input: a list of M tensors (batch, …), M ≥ 2. Output: (batch, M), 1 where the modality is there, else 0.

    Args:
        dropout: 0 to below 1.
        seed: of the dropout.

    >>> import numpy as np
    >>> voice, face = np.ones((1, 3), "float32"), np.zeros((1, 5), "float32")
    >>> np.asarray(ModalityPresence()([voice, face])).tolist()
    [[1.0, 0.0]]
    """

    ARGUMENTS = ("dropout", "seed")

    def __init__(self, dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise LMFError(f"{self.name}: dropout must be 0 to below 1, received {dropout!r}")
        self.dropout = dropout
        self.seed = seed
        if seed is not None:
            self.require_whole(0, "seed")
        self.seed_generator = keras.random.SeedGenerator(seed)

    def require_shape(self, shape: Any) -> None:
        fits = isinstance(shape, list | tuple) and all(is_shape(part) and len(part) > 1 for part in shape)
        if not fits or len(shape) < 2 or not all(agree(part[:1], shape[0]) for part in shape):
            raise LMFError(f"{self.name} takes a list of two or more tensors (batch, …), received {shape}.")

    def call(self, inputs: Sequence[Tensor], training: bool = False) -> Tensor:
        flags = [ops.any(ops.not_equal(x, 0), axis=tuple(range(1, len(x.shape)))) for x in inputs]
        presence = ops.cast(ops.stack(flags, axis=-1), self.compute_dtype)
        if not training or not self.dropout:
            return presence
        drawn = keras.random.uniform(ops.shape(presence), seed=self.seed_generator)
        kept = ops.where(drawn < self.dropout, ops.zeros_like(presence), presence)
        return ops.where(ops.any(kept > 0, axis=-1, keepdims=True), kept, presence)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        self.require_shape(input_shape)
        return (input_shape[0][0], len(input_shape))
