"""Smoothing over time, against the linear system that it solves."""

from __future__ import annotations

import numpy as np
import pytest

from keras_lmf import decisions
from keras_lmf.decisions import smoothed


# -- over time -------------------------------------------------------------------------------------------------
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


@pytest.mark.parametrize("hop", [0.2, 1.5])
def test_the_weight_of_an_estimate_falls_to_1_e_over_the_seconds(hop):
    times, impulse = hop * np.arange(401), np.zeros(401)
    impulse[200] = 1
    found, _ = smoothed(impulse, times, decisions.drift_of(3.0, hop), 1.0)
    np.testing.assert_allclose(
        found[150:251] / found[200], np.exp(-np.abs(times - times[200]) / 3)[150:251], atol=1e-6
    )
    assert found.sum() == pytest.approx(1)
