"""Answers of several parts as arrays, and scikit-learn classifiers that join them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_lmf.errors import LMFError, unknown_name


def checked_scores(
    parts: Mapping[str, Any], presence: Mapping[str, Any] | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The scores, zero where they are absent, and what is there, (N, parts) bool.

    Raises:
        LMFError: other shapes than (N, width), unequal numbers of rows, or rows that are NaN or infinite in part.
    """
    scores, flags = {}, []
    for part in presence or ():
        if part not in parts:
            raise unknown_name("part in presence", part, parts)
    for part, values in parts.items():
        try:
            rows = np.asarray(values, float)
        except (TypeError, ValueError):
            rows = np.zeros(0)
        if rows.ndim != 2 or not rows.size:
            raise LMFError(
                f"The part {part!r} must be a model or an array (N, classes) of logits or (N, width) of numbers, "
                f"received {getattr(values, 'shape', type(values).__name__)}. Of votes, decisions.votes makes one."
            )
        there = ~np.isnan(rows).all(axis=1)
        if part in (presence or ()):
            given = np.asarray(presence[part])
            if given.shape != there.shape:
                raise LMFError(f"presence[{part!r}] needs the shape {there.shape}, received {given.shape}.")
            there &= given.astype(bool)
        rows = np.where(there[:, None], np.maximum(rows, -1e30), 0.0)  # the logarithm of 0 is −infinity
        if not np.isfinite(rows).all():
            raise LMFError(f"The part {part!r}, row {np.argmin(np.isfinite(rows).all(axis=1))}: not finite.")
        scores[part] = rows
        flags.append(there)
    if len(shapes := {rows.shape[0] for rows in scores.values()}) > 1:
        raise LMFError(f"The parts need equally many rows, received {sorted(shapes)}.")
    return scores, np.stack(flags, axis=1)


def side_by_side_with_presence(scores: Mapping[str, np.ndarray], there: np.ndarray) -> np.ndarray:
    """(N, Σ widths + parts): the scores, zero where absent, and 1 for each part that is there."""
    return np.concatenate([*scores.values(), there], axis=1)


def by_classifier(scores: Mapping[str, np.ndarray], there: np.ndarray, classifier: Any) -> np.ndarray:
    """The classifier's log-probabilities of all classes, also of those that it never saw."""
    features = side_by_side_with_presence(scores, there)
    try:
        found = np.asarray(classifier.predict_proba(features), float)
    except ValueError as error:  # scikit-learn's NotFittedError is one
        raise LMFError(f"{_unfitted(classifier)} ({error})") from None
    width = next(iter(scores.values())).shape[1]
    probabilities = np.zeros((len(features), width))
    probabilities[:, classes_of(classifier, width)] = found
    return np.log(np.maximum(probabilities, 1e-12))


def refuse_settings(classifier: Any, settings: Mapping[str, Any], known: Sequence[str] = ()) -> None:
    """LMFError where there are any: a classifier has its own."""
    for key in settings:
        raise unknown_name(f"setting of the rule {type(classifier).__name__}", key, known)


def classes_of(classifier: Any, width: int) -> np.ndarray:
    """The class integers that the classifier has seen, each 0 … width − 1.

    Raises:
        LMFError: it was fitted on other labels.
    """
    seen = np.asarray(classifier.classes_)
    if seen.dtype.kind not in "iuf" or not np.isin(seen, np.arange(width)).all():
        raise LMFError(
            f"{type(classifier).__name__} must be fitted on class integers 0 … {width - 1}, as the parts have {width} "
            f"classes; it knows {', '.join(map(str, seen[:20]))}."
        )
    return seen.astype(int)


def _unfitted(classifier: Any) -> str:
    return (
        f"{type(classifier).__name__} can't join these parts. Fit it on validation rows of theirs: "
        "rule = keras_lmf.decisions.fit(scores, labels, rule=…)['rule']."
    )


def as_linear(classifier: Any, widths: Sequence[int]) -> dict[str, Any]:
    """The settings of `Stacking` whose softmax is the classifier's answer.

    Raises:
        LMFError: there are none.
    """
    if not hasattr(classifier, "coef_"):
        raise LMFError(
            f"{_unfitted(classifier)} Of models, rule takes a classifier that is the softmax of a linear function; any "
            "other takes arrays."
        )
    rows, bias = np.asarray(classifier.coef_, float), np.asarray(classifier.intercept_, float)
    if len(rows) == 1:  # of two classes: the log-odds of the second
        rows, bias = np.concatenate([0 * rows, rows]), np.concatenate([0 * bias, bias])
    units, size = widths[0], sum(widths) + len(widths)
    if rows.shape[1:] != (size,):
        raise LMFError(f"{_unfitted(classifier)} It takes {rows.shape[1]} features, theirs are {size}.")
    kernel, offset = np.zeros((size, units)), np.full(units, -30.0)
    seen = classes_of(classifier, units)
    kernel[:, seen], offset[seen] = rows.T, bias
    probe = np.random.default_rng(0).normal(size=(8, size))
    logits = probe @ rows.T + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    if not np.allclose(
        powers / powers.sum(axis=1, keepdims=True), classifier.predict_proba(probe), atol=1e-6
    ):
        raise LMFError(
            f"The answer of {type(classifier).__name__} is not the softmax of a linear function: give it arrays."
        )
    return {"kernel": kernel.tolist(), "bias": offset.tolist()}
