"""Fusion of estimates: the numbers of several models as one, by how far each can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import Tensor
from keras_lmf.layers.modality_fusion import ModalityFusion, one_each

LOWEST = 1e-12  # variance


@keras.saving.register_keras_serializable("keras_lmf")
class EstimateFusion(ModalityFusion):
    """The mean of the estimates of M ≥ 2 modalities, each weighted by 1 / the variance of its error.

    y = Σ x_m / v_m / Σ 1 / v_m over the modalities that are there: of all weighted means the one of least variance
    where their errors don't go together, and the product of the normal distributions N(x_m, v_m). Without any
    modality y is `fallback`. (Cochran, "Problems arising in the analysis of a series of similar experiments", 1937.)

    Input: list or dict of M tensors (…, width) of numbers. Call argument: `presence` (…, M), non-zero where a modality
    is there. Output: (…, width).

    Args:
        variances: (M,) of each modality's error, > 0, or (M, width) of each of its numbers, for example the mean
            squared error on validation rows; default: all alike.
        fallback: (width,), for example the mean label; default: 0.
        trainable: whether the variances train. The fallback never does.
        modalities: as of `ModalityFusion`.

    >>> import numpy as np
    >>> voice, face = np.array([[2.0]]), np.array([[-1.0]])
    >>> np.asarray(EstimateFusion([1.0, 2.0])([voice, face]), float).round(4).tolist()
    [[1.0]]
    """

    ARGUMENTS = ("variances", "fallback")

    def __init__(
        self,
        variances: Sequence[float] | Sequence[Sequence[float]] | None = None,
        *,
        fallback: Sequence[float] | None = None,
        modalities: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(modalities=modalities, **kwargs)
        self.variances = self.checked_numbers("variances", variances, LOWEST, axes=2)
        self.fallback = self.checked_numbers("fallback", fallback, -np.finfo("float32").max)

    @property
    def fused_width(self) -> int:
        return self.widths[0]

    def fuse(self, embeddings: list[Tensor]) -> Tensor:
        return self._joined(embeddings, None)

    def require_shape(self, shape: Any) -> None:
        super().require_shape(shape)
        widths = [part[-1] for part in (shape.values() if isinstance(shape, Mapping) else shape)]
        if len(set(widths)) > 1:
            raise LMFError(f"{self.name} joins estimates of the same numbers, received widths {widths}.")
        if self.fallback is not None and len(self.fallback) != widths[0]:
            raise LMFError(f"{self.name}: fallback needs {widths[0]} numbers, received {len(self.fallback)}")
        shapes = ((len(widths), 1), (len(widths), widths[0]))
        if self.variances is not None and np.shape(self.variances) not in shapes:
            raise LMFError(
                f"{self.name}: variances need the shape {shapes[0][:1]} or {shapes[1]}, received "
                f"{np.shape(self.variances)}"
            )

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        shape = (len(self.widths), self.widths[0])
        variances = np.broadcast_to(1.0 if self.variances is None else self.variances, shape)
        self.log_variances = one_each(self, "log_variance", np.log(variances))
        self.of_none = one_each(self, "fallback", self.fallback or [0.0] * shape[1], trainable=False)

    def call(self, inputs: Any, presence: Tensor | None = None, mask: Any = None) -> Tensor:
        embeddings = self.present_embeddings(inputs, presence, mask)
        return self._joined(embeddings, presence)

    def _joined(self, estimates: list[Tensor], presence: Tensor | None) -> Tensor:
        values = ops.cast(ops.stack(estimates, axis=-2), "float32")
        there = ops.ones_like(values[..., :1])
        if presence is not None:
            there = ops.cast(ops.expand_dims(presence, -1) > 0, "float32")
        # As shares of the largest, whose sum no exponent can make 0 or infinite.
        logs = ops.where(there > 0, -self.log_variances, -1e9)
        weights = there * ops.exp(logs - ops.max(logs, axis=-2, keepdims=True))
        total = ops.sum(weights, axis=-2)
        mean = ops.sum(weights * values, axis=-2) / ops.maximum(total, 1e-9)
        return ops.cast(ops.where(total > 0, mean, ops.convert_to_tensor(self.of_none)), self.compute_dtype)
