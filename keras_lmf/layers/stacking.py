"""Stacking: one answer from the answers of several models, by a linear layer that has learnt how to join them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import Tensor
from keras_lmf.layers.modality_fusion import ModalityFusion, one_each


@keras.saving.register_keras_serializable("keras_lmf")
class Stacking(ModalityFusion):
    """A linear layer on the answers of M ≥ 2 modalities: y = b + Σ (K_m x_m + c_m) over those that are there.

    Unlike a fixed rule it can learn that one model mistakes a class for another. It must be fitted on answers to rows
    that the models have not learnt from. (Wolpert, "Stacked generalization", Neural Networks 1992.)

    Input: list or dict of M tensors (…, d_m): logits, or numbers. Call argument: `presence` (…, M), non-zero where a
    modality is there. Output: (…, units).

    Args:
        units: width of the output; default: of the first modality's answer.
        kernel: (Σ d_m + M, units): the rows of K_1 … K_M, then c_1 … c_M; default: the mean of the answers.
        bias: (units,) b; default: 0.
        modalities: as of `ModalityFusion`.

    >>> import numpy as np
    >>> np.asarray(Stacking()([np.array([[1.0, 3.0]]), np.array([[3.0, 1.0]])]), float).tolist()
    [[2.0, 2.0]]
    """

    ARGUMENTS = ("units", "kernel", "bias")

    def __init__(
        self,
        units: int | None = None,
        *,
        kernel: Sequence[Sequence[float]] | None = None,
        bias: Sequence[float] | None = None,
        modalities: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(modalities=modalities, **kwargs)
        self.units = units
        if units is not None:
            self.require_whole(1, "units")
        lowest = -np.finfo("float32").max
        self.kernel = self.checked_numbers("kernel", kernel, lowest, axes=2)
        self.bias = self.checked_numbers("bias", bias, lowest)

    @property
    def fused_width(self) -> int:
        return self.units or self.widths[0]

    def fuse(self, embeddings: list[Tensor]) -> Tensor:
        return self._joined(embeddings, None)

    def require_shape(self, shape: Any) -> None:
        super().require_shape(shape)
        if isinstance(shape, Mapping):
            shape = [shape[name] for name in self.modalities or shape]
        widths = [part[-1] for part in shape]
        units = self.units or widths[0]
        for what, wanted in {"kernel": (sum(widths) + len(widths), units), "bias": (units,)}.items():
            if (given := getattr(self, what)) is not None and np.shape(given) != wanted:
                raise LMFError(f"{self.name}: {what} needs the shape {wanted}, received {np.shape(given)}")

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        units, count = self.fused_width, len(self.widths)
        mean = [np.eye(width, units) / count for width in self.widths]
        kernel = np.concatenate([*mean, np.zeros((count, units))]) if self.kernel is None else self.kernel
        self.weight = one_each(self, "kernel", kernel)
        self.offset = one_each(self, "bias", np.zeros(units) if self.bias is None else self.bias)

    def call(self, inputs: Any, presence: Tensor | None = None, mask: Any = None) -> Tensor:
        return self._joined(self.present_embeddings(inputs, presence, mask), presence)

    def _joined(self, answers: list[Tensor], presence: Tensor | None) -> Tensor:
        parts = [ops.cast(answer, "float32") for answer in answers]
        there = ops.ones((*ops.shape(parts[0])[:-1], len(parts)), "float32")
        if presence is not None:
            there = ops.cast(presence > 0, "float32")
        joined = ops.matmul(ops.concatenate([*parts, there], axis=-1), self.weight) + self.offset
        return ops.cast(joined, self.compute_dtype)
