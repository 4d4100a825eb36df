"""What fits a rule that joins decisions to answers that are at hand as arrays."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy  # its parts are loaded when they are first used, which takes a second

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.evaluation.calibration import fit_temperature

if TYPE_CHECKING:
    from keras_lmf import layers

Scores = Mapping[str, np.ndarray]
LOG_LOWEST = np.log(1e-7)  # as of `layers.DecisionFusion`
CERTAINTY = (0.5, 0.99)
LARGEST_IMPORTANCE = 4.0


def votes(decisions: Mapping[str, np.ndarray], classes: int) -> dict[str, np.ndarray]:
    """Votes as scores: part → (N, classes), 1 for the class that it names and 0 for the others; NaN without a vote.

    >>> votes({"rater": np.array([1, -1])}, 2)["rater"].tolist()
    [[0.0, 1.0], [nan, nan]]

    Args:
        decisions: part → (N,) class integers, −1 where it names none.
        classes: how many there are.
    """
    scores = {}
    for part, named in decisions.items():
        named = np.asarray(named)
        if named.ndim != 1 or named.dtype.kind not in "iu" or not ((named >= -1) & (named < classes)).all():
            raise LMFError(
                f"The votes of {part!r} must be class integers (N,) from 0 to {classes - 1}, or -1 for none."
            )
        scores[part] = np.where((named < 0)[:, None], np.nan, np.eye(classes)[named])
    return scores


def features(scores: Scores) -> np.ndarray:
    """What a classifier over outputs takes, (N, Σ widths + parts): the scores, zero where absent, and 1 where not.

    Args:
        scores: part → (N, width); a row of NaN where it is absent.
    """
    from keras_lmf.models.scores import checked_scores, side_by_side_with_presence

    return side_by_side_with_presence(*checked_scores(scores))


def fit(scores: Scores, labels: np.ndarray, rule: Any = "product", **settings: Any) -> dict[str, Any]:
    """The settings of `models.decision_fusion` that fit rows whose answer is known, the rule among them.

    >>> settings = fit({"voice": voice_valid, "face": face_valid}, labels)      # doctest: +SKIP
    >>> klmf.models.decision_fusion({"voice": voice, "face": face}, **settings) # doctest: +SKIP

    Take rows that the parts have not learnt from, such as the validation split's.

    - "product", "sum", "maximum", "vote": `prior`, the labels' frequencies; `temperatures`, one for each part alone
      (Guo et al. 2017); `importance`, which for "product" and "sum" is the most likely, for "vote" the log-odds of
      the part's accuracy; and `joint_temperatures`, by how many parts are there. With `rules`, their `certainty`:
      how often each was right where it held.
    - "inverse_variance": `variances`, the mean squared errors, and `fallback`, the mean label.
    - "stacking": `kernel` and `bias`. For classes multinomial logistic regression, for numbers ridge regression, both
      with a penalty of 1, as scikit-learn's by default.
    - A scikit-learn classifier: a copy of it, fitted on `features(scores)`.

    Args:
        scores: part → (N, classes) logits, or (N, width) numbers; a row of NaN where it is absent.
        labels: (N,) class integers, or (N,) or (N, width) real numbers.
        rule: as of `models.decision_fusion`.
        settings: `rules`, `classes`, and settings that are not to be fitted. A `prior`, (classes,), goes with
            parts that were trained as if the classes were so frequent, as with balanced weights; default: the labels'
            frequencies.

    Raises:
        LMFError: scores or labels that don't fit, no row of a part, or an unknown rule.
    """
    from keras_lmf.models.joints import JOINTS
    from keras_lmf.models.scores import (
        checked_scores,
        classes_of,
        refuse_settings,
        side_by_side_with_presence,
    )

    rows, there = checked_scores(scores)
    labels = np.asarray(labels)
    width = next(iter(rows.values())).shape[1]
    if len(labels) != len(there):
        raise LMFError(f"Labels and scores need equally many rows, received {len(labels)} and {len(there)}.")
    if labels.dtype.kind not in "iuf" or not np.isfinite(labels).all():
        raise LMFError("Labels are class integers, or finite real numbers; received others.")
    if empty := [part for part, flags in zip(rows, there.T) if not flags.any()]:
        raise LMFError(f"Nothing is known of {', '.join(empty)}: every row is absent.")
    if hasattr(rule, "predict_proba"):
        refuse_settings(rule, settings)
        fitted = copy.deepcopy(rule).fit(side_by_side_with_presence(rows, there), labels)
        classes_of(fitted, width)
        return {"rule": fitted}
    if not isinstance(rule, str) or rule not in JOINTS:
        raise unknown_name("rule", str(rule), JOINTS)
    if rule == "inverse_variance":
        found = _variances(rows, there, labels.reshape(len(labels), -1).astype(float))
    elif rule == "stacking":
        found = _linear(side_by_side_with_presence(rows, there), labels, width)
        if (prior := settings.pop("prior", None)) is not None:
            if labels.dtype.kind not in "iu":
                raise LMFError("A prior is of classes, the labels are real numbers.")
            # Bayes's rule, from the labels' frequencies to these.
            prior = np.asarray(_checked("product", list(rows), width, {"prior": prior}).prior)
            shift = np.log(prior / prior.sum()) - np.log(_frequencies(labels, width))
            found["bias"] = (np.array(found["bias"]) + shift).tolist()
    else:
        found = _of_classes(rows, there, labels, rule, settings)
    return {"rule": rule, **found, **settings}


def _of_classes(
    rows: Scores, there: np.ndarray, labels: np.ndarray, rule: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    parts, width = list(rows), next(iter(rows.values())).shape[1]
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or not ((labels >= 0) & (labels < width)).all():
        raise LMFError(f"The labels of {width} classes must be integers 0 … {width - 1}, one for each row.")
    given = _checked(rule, parts, width, settings)
    prior = np.asarray(given.prior or _frequencies(labels, width))
    if given.temperatures:
        temperatures = dict(zip(parts, given.temperatures))
    else:
        temperatures = {
            part: fit_temperature(rows[part][flags], labels[flags]) for part, flags in zip(parts, there.T)
        }
    logs = np.stack(
        [scipy.special.log_softmax(rows[part] / temperatures[part], axis=1) for part in parts], axis=1
    )
    logs = np.maximum(logs, LOG_LOWEST)  # (N, parts, classes)
    importance = IMPORTANCE[rule](logs, there, labels, np.log(prior))
    found = {
        "prior": prior.tolist(),
        "temperatures": temperatures,
        "importance": dict(zip(parts, importance.tolist())),
    }
    found |= {key: value for key, value in settings.items() if key in found}
    found["joint_temperatures"] = _joint_temperatures(rows, there, labels, rule, found)
    if settings.get("rules"):
        found["certainty"] = _certainty(logs, there, labels, parts, settings)
    return found


def _checked(
    rule: str, parts: Sequence[str], width: int, settings: Mapping[str, Any]
) -> layers.DecisionFusion:
    """The layer of these settings, which refuses those that don't fit."""
    from keras_lmf.models.joints import joint_layer

    layer = joint_layer(rule, parts, **settings)
    layer.build(dict.fromkeys(parts, (None, width)))
    return layer


def _frequencies(labels: np.ndarray, width: int) -> np.ndarray:
    """Of each class, (rows + 1) / (all rows + classes)."""
    return (np.bincount(labels, minlength=width) + 1) / (len(labels) + width)


def _joint_temperatures(
    rows: Scores, there: np.ndarray, labels: np.ndarray, rule: str, settings: Mapping[str, Any]
) -> list[float]:
    """For 1, 2, … parts the temperature of the joint answer, over the rows that have these and more.

    Of each number, as many subsets are tried as there are parts: each part with those that follow it, around the end.
    """
    from keras_lmf.models.decision import decision_fusion

    parts, temperatures = list(rows), []
    for count in range(1, len(parts) + 1):
        answers, known = [], []
        for first in range(len(parts) if count < len(parts) else 1):
            chosen = [(first + i) % len(parts) for i in range(count)]
            whole = there[:, chosen].all(axis=1)
            if whole.any():
                presence = {part: np.full(whole.sum(), m in chosen) for m, part in enumerate(parts)}
                given = {part: values[whole] for part, values in rows.items()}
                answers.append(decision_fusion(given, rule, presence=presence, **settings))
                known.append(labels[whole])
        temperatures.append(
            fit_temperature(np.concatenate(answers), np.concatenate(known)) if answers else 1.0
        )
    return temperatures


def _certainty(
    logs: np.ndarray, there: np.ndarray, labels: np.ndarray, parts: Sequence[str], settings: Mapping[str, Any]
) -> list[float]:
    """Of each line of a rule table how often it is right where it is the first that holds, (right + 1) / (rows + 2)."""
    from keras_lmf.models.joints import joint_layer

    table = joint_layer("product", parts, classes=settings.get("classes"), rules=settings["rules"]).table
    named, free, found = np.where(there, logs.argmax(axis=2), -1), np.full(len(labels), True), []
    for when, then in table:
        holds = free & np.all(
            [named[:, parts.index(part)] == number for part, number in when.items()], axis=0
        )
        free &= ~holds
        right = int((labels[holds] == then).sum())
        found.append(float(np.clip((right + 1) / (holds.sum() + 2), *CERTAINTY)))
    return found


# -- importance: (N, parts, classes) log-probabilities, (N, parts) bool, (N,), (classes,) → (parts,) -----------
def _for_product(
    logs: np.ndarray, there: np.ndarray, labels: np.ndarray, log_prior: np.ndarray
) -> np.ndarray:
    """Of the largest likelihood over the rows that have several, with a penalty of (w − 1)² / 2 for each; convex."""
    several = there.sum(axis=1) > 1  # what is there alone counts fully
    logs, there, labels = logs[several], there[several], labels[several]
    evidence = there[:, :, None] * (logs - log_prior)
    own = evidence[np.arange(len(labels)), :, labels]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        joint = scipy.special.log_softmax(log_prior + np.einsum("m,nmk->nk", weights, evidence), axis=1)
        expected = np.einsum("nk,nmk->nm", np.exp(joint), evidence)
        value = -joint[np.arange(len(labels)), labels].sum() + ((weights - 1) ** 2).sum() / 2
        return value, (expected - own).sum(axis=0) + weights - 1

    bounds = [(0.0, LARGEST_IMPORTANCE)] * there.shape[1]
    return scipy.optimize.minimize(
        loss, np.ones(there.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds
    ).x


def _for_sum(logs: np.ndarray, there: np.ndarray, labels: np.ndarray, log_prior: np.ndarray) -> np.ndarray:
    """Of the largest likelihood over the rows that have all parts, by expectation maximisation; convex."""
    whole, weights = there.all(axis=1), np.full(there.shape[1], 1 / there.shape[1])
    own = np.exp(logs[np.arange(len(labels)), :, labels][whole])
    for _ in range(200 if len(own) else 0):
        shares = own * weights
        weights = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
    return weights * there.shape[1]


def _for_votes(logs: np.ndarray, there: np.ndarray, labels: np.ndarray, log_prior: np.ndarray) -> np.ndarray:
    """The log-odds of the accuracy a, (right + 1) / (rows + 2), log((classes − 1) a / (1 − a)), at least 0."""
    right = (there & (logs.argmax(axis=2) == labels[:, None])).sum(axis=0)
    accuracy = (right + 1) / (there.sum(axis=0) + 2)
    return np.maximum(np.log((logs.shape[2] - 1) * accuracy / (1 - accuracy)), 0.0)


def _alike(logs: np.ndarray, there: np.ndarray, labels: np.ndarray, log_prior: np.ndarray) -> np.ndarray:
    return np.ones(there.shape[1])


IMPORTANCE = {"product": _for_product, "sum": _for_sum, "maximum": _alike, "vote": _for_votes}


# -- of numbers, and linear --------------------------------------------------------------------------------------
def _variances(rows: Scores, there: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    variances = {}
    for (part, values), flags in zip(rows.items(), there.T):
        if values.shape != labels.shape:
            raise LMFError(
                f"The labels have the shape {labels.shape}, the estimates of {part!r} {values.shape}."
            )
        errors = ((values[flags] - labels[flags]) ** 2).mean(axis=0)
        variances[part] = np.maximum(errors, 1e-12).tolist()
    return {"variances": variances, "fallback": labels.mean(axis=0).tolist()}


def _linear(inputs: np.ndarray, labels: np.ndarray, width: int) -> dict[str, Any]:
    """(N, features) → (N, width), with a penalty of |kernel|² / 2."""
    if labels.dtype.kind not in "iu":
        values = labels.reshape(len(labels), -1).astype(float)
        centre, mean = inputs.mean(axis=0), values.mean(axis=0)
        moments = (inputs - centre).T @ (inputs - centre) + np.eye(inputs.shape[1])
        kernel = np.linalg.solve(moments, (inputs - centre).T @ (values - mean))
        return {"kernel": kernel.tolist(), "bias": (mean - centre @ kernel).tolist()}
    if labels.ndim != 1 or not ((labels >= 0) & (labels < width)).all():
        raise LMFError(f"The labels of {width} classes must be integers 0 … {width - 1}, one for each row.")
    known, shape = np.eye(width)[labels], (inputs.shape[1] + 1, width)
    whole = np.column_stack([inputs, np.ones(len(inputs))])

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        kernel = numbers.reshape(shape)
        logs = scipy.special.log_softmax(whole @ kernel, axis=1)
        slope = whole.T @ (np.exp(logs) - known)
        slope[:-1] += kernel[:-1]
        return -(known * logs).sum() + (kernel[:-1] ** 2).sum() / 2, slope.ravel()

    start, options = np.zeros(shape), {"maxiter": 10_000, "maxfun": 10**6, "ftol": 1e-12, "gtol": 1e-6}
    found = scipy.optimize.minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options).x
    kernel = found.reshape(shape)
    return {"kernel": kernel[:-1].tolist(), "bias": kernel[-1].tolist()}
