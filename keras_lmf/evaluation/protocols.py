"""The named protocols: what each number of a report means.

Every protocol takes labels y and predictions p, (N,) arrays, or (N, K) for a target of K dimensions, and gives
one number. Its `constant` is the prediction of one who knows the training labels and never looks at the input:
its score is the report's floor.

**Classes** (y, p: class integers; all K classes of the target count, also those without samples):

| protocol | definition | source |
|---|---|---|
| `war` | weighted average recall = accuracy, Σ TP / N | Schuller et al. 2009, INTERSPEECH Emotion Challenge |
| `uar` | unweighted average recall = balanced accuracy, over the classes that occur in y | the same |
| `f1_macro` | mean F1 over the classes that occur in y or p | van Rijsbergen 1979; scikit-learn's `macro` |
| `f1_weighted` | mean F1 weighted by the class's count in y | scikit-learn's `weighted` |
| `f1_<class>` | F1 of that class, 2 TP / (2 TP + FP + FN) | van Rijsbergen 1979 |
| `f1_binary` | two classes only: F1 of class 1 | scikit-learn's `binary` |
| `cohen_kappa` | (observed − chance agreement) / (1 − chance agreement), unweighted | Cohen 1960 |
| `recall` | two classes only: of class 1 (sensitivity). Of more, the mean over classes is `uar` | – |
| `specificity` | TN / (TN + FP); two classes: of class 1; more: mean of one-versus-rest | – |

**Regression** (y, p: real numbers):

| protocol | definition | source |
|---|---|---|
| `mae`, `rmse` | mean absolute error, root mean squared error | – |
| `pearson` | correlation r | – |
| `concordance` | 2 s_xy / (s_x² + s_y² + (x̄ − ȳ)²), population moments | Lin 1989 |

With K dimensions each of the four is the mean of the K dimensions' values, and `pearson_<dimension>` is the
correlation of one dimension.

**Sentiment** (regression of one number whose range spans zero) has these too:

| protocol | definition | source |
|---|---|---|
| `acc2_nonneg` | agreement of y ≥ 0 with p ≥ 0 | Zadeh et al. 2017 (TFN), Liu et al. 2018 (LMF) |
| `acc2_nonzero` | rows with y = 0 dropped; agreement of y > 0 with p > 0 | Tsai et al. 2019 (MulT), code |
| `acc5`, `acc7` | clip both to [−2, 2] or [−3, 3], round, agreement; halves round to even | the same |

and `f1_weighted`, `f1_macro`, `f1_binary`, `recall`, `specificity`, `cohen_kappa` as above, of the two
classes y ≥ 0 and p ≥ 0 (class 1 is non-negative).

A value that is 0/0 is 0.0 (F1 of a class that neither occurs nor is predicted, correlation with a constant,
kappa of a single class, `acc2_nonzero` without a non-zero row); means over classes leave such classes out.

The formulas are numpy on one confusion matrix because an interval asks for each of them a thousand times, and
one scikit-learn call takes a millisecond or two; the tests hold every formula against scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.target import Target

ERRORS = ("mae", "rmse")  # of these the smaller is better


class Protocol(NamedTuple):
    """One named number. `score(y, p)` gives it; `constant(train labels)` gives the floor's prediction."""

    score: Callable[[np.ndarray, np.ndarray], float]
    constant: Callable[[np.ndarray], float | np.ndarray]


def protocols(target: Target) -> dict[str, Protocol]:
    """The protocols that apply to `target`, by name, in the order of a report.

    Raises:
        LMFError: when a class is called like a protocol's suffix ("macro", "weighted", "binary").
    """
    if target.dimensions is not None:
        return REGRESSION | {
            f"pearson_{name}": Protocol(
                lambda y, p, k=k: float(pearson(y[:, k], p[:, k])), REGRESSION["pearson"].constant
            )
            for k, name in enumerate(target.dimensions)
        }
    if target.range is not None:
        spans_zero = target.range[0] < 0 < target.range[1]
        return REGRESSION | SENTIMENT if spans_zero else dict(REGRESSION)
    formulas = COUNTS | TWO_CLASSES if target.size == 2 else COUNTS | MANY_CLASSES
    for k, name in enumerate(target.classes):
        if f"f1_{name}" in formulas:
            raise LMFError(f"The class name {name!r} is taken by the protocol 'f1_{name}': rename the class.")
        formulas[f"f1_{name}"] = lambda counts, k=k: f1(counts)[k]
    return {
        name: Protocol(
            lambda y, p, formula=formula: float(formula(confusion(y, p, target.size))), most_frequent
        )
        for name, formula in formulas.items()
    }


def headline(target: Target) -> str:
    """The protocol that stands for all: an accuracy where there is one."""
    names = protocols(target)
    return next((name for name in ("war", "acc2_nonneg") if name in names), next(iter(names)))


def confusion(y: np.ndarray, p: np.ndarray, size: int) -> np.ndarray:
    """Counts (size, size) of class integers: rows true, columns predicted."""
    return np.bincount(size * y.astype(np.int64) + p, minlength=size * size).reshape(size, size)


def recalls(counts: np.ndarray) -> np.ndarray:
    """TP / (TP + FN) of each class, (K,)."""
    return _ratio(counts.diagonal(), counts.sum(1))


def specificities(counts: np.ndarray) -> np.ndarray:
    """TN / (TN + FP) of each class against the rest, (K,)."""
    negatives = counts.sum() - counts.sum(1)
    return _ratio(negatives - (counts.sum(0) - counts.diagonal()), negatives)


def f1(counts: np.ndarray) -> np.ndarray:
    """2 TP / (2 TP + FP + FN) of each class, (K,)."""
    return _ratio(2 * counts.diagonal(), counts.sum(0) + counts.sum(1))


def cohen_kappa(counts: np.ndarray) -> float:
    """Agreement beyond chance; 0.0 when y and p are one and the same class throughout."""
    chance = counts.sum(1) @ counts.sum(0)  # both terms times N², which keeps them exact integers
    return _ratio(counts.sum() * counts.trace() - chance, counts.sum() ** 2 - chance)


def pearson(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Correlation over the rows of two (N,) or (N, K) arrays, () or (K,); 0.0 where either is constant."""
    # The mean of equal numbers can differ from them by a rounding: ask for constancy directly. The division
    # keeps the squares of very small spreads from vanishing.
    y, p = (_ratio(x - x.mean(axis=0), np.ptp(x, axis=0)) for x in (y, p))
    norms = np.sqrt(np.square(y).sum(axis=0) * np.square(p).sum(axis=0))
    return np.clip(_ratio((y * p).sum(axis=0), norms), -1.0, 1.0)


def concordance(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Lin's concordance correlation over the rows of two (N,) or (N, K) arrays, () or (K,).

    0.0 where both are constant and equal.
    """
    # Relative to their first row, constants are exactly 0: their own mean can differ from them by a rounding.
    apart = y[0] - p[0]
    y, p = y - y[0], p - p[0]
    mean_y, mean_p = y.mean(axis=0), p.mean(axis=0)
    covariance = ((y - mean_y) * (p - mean_p)).mean(axis=0)
    return _ratio(2 * covariance, y.var(axis=0) + p.var(axis=0) + (apart + mean_y - mean_p) ** 2)


def steps(values: np.ndarray, limit: int) -> np.ndarray:
    """Values clipped to [−limit, limit] and rounded (halves to even): 2·limit + 1 classes."""
    return np.round(np.clip(values, -limit, limit))


def acc2_nonzero(y: np.ndarray, p: np.ndarray) -> float:
    """Share of the rows with y ≠ 0 where y > 0 agrees with p > 0: a prediction of exactly 0 is negative."""
    rows = y != 0
    return _agreement(y[rows] > 0, p[rows] > 0)


def most_frequent(values: np.ndarray) -> float:
    """The most frequent value, the smallest of equals; 0.0 of no values."""
    names, counts = np.unique(values, return_counts=True)
    return float(names[counts.argmax()]) if len(names) else 0.0


def _most_frequent_sign(values: np.ndarray) -> float:
    return 1.0 if most_frequent(values >= 0) else -1.0


def _agreement(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean(a == b)) if len(a) else 0.0


def _ratio(numerator: np.ndarray | float, denominator: np.ndarray | float) -> np.ndarray:
    """numerator / denominator, 0.0 where the denominator is 0."""
    denominator = np.asarray(denominator)
    zeros = np.zeros(np.broadcast_shapes(np.shape(numerator), denominator.shape))
    return np.divide(numerator, denominator, out=zeros, where=denominator != 0)


def _mean(values: np.ndarray, judged: np.ndarray) -> float:
    """Mean over the classes that can be judged: those whose denominator `judged` is not 0."""
    return values[judged > 0].mean()


def _uar(counts: np.ndarray) -> float:
    return _mean(recalls(counts), counts.sum(1))


COUNTS: dict[str, Callable[[np.ndarray], float]] = {
    "war": lambda counts: counts.trace() / counts.sum(),
    "uar": _uar,
    "f1_macro": lambda counts: _mean(f1(counts), counts.sum(0) + counts.sum(1)),
    "f1_weighted": lambda counts: f1(counts) @ counts.sum(1) / counts.sum(),
    "cohen_kappa": cohen_kappa,
}
TWO_CLASSES: dict[str, Callable[[np.ndarray], float]] = {
    "recall": lambda counts: recalls(counts)[1],
    "specificity": lambda counts: specificities(counts)[1],
    "f1_binary": lambda counts: f1(counts)[1],
}
MANY_CLASSES: dict[str, Callable[[np.ndarray], float]] = {
    "specificity": lambda counts: _mean(specificities(counts), counts.sum() - counts.sum(1)),
}


def _of_values(formula: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Protocol:
    """`formula` over the rows, () or (K,), as one number: the mean over the dimensions."""
    return Protocol(lambda y, p: float(np.mean(formula(y, p))), lambda train: train.mean(axis=0))


REGRESSION: dict[str, Protocol] = {
    "mae": _of_values(lambda y, p: np.abs(y - p).mean(axis=0)),
    "rmse": _of_values(lambda y, p: np.sqrt(np.square(y - p).mean(axis=0))),
    "pearson": _of_values(pearson),
    "concordance": _of_values(concordance),
}


def _of_signs(formula: Callable[[np.ndarray], float]) -> Protocol:
    """`formula` on the two classes y ≥ 0 and p ≥ 0."""
    return Protocol(lambda y, p: float(formula(confusion(y >= 0, p >= 0, 2))), _most_frequent_sign)


SENTIMENT: dict[str, Protocol] = {
    "acc2_nonneg": Protocol(lambda y, p: _agreement(y >= 0, p >= 0), _most_frequent_sign),
    "acc2_nonzero": Protocol(acc2_nonzero, lambda train: most_frequent(np.sign(train[train != 0]))),
    "acc5": Protocol(lambda y, p: _agreement(steps(y, 2), steps(p, 2)), lambda t: most_frequent(steps(t, 2))),
    "acc7": Protocol(lambda y, p: _agreement(steps(y, 3), steps(p, 3)), lambda t: most_frequent(steps(t, 3))),
    **{
        name: _of_signs((COUNTS | TWO_CLASSES)[name])
        for name in ("f1_weighted", "f1_macro", "f1_binary", "recall", "specificity", "cohen_kappa")
    },
}
