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
from keras_lmf.layers.modality_fusion import ModalityFusion, one_each

LOWEST = 1e-7  # probability: its logarithm stays finite
LOG_LOWEST = math.log(LOWEST)


def sum_rule(logs: Tensor, there: Tensor, weights: Tensor, log_prior: Tensor) -> Tensor:
    """The weighted mean of the probabilities. Who counts for nothing beside others still answers alone."""
    shares = there * ops.maximum(weights, 10 * LOWEST)
    total = ops.sum(shares, axis=-2)
    mean = ops.sum(shares * ops.exp(logs), axis=-2) / ops.maximum(total, LOWEST)
    return ops.log(ops.maximum(ops.where(total > 0, mean, ops.exp(log_prior)), LOWEST))


def product_rule(logs: Tensor, there: Tensor, weights: Tensor, log_prior: Tensor) -> Tensor:
    """The product of the probabilities, each divided by the prior, times the prior: it counts once.

    Weights say how much one counts beside others. What is there alone counts fully.
    """
    alone = ops.sum(there, axis=-2, keepdims=True) < 1.5
    shares = there * ops.where(alone, 1.0, weights)
    return log_prior + ops.sum(shares * (logs - log_prior), axis=-2)


def maximum_rule(logs: Tensor, there: Tensor, weights: Tensor, log_prior: Tensor) -> Tensor:
    """Of each class the largest probability."""
    largest = ops.max(ops.where(there > 0, logs, LOG_LOWEST * ops.ones_like(logs)), axis=-2)
    return ops.where(ops.any(there > 0, axis=-2), largest, log_prior * ops.ones_like(largest))


def vote_rule(logs: Tensor, there: Tensor, weights: Tensor, log_prior: Tensor) -> Tensor:
    """The prior, times e^w for each modality of weight w that names the class."""
    return log_prior + ops.sum(there * weights * named(logs), axis=-2)


def named(logs: Tensor) -> Tensor:
    """1 for the largest of each row, the first where there are several, and 0 for the others.

    `ops.argmax` guards against −0 with an op that TFLite lacks.
    """
    largest = ops.cast(logs >= ops.max(logs, axis=-1, keepdims=True), "float32")
    return largest * ops.cast(ops.cumsum(largest, axis=-1) < 1.5, "float32")


RULES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "product": product_rule,
    "sum": sum_rule,
    "maximum": maximum_rule,
    "vote": vote_rule,
}


@keras.saving.register_keras_serializable("keras_lmf")
class DecisionFusion(ModalityFusion):
    """One answer from the answers of several models: the class probabilities of M ≥ 2 modalities, joined by a rule.

    With p_m = softmax(logits_m / temperature_m), over the modalities that are there:

    - "product": p ∝ prior · ∏ (p_m / prior)^w_m, the product of experts with the prior divided out once. Right where
      the modalities' errors are independent given the class. A modality that is there alone counts fully: p = p_m.
    - "sum": p = Σ w_m p_m / Σ w_m.
    - "maximum": p ∝ max_m p_m, whatever w_m.
    - "vote": p ∝ prior · exp(Σ w_m [m names the class]), m naming its most probable one. With all w_m alike it is the
      majority's; with w_m = log((classes − 1) a_m / (1 − a_m)), a_m the accuracy, it is the posterior of voters whose
      errors are independent and spread evenly. Equal votes go to the larger prior, then to the first class.

    Kittler et al., "On Combining Classifiers", IEEE TPAMI 1998, equations 7, 10 and 12; Nitzan & Paroush, "Optimal
    Decision Rules in Uncertain Dichotomous Choice Situations", 1982. Without any modality the answer is the prior.

    A table of rules goes before: in the first line of which all modalities name what it asks for, p is `certainty` for
    its class, and the rest for the others in proportion. (Sahoo & Routray, "Emotion recognition from audio-visual data
    using rule based decision level fusion", 2016.)

    Input: list or dict of M tensors (…, classes) of logits. Call argument: `presence` (…, M), non-zero where a modality
    is there. Output: (…, classes), log-probabilities: logits whose softmax is p.

    Args:
        rule: "product", "sum", "maximum" or "vote".
        prior: (classes,) of the classes, > 0; default: all alike.
        importance: (M,) w_m ≥ 0; default: 1.
        temperatures: (M,) > 0; default: 1.
        joint_temperatures: (M,) > 0: by which the joint logits are divided where 1, 2, … M modalities are there;
            default: 1. Models that err together are too sure together.
        table: lines (modality → class number, class number), in order, for inputs with names.
        certainty: of each line, .5 to below 1; default: .9.
        trainable: whether importance and temperatures train. Prior, joint temperatures and certainty never do.
        modalities: as of `ModalityFusion`.

    >>> import numpy as np
    >>> voice, face = np.log([[0.8, 0.2]]), np.log([[0.6, 0.4]])
    >>> np.exp(np.asarray(DecisionFusion("sum")([voice, face]), float)).round(2).tolist()
    [[0.7, 0.3]]
    """

    ARGUMENTS = (
        "rule",
        "prior",
        "importance",
        "temperatures",
        "joint_temperatures",
        "table",
        "certainty",
    )

    def __init__(
        self,
        rule: str = "product",
        *,
        prior: Sequence[float] | None = None,
        importance: Sequence[float] | None = None,
        temperatures: Sequence[float] | None = None,
        joint_temperatures: Sequence[float] | None = None,
        table: Sequence[tuple[Mapping[str, int], int]] = (),
        certainty: Sequence[float] | None = None,
        modalities: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(modalities=modalities, **kwargs)
        if rule not in tuple(RULES):
            raise unknown_name("rule", rule, RULES)
        self.rule = rule
        self.prior = self.checked_numbers("prior", prior, LOWEST)
        self.importance = self.checked_numbers("importance", importance, 0.0)
        self.temperatures = self.checked_numbers("temperatures", temperatures, LOWEST)
        self.joint_temperatures = self.checked_numbers("joint_temperatures", joint_temperatures, LOWEST)
        self.certainty = self.checked_numbers("certainty", certainty, 0.5, 1 - LOWEST)
        try:
            self.table = [[dict(when), then] for when, then in table]
        except (TypeError, ValueError):
            raise LMFError(
                f"{self.name}: a table has lines (modality → class number, class number), received {table!r}"
            ) from None

    @property
    def fused_width(self) -> int:
        return self.widths[0]

    def fuse(self, embeddings: list[Tensor]) -> Tensor:
        return self._joined(embeddings, None)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        count, classes = len(self.widths), self.widths[0]
        prior = np.array(self.prior or [1.0] * classes)
        self.scales = one_each(self, "importance", self.importance or [1.0] * count)
        self.log_temperatures = one_each(self, "log_temperature", np.log(self.temperatures or [1.0] * count))
        self.log_prior = one_each(self, "log_prior", np.log(prior / prior.sum()), trainable=False)
        joint = self.joint_temperatures or [1.0] * count
        self.joint = one_each(self, "joint_temperature", joint, trainable=False)
        if self.table:
            certainty = self.certainty or [0.9] * len(self.table)
            self.certainties = one_each(self, "certainty", certainty, trainable=False)

    def require_shape(self, shape: Any) -> None:
        super().require_shape(shape)
        widths = [part[-1] for part in (shape.values() if isinstance(shape, Mapping) else shape)]
        if len(set(widths)) > 1:
            raise LMFError(f"{self.name} joins answers about the same classes, received widths {widths}.")
        sizes = dict.fromkeys(("importance", "temperatures", "joint_temperatures"), len(widths))
        for what, size in {"prior": widths[0], **sizes, "certainty": len(self.table)}.items():
            if (numbers := getattr(self, what)) is not None and len(numbers) != size:
                raise LMFError(f"{self.name}: {what} needs {size} numbers, received {len(numbers)}")
        names = shape if isinstance(shape, Mapping) else ()
        for when, then in self.table:
            for modality in when:
                if modality not in names:
                    raise unknown_name(f"modality in the table of {self.name}", modality, names)
            if not when or not {*when.values(), then} <= set(range(widths[0])):
                raise LMFError(
                    f"{self.name}: a line of its table names one modality or more, and classes 0 … {widths[0] - 1}; "
                    f"received {when} → {then!r}"
                )

    def call(self, inputs: Any, presence: Tensor | None = None, mask: Any = None) -> Tensor:
        embeddings = self.present_embeddings(inputs, presence, mask)
        return self._joined(embeddings, presence)

    def _joined(self, answers: list[Tensor], presence: Tensor | None) -> Tensor:
        logits = ops.cast(ops.stack(answers, axis=-2), "float32")
        logs = ops.log_softmax(logits / ops.expand_dims(ops.exp(self.log_temperatures), -1), axis=-1)
        logs = ops.maximum(logs, LOG_LOWEST)
        there = ops.ones_like(logs[..., :1])
        if presence is not None:
            there = ops.cast(ops.expand_dims(presence, -1) > 0, "float32")
        prior = ops.convert_to_tensor(self.log_prior)
        joined = ops.log_softmax(
            RULES[self.rule](logs, there, ops.expand_dims(self.scales, -1), prior), axis=-1
        )
        # Of none there is no answer but the prior, which stays.
        by_count = ops.concatenate([ops.ones((1,)), self.joint], axis=0)
        count = ops.cast(ops.sum(there, axis=-2), "int32")
        joined = ops.log_softmax(joined / ops.take(by_count, count, axis=0), axis=-1)
        return ops.cast(self._by_table(joined, logs, there[..., 0] > 0), self.compute_dtype)

    def _by_table(self, joined: Tensor, logs: Tensor, there: Tensor) -> Tensor:
        """The answer of the first line that holds; `joined` where none does."""
        said, answer = named(logs) > 0, joined
        for i, (when, then) in reversed(list(enumerate(self.table))):
            holds = True
            for modality, number in when.items():
                m = self.modality_index(modality)
                holds = ops.logical_and(ops.logical_and(there[..., m], said[..., m, number]), holds)
            own = ops.arange(joined.shape[-1]) == then
            others = ops.log_softmax(ops.where(own, -1e9, joined), axis=-1)
            sure = ops.where(
                own,
                ops.log(self.certainties[i]),
                ops.maximum(others, LOG_LOWEST) + ops.log(1 - self.certainties[i]),
            )
            answer = ops.where(ops.expand_dims(holds, -1), sure, answer)
        return answer
