"""Votes, rules, inverse variances and smoothing, each against another way to the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from keras_lmf.decisions import Rule, decide, inverse_variance, smoothed, vote
from keras_lmf.errors import LMFError


def test_a_vote_is_the_most_common_answer():
    random = np.random.default_rng(0)
    decisions = {name: random.integers(-1, 3, 200) for name in ("voice", "face", "text")}
    for row, answer in enumerate(vote(decisions, 3)):
        named = [int(column[row]) for column in decisions.values() if column[row] >= 0]
        counted = Counter(named)
        expected = next((word for word in named if counted[word] == max(counted.values())), -1)
        assert answer == expected


def test_weights_outvote_numbers():
    decisions = {"voice": np.array([0, 0]), "face": np.array([1, 1]), "text": np.array([1, -1])}
    found = vote(decisions, 2, {"voice": 0.9, "face": 0.5, "text": 0.5})
    np.testing.assert_array_equal(found, [1, 0])


def test_rules_are_read_from_the_top():
    rules = [
        Rule(when={"voice": "sad", "face": "happy"}, then="neutral"),
        Rule(when={"voice": "sad"}, then="sad"),
    ]
    said = {"voice": np.array([1, 1, 2, -1]), "face": np.array([2, 0, 0, 2])}
    found = decide(rules, said, ["neutral", "sad", "happy"], otherwise="face")
    np.testing.assert_array_equal(found, [0, 1, 0, 2])


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"when": {"vioce": "sad"}, "then": "sad"}, "voice"),
        ({"when": {"voice": "sda"}, "then": "sad"}, "sad"),
    ],
)
def test_a_rule_about_something_else_is_refused(rule, says):
    with pytest.raises(LMFError, match=says):
        decide([Rule(**rule)], {"voice": np.array([0])}, ["neutral", "sad"], otherwise="voice")


def test_inverse_variance_has_the_least_error():
    random = np.random.default_rng(1)
    truth, variances = random.normal(size=100_000), {"voice": 0.5, "face": 2.0}
    estimates = {
        name: truth + random.normal(scale=variance**0.5, size=len(truth))
        for name, variance in variances.items()
    }
    mean, variance = inverse_variance(estimates, variances)
    errors = {
        share: ((share * estimates["voice"] + (1 - share) * estimates["face"] - truth) ** 2).mean()
        for share in np.linspace(0, 1, 11)
    }
    assert ((mean - truth) ** 2).mean() == pytest.approx(min(errors.values()), rel=0.01)
    np.testing.assert_allclose(variance, ((mean - truth) ** 2).mean(), rtol=0.02)


def test_what_is_absent_has_no_weight():
    estimates = {"voice": np.array([1.0, np.nan, np.nan]), "face": np.array([2.0, 2.0, np.nan])}
    mean, variance = inverse_variance(estimates, {"voice": 1.0, "face": 1.0})
    np.testing.assert_allclose(mean, [1.5, 2.0, np.nan])
    np.testing.assert_allclose(variance, [0.5, 1.0, np.inf])


def test_smoothing_is_the_solution_of_its_normal_equations():
    """The most probable walk: Σ (x − y)² / variance + Σ (Δx)² / (drift Δt) is least, a linear system."""
    random = np.random.default_rng(2)
    times = np.cumsum(random.uniform(0.2, 2.0, 30))
    values = random.normal(size=30)
    values[[4, 5, 29]] = np.nan
    drift, variance = 0.3, 0.7
    known = ~np.isnan(values)
    changes = np.diff(np.eye(30), axis=0)
    precision = np.diag(known / variance) + changes.T @ np.diag(1 / (drift * np.diff(times))) @ changes
    found, spread = smoothed(values, times, drift, variance)
    np.testing.assert_allclose(
        found, np.linalg.solve(precision, np.where(known, values, 0) / variance), atol=1e-6
    )
    np.testing.assert_allclose(spread, np.diag(np.linalg.inv(precision)), rtol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: vote({"voice": np.array([3])}, 3),
        lambda: vote({"voice": np.array([0]), "face": np.array([0, 1])}, 3),
        lambda: inverse_variance({"voice": np.array([0.0])}, {"voice": 0.0}),
        lambda: smoothed(np.zeros(3), np.array([0, 2, 1]), 1.0, 1.0),
        lambda: smoothed(np.zeros(3), np.arange(3), 0.0, 1.0),
    ],
)
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(LMFError, match=r"must|needed"):
        call()
