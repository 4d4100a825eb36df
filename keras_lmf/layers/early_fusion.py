"""Early fusion: the concatenation of the modalities."""

from __future__ import annotations

import keras
from keras import ops

from keras_lmf.layers.base import Tensor
from keras_lmf.layers.modality_fusion import ModalityFusion


@keras.saving.register_keras_serializable("keras_lmf")
class EarlyFusion(ModalityFusion):
    """Concatenates the modalities; the baseline that tensor and low-rank fusion are measured against.

    Input: list or dict of M ≥ 2 tensors (…, d_m). Output: (…, Σ d_m), modality after modality.
    Call arguments: `presence` (…, M) or (batch, M), non-zero where a modality is there; an absent one is zeros.

    >>> import numpy as np
    >>> EarlyFusion()([np.ones((2, 3), "float32"), np.ones((2, 4), "float32")]).shape[-1]
    7
    """

    @property
    def fused_width(self) -> int:
        return sum(self.widths)

    def fuse(self, embeddings: list[Tensor]) -> Tensor:
        return ops.concatenate(embeddings, axis=-1)
