"""Tensor fusion: the outer product of the modalities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import Tensor
from keras_lmf.layers.modality_fusion import ModalityFusion


@keras.saving.register_keras_serializable("keras_lmf")
class TensorFusion(ModalityFusion):
    """Outer product of the modalities, each with a constant in front.

        z = vec([1; h_1] ⊗ … ⊗ [1; h_M])

    The constant comes first in each vector and the first modality varies slowest, so z holds a constant, every
    modality, and every product among them. Zadeh et al., "Tensor Fusion Network for Multimodal Sentiment
    Analysis", EMNLP 2017, section 4.2.

    Input: list or dict of M ≥ 2 tensors (…, d_m) with equal leading axes. Output: (…, ∏ (d_m + 1)).
    Call arguments: `presence` (…, M) or (batch, M), non-zero where a modality is there; of an absent one only
    the constant stays. Masked steps count as absent; the output's mask is the union of the input masks.

    The product is float32 under mixed precision; the output is in the policy's type, so float16 overflows where a
    product of embeddings exceeds 65,504.

    Raises:
        LMFError: inputs that don't fit, or whose product has more than `MAXIMUM_WIDTH` entries.

    >>> import numpy as np
    >>> audio, video = np.array([[2.0, 3.0]], "float32"), np.array([[5.0]], "float32")
    >>> np.asarray(TensorFusion()([audio, video])).tolist()
    [[1.0, 5.0, 2.0, 10.0, 3.0, 15.0]]
    """

    MAXIMUM_WIDTH = 2**20

    @property
    def fused_width(self) -> int:
        return math.prod(width + 1 for width in self.widths)

    def require_shape(self, shape: Any) -> None:
        super().require_shape(shape)
        widths = [part[-1] for part in (shape.values() if isinstance(shape, Mapping) else shape)]
        if (entries := math.prod(width + 1 for width in widths)) > self.MAXIMUM_WIDTH:
            units, rank = 64, 4
            parameters = rank * units * sum(width + 1 for width in widths) + rank + units
            raise LMFError(
                f"{self.name}: the outer product of widths {widths} has {entries:,} entries, "
                f"more than {self.MAXIMUM_WIDTH:,}. LowRankFusion(units={units}, rank={rank}) fuses the same "
                f"inputs with {parameters:,} parameters and without forming the product."
            )

    def fuse(self, embeddings: list[Tensor]) -> Tensor:
        precision = keras.backend.result_type(self.compute_dtype, "float32")
        embeddings = [ops.cast(embedding, precision) for embedding in embeddings]
        leading = ops.shape(embeddings[0])[:-1]
        ones = ops.ones_like(embeddings[0][..., :1])
        product = ones
        width = 1
        for embedding in embeddings:
            vector = ops.concatenate([ones, embedding], axis=-1)
            product = ops.expand_dims(product, -1) * ops.expand_dims(vector, -2)
            width *= int(vector.shape[-1])
            product = ops.reshape(product, (*leading, width))
        return ops.cast(product, self.compute_dtype)
