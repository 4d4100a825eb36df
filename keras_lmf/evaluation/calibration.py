"""How far a classifier's probabilities can be believed, and the numbers that mend them.

Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, ICML 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.subsets import only, presence, subsets
from keras_lmf.lazy import Array, taken
from keras_lmf.spec import FITTED_TEMPERATURES, together

LEAST_ROWS = 50  # for a temperature of a subset's own
_HALVINGS = 60  # of the range in the logarithm: far below what float64 resolves


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities of the classes: softmax(logits / temperature) over the last axis, float64.

    Args:
        logits: (N, classes).
        temperature: above 0; above 1 it makes the probabilities more equal, below 1 less. The order of the classes
            stays.
    """
    scaled = np.asarray(logits, np.float64) / _positive(temperature)
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy, in [0, 1] (Guo et al. 2017, eq. 3).

    The rows are put into bins of equal width ((m − 1) / bins, m / bins] by the largest probability. The error is the
    mean over bins, weighted by their rows, of |share of right answers − mean largest probability|.

    Args:
        probabilities: (N, classes), rows that add up to 1: `softmax(logits)`.
        labels: (N,) class integers.
        bins: how many.

    Raises:
        LMFError: shapes or labels that don't fit, no rows, or rows that are no probabilities.
    """
    probabilities, labels = _checked("probabilities", probabilities, labels)
    if probabilities.min() < 0 or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-3:
        raise LMFError(
            "The probabilities must be at least 0 and add up to 1 in every row. Of logits, take softmax(logits)."
        )
    if bins < 1:
        raise LMFError(f"'bins' takes a whole number above 0, received {bins!r}.")
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def expected_calibration_error_quantile(
    probabilities: np.ndarray, quantile: float = 0.95, draws: int = 1000, bins: int = 15, seed: int = 0
) -> float:
    """The expected calibration error that a perfectly calibrated model with these probabilities stays below in
    `quantile` of all test splits of this size.

    Few rows scatter, so no model has an error of 0. Labels are drawn from the probabilities, and each draw's error is
    taken (Vaicenavicius et al., "Evaluating model calibration in classification", AISTATS 2019, section 5).

    Args:
        probabilities: (N, classes), rows that add up to 1.
        quantile: between 0 and 1.
        draws: how many.
        bins: as of `expected_calibration_error`.
        seed: of the draws.

    Raises:
        LMFError: as of `expected_calibration_error`.
    """
    random = np.random.default_rng(seed)
    edges = np.cumsum(np.asarray(probabilities, np.float64), axis=1)
    last = edges.shape[1] - 1
    errors = []
    for _ in range(draws):
        labels = np.minimum((random.random((len(edges), 1)) >= edges).sum(axis=1), last)
        errors.append(expected_calibration_error(probabilities, labels, bins))
    return float(np.quantile(errors, quantile))


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean of −log(probability of the true class) in nats, with the probabilities softmax(logits / temperature).

    Args:
        logits: (N, classes).
        labels: (N,) class integers.
        temperature: above 0.

    Raises:
        LMFError: shapes, labels or a temperature that don't fit, or no rows.
    """
    logits, labels = _checked("logits", logits, labels)
    margins = (logits - logits[np.arange(len(labels)), labels][:, None]) / _positive(temperature)
    largest = margins.max(axis=1)
    return float(np.mean(largest + np.log(np.exp(margins - largest[:, None]).sum(axis=1))))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the smallest negative log-likelihood (Guo et al. 2017, section 4.2).

    The likelihood is convex in 1 / temperature, so the sign of its slope shows the side; the range is halved in the
    logarithm. Fit it on rows that the model was not trained on.

    Args:
        logits: (N, classes).
        labels: (N,) class integers.

    Returns:
        A number in [0.05, 20] (`spec.FITTED_TEMPERATURES`); an end of that range where the best lies beyond it, as
        for logits that are always right.

    Raises:
        LMFError: shapes or labels that don't fit, or no rows.
    """
    logits, labels = _checked("logits", logits, labels)
    low, high = np.log(FITTED_TEMPERATURES)
    own = logits[np.arange(len(labels)), labels]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # The slope of the likelihood in 1 / temperature: the mean logit that is expected less the true class's.
        expected = (softmax(logits, float(np.exp(middle))) * logits).sum(axis=1)
        low, high = (middle, high) if np.mean(expected - own) > 0 else (low, middle)
    return float(np.exp((low + high) / 2))


def subset_logits(
    logits: Callable[[Mapping[str, Array]], np.ndarray], inputs: Mapping[str, Array]
) -> dict[str, np.ndarray]:
    """The logits for each subset of the modalities but all of them, as if the others were absent.

    Args:
        logits: of inputs of the same names → (N, classes); zeros are an absent modality to it.
        inputs: modality → (N, …).

    Returns:
        `spec.together` of the modalities → (N, classes), NaN in rows that lack one of them.
    """
    present, found = presence(inputs), {}
    for subset in subsets(inputs)[:-1]:
        rows = np.all([present[name] for name in subset], axis=0)
        if rows.any():
            answers = logits(only({name: taken(values, rows) for name, values in inputs.items()}, subset))
            found[together(subset)] = np.full((len(rows), answers.shape[1]), np.nan)
            found[together(subset)][rows] = answers
    return found


def temperatures_of_subsets(
    answers: Mapping[str, np.ndarray], labels: np.ndarray, least_rows: int = LEAST_ROWS
) -> dict[str, float] | None:
    """`fit_temperature` for each subset of the modalities.

    Args:
        answers: what `subset_logits` gives.
        labels: (N,) class integers.
        least_rows: that must have all modalities of a subset; those with fewer get no temperature of their own.

    Returns:
        `spec.together` of the modalities → temperature; None without any.
    """
    found = {}
    for subset, logits in answers.items():
        rows = ~np.isnan(logits).any(axis=1)
        if rows.sum() >= least_rows:
            found[subset] = fit_temperature(logits[rows], labels[rows])
    return found or None


def fit_subset_temperatures(
    logits: Callable[[Mapping[str, Array]], np.ndarray],
    inputs: Mapping[str, Array],
    labels: np.ndarray,
    least_rows: int = LEAST_ROWS,
) -> dict[str, float] | None:
    """`temperatures_of_subsets` of the `subset_logits`, whose arguments these are."""
    return temperatures_of_subsets(subset_logits(logits, inputs), labels, least_rows)


def _positive(temperature: float) -> float:
    if not 0 < temperature < np.inf:
        raise LMFError(f"'temperature' takes a number above 0, received {temperature!r}.")
    return temperature


def _checked(what: str, values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, classes) finite float64 and (N,) integers below the number of classes, N ≥ 1."""
    values, labels = np.asarray(values, np.float64), np.asarray(labels)
    if values.ndim != 2 or not len(values) or labels.shape != values.shape[:1]:
        raise LMFError(
            f"The {what} must have the shape (N, classes) and the labels (N,), one row or more; received "
            f"{values.shape} and {labels.shape}."
        )
    if not np.isfinite(values).all():
        raise LMFError(f"The {what} must be finite numbers, received some that are not.")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= values.shape[1]:
        raise LMFError(f"The labels of {values.shape[1]} classes must be integers 0 … {values.shape[1] - 1}.")
    return values, labels
