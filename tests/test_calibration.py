"""Calibration against closed forms, numbers worked out by hand, and SciPy's minimiser."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    softmax,
)
from keras_lmf.spec import ModelSpec
from keras_lmf.target import Target


def calibrated(factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `factor` times those whose probabilities are exactly the labels' shares."""
    counts = np.array([[7, 2, 1], [1, 5, 4], [3, 3, 4]])
    labels = np.concatenate([np.repeat(np.arange(3), row) for row in counts])
    return factor * np.repeat(np.log(counts / 10), 10, axis=0), labels


@pytest.mark.parametrize("factor", [0.2, 0.5, 1.0, 3.0, 12.0])
def test_the_factor_of_scaled_logits_is_recovered(factor: float) -> None:
    assert fit_temperature(*calibrated(factor)) == pytest.approx(factor, rel=1e-9)


def test_the_temperature_is_where_another_minimiser_finds_it() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 5, 300)
    logits = 4 * generator.standard_normal((300, 5)) + 3 * np.eye(5)[labels]

    def loss(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(300), labels].mean()

    best = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-9})
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(np.exp(best.x), rel=1e-5)
    assert negative_log_likelihood(logits, labels, found) == pytest.approx(best.fun, abs=1e-12)
    assert negative_log_likelihood(logits, labels) == pytest.approx(loss(0.0), abs=1e-12)


def test_logits_that_are_always_right_or_wrong_end_at_the_limits() -> None:
    logits = np.eye(3) * 5
    always_right, never_right = (fit_temperature(logits, np.array(y)) for y in ([0, 1, 2], [1, 2, 0]))
    assert (always_right, never_right) == pytest.approx((0.05, 20))
    target = Target(name="emotion", classes=("a", "b", "c"))
    for temperature in (always_right, never_right):  # the files' description takes what is fitted
        assert ModelSpec(target=target, temperature=temperature).temperature == temperature


def test_a_likelihood_of_large_logits_is_finite() -> None:
    logits = np.array([[1e5, 0.0]])
    assert negative_log_likelihood(logits, np.array([1])) == pytest.approx(1e5)
    assert softmax(logits).tolist() == [[1.0, 0.0]]


def test_ece_by_hand() -> None:
    confidence = np.array([0.95, 0.9, 0.75, 0.7, 0.55])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.array([0, 1, 0, 0, 1])
    # Five bins: (.8, 1] holds .95 and .9, one of two right; (.6, .8] .75 and .7, both right; (.4, .6] .55, wrong.
    expected = (2 * abs(0.5 - 0.925) + 2 * abs(1 - 0.725) + 1 * abs(0 - 0.55)) / 5
    assert expected_calibration_error(probabilities, labels, bins=5) == pytest.approx(expected)
    # One bin: three of five right.
    assert expected_calibration_error(probabilities, labels, bins=1) == pytest.approx(
        abs(0.6 - confidence.mean())
    )


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    probabilities = np.array([[0.75, 0.25], [0.7, 0.3]])
    # Four bins (.5, .75]: together, one right: |.5 − .725|. Apart it would be (.25 + .7) / 2.
    assert expected_calibration_error(probabilities, np.array([0, 1]), bins=4) == pytest.approx(0.225)


def test_perfectly_calibrated_rows_have_no_error_and_scaled_ones_have_some() -> None:
    logits, labels = calibrated(1.0)
    assert expected_calibration_error(softmax(logits), labels) == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error(softmax(3 * logits), labels) > 0.1
    assert expected_calibration_error(softmax(3 * logits, 3.0), labels) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: expected_calibration_error([[2.0, 1.0]], [0]), r"take softmax\(logits\)"),
        (lambda: expected_calibration_error([[0.5, 0.5]], [0], bins=0), "'bins'"),
        (lambda: expected_calibration_error([[0.5, 0.5]], [2]), "integers 0 … 1"),
        (lambda: fit_temperature([[0.5, 0.5]], [0.0]), "integers 0 … 1"),
        (lambda: fit_temperature(np.zeros((0, 2)), np.zeros(0, int)), r"one row or more; received \(0, 2\)"),
        (lambda: fit_temperature([[np.nan, 0.5]], [0]), "finite"),
        (lambda: negative_log_likelihood([[0.5, 0.5]], [0, 1]), r"received \(1, 2\) and \(2,\)"),
        (lambda: negative_log_likelihood([[0.5, 0.5]], [0], 0), "above 0, received 0"),
        (lambda: softmax([[0.5, 0.5]], float("nan")), "above 0, received nan"),
    ],
)
def test_refusals(call, message: str) -> None:
    with pytest.raises(LMFError, match=message):
        call()
