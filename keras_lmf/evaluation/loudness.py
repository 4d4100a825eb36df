"""How loud a sound is in small steps, and below what it is silence."""

from __future__ import annotations

import numpy as np

STEP_SECONDS = 0.02
SILENCE = -60.0  # decibels relative to full scale


def steps_rms(steps: np.ndarray) -> np.ndarray:
    """Root mean square of each row of samples, (steps, samples) → (steps,)."""
    return np.sqrt(np.mean(np.square(steps), axis=1))


def decibels(rms: np.ndarray) -> np.ndarray:
    """Relative to full scale; −200 of zero.

    >>> decibels(np.array([1.0, 0.1])).round(6).tolist()
    [0.0, -20.0]
    """
    return 20 * np.log10(np.maximum(rms, 1e-10))


def is_silent(waveform: np.ndarray, rate: int) -> bool:
    """Whether a waveform (samples,) in [-1, 1] stays below −60 dB in every step of 20 ms; the last may be shorter.

    >>> is_silent(np.zeros(100), 16000), is_silent(np.full(100, 0.1), 16000)
    (True, False)
    """
    step = max(1, round(STEP_SECONDS * rate))
    whole = len(waveform) // step * step
    parts = [waveform[:whole].reshape(-1, step), waveform[None, whole:]]
    return all((decibels(steps_rms(part)) < SILENCE).all() for part in parts if part.size)
