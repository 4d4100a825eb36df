"""Fusion of decisions and estimates that are at hand as arrays: votes, rules, inverse variances, smoothing.

Probabilities are joined by `layers.DecisionFusion` (arrays, too) and trained models by `models.decision_fusion`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.spec import Spec
from keras_lmf.target import Name


class Rule(Spec):
    """A line of a rule table: when all of `when` hold, the answer is `then`."""

    when: dict[Name, str] = Field(description="Modality → the class that it names.")
    then: str = Field(description="The answer.")


Rules = Annotated[tuple[Rule, ...], Field(max_length=1000)]


def vote(
    decisions: Mapping[str, np.ndarray], classes: int, importance: Mapping[str, float] | None = None
) -> np.ndarray:
    """The class that most modalities name, or that has the most weight behind it.

    Args:
        decisions: modality → (N,) class integers; −1 where the modality is absent.
        classes: how many there are.
        importance: modality → weight ≥ 0, for example its accuracy on validation rows; default: 1 each.

    Returns:
        (N,) class integers. Of classes with equal votes, the one that an earlier modality names. −1 without any vote.
    """
    votes = _columns(decisions)
    weights = np.array([1.0 if importance is None else importance[name] for name in decisions])
    if (weights < 0).any() or not np.isfinite(weights).all():
        raise LMFError(f"importance must be numbers ≥ 0, received {dict(importance or {})}.")
    if not ((votes >= -1) & (votes < classes)).all():
        raise LMFError(f"decisions must be class integers from 0 to {classes - 1}, or -1 for none.")
    counts = np.zeros((len(votes), classes))
    for column, weight in zip(votes.T, weights):
        named = column >= 0
        counts[named, column[named]] += weight
    most = counts.max(axis=1, keepdims=True)
    answers = np.full(len(votes), -1)
    for column in votes.T[::-1]:
        winning = (column >= 0) & np.isclose(counts[np.arange(len(votes)), column], most[:, 0])
        answers[winning] = column[winning]
    return answers


def decide(
    rules: Sequence[Rule], decisions: Mapping[str, np.ndarray], classes: Sequence[str], otherwise: str
) -> np.ndarray:
    """The answer of the first rule whose conditions all hold; the modality `otherwise`'s own where none does.

    Sahoo & Routray, "Emotion recognition from audio-visual data using rule based decision level fusion", 2016.

    >>> table = [Rule(when={"voice": "sad", "face": "neutral"}, then="sad")]
    >>> said = {"voice": np.array([1, 0]), "face": np.array([0, 0])}
    >>> decide(table, said, ["neutral", "sad"], otherwise="face").tolist()
    [1, 0]

    Args:
        rules: in order.
        decisions: modality → (N,) class integers; −1 where the modality is absent.
        classes: the names of the integers.
        otherwise: a modality.

    Returns:
        (N,) class integers, −1 where no rule holds and `otherwise` is absent.

    Raises:
        LMFError: a rule about a modality or a class that is not there.
    """
    number = {name: i for i, name in enumerate(classes)}
    for rule in rules:
        for modality in rule.when:
            if modality not in decisions:
                raise unknown_name("modality in a rule", modality, decisions)
        for word in (*rule.when.values(), rule.then):
            if word not in number:
                raise unknown_name("class in a rule", word, classes)
    if otherwise not in decisions:
        raise unknown_name("modality", otherwise, decisions)
    answers = np.array(decisions[otherwise])
    for rule in reversed(rules):
        holds = np.all([decisions[name] == number[word] for name, word in rule.when.items()], axis=0)
        answers = np.where(holds, number[rule.then], answers)
    return answers


def inverse_variance(
    estimates: Mapping[str, np.ndarray], variances: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of estimates, each weighted by 1 / its variance: of all weighted means the one of least variance.

    Args:
        estimates: modality → (N,) numbers; NaN where the modality is absent.
        variances: modality → its error's variance, > 0, for example the mean squared error on validation rows.

    Returns:
        The means and their variances, (N,) each, for errors that don't go together; NaN and inf without any estimate.
    """
    values = _columns(estimates)
    precision = np.array([1 / variances[name] if variances[name] > 0 else np.nan for name in estimates])
    if not np.isfinite(precision).all():
        raise LMFError(f"variances must be numbers above 0, received {dict(variances)}.")
    weights = np.where(np.isnan(values), 0, precision)
    total = weights.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nansum(values * weights, axis=1) / total, 1 / total


def smoothed(
    values: np.ndarray, times: np.ndarray, drift: float, variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """A clip's estimates, window by window, by a Kalman filter and the smoother back in time.

    The true value walks at random: over t seconds its change has the variance `drift` · t. Each estimate has an error
    of `variance`. Rauch, Tung & Striebel, "Maximum likelihood estimates of linear dynamic systems", AIAA Journal 1965.

    Args:
        values: (T,) or (T, K); NaN where a window has no estimate.
        times: (T,) seconds, rising.
        drift: > 0.
        variance: > 0.

    Returns:
        The smoothed values and their variances, both of the shape of `values`.
    """
    if not drift > 0 or not variance > 0:
        raise LMFError(f"drift and variance must be above 0, received {drift!r} and {variance!r}.")
    values = np.asarray(values, float)
    steps = np.diff(np.asarray(times, float))
    if len(steps) + 1 != len(values) or (steps <= 0).any():
        raise LMFError(f"times must rise, one for each of the {len(values)} values.")
    wide = 1e12 * variance  # before the first estimate nothing is known
    mean, spread = np.zeros_like(values), np.full_like(values, wide)
    foretold, foretold_spread = mean.copy(), spread.copy()
    for i, value in enumerate(values):
        if i:
            foretold[i], foretold_spread[i] = mean[i - 1], spread[i - 1] + drift * steps[i - 1]
        gain = np.where(np.isnan(value), 0, foretold_spread[i] / (foretold_spread[i] + variance))
        mean[i] = foretold[i] + gain * (np.nan_to_num(value) - foretold[i])
        spread[i] = np.where(np.isnan(value), foretold_spread[i], gain * variance)
    for i in range(len(values) - 2, -1, -1):
        back = spread[i] / foretold_spread[i + 1]
        mean[i] = mean[i] + back * (mean[i + 1] - foretold[i + 1])
        spread[i] = spread[i] + back**2 * (spread[i + 1] - foretold_spread[i + 1])
    return mean, spread


def _columns(parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N, modalities)."""
    lengths = {name: np.shape(values) for name, values in parts.items()}
    if not parts or len(set(lengths.values())) > 1 or len(next(iter(lengths.values()))) != 1:
        raise LMFError(
            f"One or more modalities with as many rows each are needed, received shapes {lengths}."
        )
    return np.stack(list(parts.values()), axis=1)
