"""Decision fusion: the answers of several models as one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.layers.base import Tensor
from keras_lmf.layers.modality_fusion import ModalityFusion

LOWEST = 1e-7  # probability: its logarithm stays finite
LOG_LOWEST = math.log(LOWEST)


def sum_rule(logs: Tensor, there: Tensor, weights: Tensor, log_prior: Tensor) -> Tensor:
    """The weighted mean of the probabilities."""
    shares = there * weights
    total = ops.sum(shares, axis=-2)
    mean = ops.sum(shares * ops.exp(logs), axis=-2) / ops.maximum(total, LOWEST)
    return ops.log(ops.maximum(ops.where(total > 0, mean, ops.exp(log_prior)), LOWEST))


def product_rule(logs: Tensor, there: Tensor, weights: Tensor, log_prior: Tensor) -> Tensor:
    """The product of the probabilities, each divided by the prior, times the prior: it counts once."""
    return log_prior + ops.sum(there * weights * (logs - log_prior), axis=-2)


def maximum_rule(logs: Tensor, there: Tensor, weights: Tensor, log_prior: Tensor) -> Tensor:
    """Of each class the largest probability."""
    largest = ops.max(ops.where(there > 0, logs, LOG_LOWEST * ops.ones_like(logs)), axis=-2)
    return ops.where(ops.any(there > 0, axis=-2), largest, log_prior * ops.ones_like(largest))


RULES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "sum": sum_rule,
    "product": product_rule,
    "maximum": maximum_rule,
}


@keras.saving.register_keras_serializable("keras_lmf")
class DecisionFusion(ModalityFusion):
    """One answer from the answers of several models: the class probabilities of M ≥ 2 modalities, joined by a rule.

    With p_m = softmax(logits_m / temperature_m), over the modalities that are there:

    - "product": p ∝ prior · ∏ (p_m / prior)^w_m, the product of experts with the prior divided out once. Right where
      the modalities' errors are independent given the class.
    - "sum": p = Σ w_m p_m / Σ w_m.
    - "maximum": p ∝ max_m p_m, whatever w_m.

    Kittler et al., "On Combining Classifiers", IEEE TPAMI 1998, equations 7, 10 and 12. Without any modality the answer
    is the prior.

    Input: list or dict of M tensors (…, classes) of logits. Call argument: `presence` (…, M), non-zero where a modality
    is there. Output: (…, classes), log-probabilities: logits whose softmax is p.

    Args:
        rule: "product", "sum" or "maximum".
        prior: (classes,) of the classes, > 0; default: all alike.
        importance: (M,) w_m ≥ 0; default: 1.
        temperatures: (M,) > 0; default: 1.
        trainable: whether importance and temperatures train.
        modalities: as of `ModalityFusion`.

    >>> import numpy as np
    >>> voice, face = np.log([[0.8, 0.2]]), np.log([[0.6, 0.4]])
    >>> np.exp(np.asarray(DecisionFusion("sum")([voice, face]), float)).round(2).tolist()
    [[0.7, 0.3]]
    """

    ARGUMENTS = ("rule", "prior", "importance", "temperatures")

    def __init__(
        self,
        rule: str = "product",
        *,
        prior: Sequence[float] | None = None,
        importance: Sequence[float] | None = None,
        temperatures: Sequence[float] | None = None,
        modalities: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(modalities=modalities, **kwargs)
        if rule not in tuple(RULES):
            raise unknown_name("rule", rule, RULES)
        self.rule = rule
        self.prior = _numbers(self.name, "prior", prior, lowest=LOWEST)
        self.importance = _numbers(self.name, "importance", importance, lowest=0.0)
        self.temperatures = _numbers(self.name, "temperatures", temperatures, lowest=LOWEST)

    @property
    def fused_width(self) -> int:
        return self.widths[0]

    def fuse(self, embeddings: list[Tensor]) -> Tensor:
        return self._joined(embeddings, None)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        count, classes = len(self.widths), self.widths[0]
        prior = np.array(self.prior or [1.0] * classes)
        self.log_prior = np.log(prior / prior.sum()).astype("float32")

        self.scales = self._one_each("importance", self.importance or [1.0] * count)
        self.log_temperatures = self._one_each("log_temperature", np.log(self.temperatures or [1.0] * count))

    def _one_each(self, name: str, start: Any) -> keras.Variable:
        constant = keras.initializers.Constant(np.asarray(start, "float32"))
        return self.add_weight(name=name, shape=(len(start),), initializer=constant, autocast=False)

    def require_shape(self, shape: Any) -> None:
        super().require_shape(shape)
        widths = [part[-1] for part in (shape.values() if isinstance(shape, Mapping) else shape)]
        if len(set(widths)) > 1:
            raise LMFError(f"{self.name} joins answers about the same classes, received widths {widths}.")
        for what, size in {
            "prior": widths[0],
            "importance": len(widths),
            "temperatures": len(widths),
        }.items():
            if (numbers := getattr(self, what)) is not None and len(numbers) != size:
                raise LMFError(f"{self.name}: {what} needs {size} numbers, received {len(numbers)}")

    def call(self, inputs: Any, presence: Tensor | None = None, mask: Any = None) -> Tensor:
        embeddings = self.present_embeddings(inputs, presence, mask)
        return self._joined(embeddings, presence)

    def _joined(self, answers: list[Tensor], presence: Tensor | None) -> Tensor:
        logits = ops.cast(ops.stack(answers, axis=-2), "float32")
        logs = ops.log_softmax(logits / ops.expand_dims(ops.exp(self.log_temperatures), -1), axis=-1)
        logs = ops.maximum(logs, LOG_LOWEST)
        there, prior = ops.ones_like(logs[..., :1]), ops.convert_to_tensor(self.log_prior)
        if presence is not None:
            there = ops.cast(ops.expand_dims(presence, -1) > 0, "float32")
        joined = RULES[self.rule](logs, there, ops.expand_dims(self.scales, -1), prior)
        return ops.cast(ops.log_softmax(joined, axis=-1), self.compute_dtype)


def _numbers(name: str, what: str, values: Sequence[float] | None, lowest: float) -> list[float] | None:
    if values is None:
        return None
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = [math.nan]
    if not all(np.isfinite(number) and number >= lowest for number in numbers):
        raise LMFError(f"{name}: {what} must be numbers of at least {lowest:g}, received {values!r}")
    return numbers
