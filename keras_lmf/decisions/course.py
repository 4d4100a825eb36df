"""The course of estimates over time, smoothed."""

from __future__ import annotations

import numpy as np

from keras_lmf.errors import LMFError


def drift_of(seconds: float, hop: float) -> float:
    """The drift of `smoothed`, for a variance of 1, at which an estimate `seconds` away weighs 1/e of one at hand.

    That is so far from a clip's ends, for estimates every `hop` seconds: 4 sinh²(hop / (2 seconds)) / hop, as the
    smoother's weights are a geometric series to both sides.
    """
    if not seconds > 0 or not hop > 0:
        raise LMFError(f"seconds and hop must be above 0, received {seconds!r} and {hop!r}.")
    return float(4 * np.sinh(hop / (2 * seconds)) ** 2 / hop)


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
