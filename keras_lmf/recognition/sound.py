"""The sound of a clip: whether an array can be one, and its energy in small steps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from keras_lmf.errors import LMFError
from keras_lmf.media.sound import STEP_SECONDS, steps_rms


def checked_waveform(name: str, waveform: np.ndarray, rate: int) -> np.ndarray:
    """(samples,) float32 in [-1, 1], at least one sample.

    Raises:
        LMFError: another shape, integers, or numbers that are not finite or out of range.
    """
    if not isinstance(waveform, np.ndarray) or waveform.ndim != 1 or not len(waveform):
        received = waveform.shape if isinstance(waveform, np.ndarray) else type(waveform).__name__
        raise LMFError(
            f"{name}: received {received}; a waveform is a numpy array (samples,), mono at {rate} Hz. "
            f"Of channels, take the mean."
        )
    if waveform.dtype.kind != "f":
        raise LMFError(
            f"{name}: received dtype {waveform.dtype}; a waveform is float32 in [-1, 1]. "
            f"Divide integers by their full scale, 32768 for int16."
        )
    if not np.abs(waveform).max() <= 1:  # NaN neither
        raise LMFError(
            f"{name}: the waveform holds numbers outside [-1, 1], or NaN. Divide it by its full scale."
        )
    return waveform.astype(np.float32)


class Envelope:
    """Peak and energy of a sound that arrives in windows which may overlap, in steps of 20 ms."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._step = max(1, round(STEP_SECONDS * rate))
        self._seen = 0
        self._rest = np.zeros(0, np.float32)
        self._rows: list[np.ndarray] = []

    def add(self, start: float, waveform: np.ndarray) -> None:
        """Take what is new in a window from `start` seconds on, which is no later than the end of the last one."""
        fresh = waveform[max(0, self._seen - round(start * self._rate)) :]
        self._seen += len(fresh)
        pending = np.concatenate([self._rest, fresh])
        whole = len(pending) // self._step * self._step
        self._take(pending[:whole].reshape(-1, self._step))
        self._rest = pending[whole:]

    def table(self) -> pd.DataFrame:
        """Columns `start` (seconds), `peak` (largest |sample|), `rms`; the last step may be shorter."""
        if len(self._rest):
            self._take(self._rest[None])
            self._rest = self._rest[:0]
        numbers = np.concatenate(self._rows) if self._rows else np.zeros((0, 2))
        starts = np.arange(len(numbers)) * self._step / self._rate
        return pd.DataFrame({"start": starts, "peak": numbers[:, 0], "rms": numbers[:, 1]})

    def _take(self, steps: np.ndarray) -> None:
        peaks = np.abs(steps).max(axis=1)
        self._rows.append(np.stack([peaks, steps_rms(steps)], axis=1))
