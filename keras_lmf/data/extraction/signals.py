"""Tables beside a recording, on its clock: OpenFace's features and a sensor's signals, in steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.data.openface import FacialFeatures, read_openface
from keras_lmf.data.tables import read_csv
from keras_lmf.errors import LMFError
from keras_lmf.sources import ActionUnits, Landmarks, Sensor

_EARLY = 1e-6  # seconds by which rounded times may come too soon


def facial(
    path: Path,
    source: ActionUnits | Landmarks,
    shape: tuple[int, ...],
    rate: float | None,
    start: float,
    seconds: float,
) -> np.ndarray:
    """`shape` float32 of OpenFace's table: the stretch of `seconds` from `start` on.

    With a rate, step k is the last frame that is not after `start` + k / rate, zeros where no face was followed and
    after the end; without one, the mean over the frames in which it was.
    """
    features = read_openface(path)
    values = features.action_units if isinstance(source, ActionUnits) else features.landmarks
    times = features.timestamps
    if rate is None:
        inside = (times >= start - _EARLY) & (times < start + seconds) & features.success
        return values[inside].mean(axis=0) if inside.any() else np.zeros(shape, np.float32)
    steps = _steps(shape[0], rate, start, seconds)
    at = np.searchsorted(times, steps + _EARLY, side="right") - 1
    there = (at >= 0) & (steps < times[-1] + _period(features))
    filled = np.zeros(shape, np.float32)
    filled[: len(steps)][there] = values[at[there]]
    return filled


def sensor(
    path: Path, source: Sensor, shape: tuple[int, ...], rate: float, start: float, seconds: float
) -> np.ndarray:
    """`shape` (steps, columns) float32: the mean of the samples in each step of 1 / rate seconds, or, where a step has
    none, what lies on the line between its neighbours; zeros before the first sample and after the last.

    Raises:
        LMFError: no table, a column that is missing, no number, or times that don't rise. It names the line.
    """
    needed = ("time", *source.columns)
    _, lines = read_csv(
        path, needed, "A sensor's table has a column 'time', in seconds, and one for each signal."
    )
    table = np.array([[_number(path, line, name, values[name]) for name in needed] for line, values in lines])
    if not len(table):
        raise LMFError(f"{path}: no samples, only a header.")
    times, signals = table[:, 0], table[:, 1:]
    if (falls := np.flatnonzero(np.diff(times) <= 0)).size:
        row = int(falls[0])
        raise LMFError(f"{path}, line {lines[row + 1][0]}: time {times[row + 1]:g} follows {times[row]:g}.")
    filled = np.zeros(shape, np.float32)
    steps = _steps(shape[0], rate, start, seconds)
    inside = (steps >= times[0] - 1 / rate) & (steps <= times[-1])
    for column, signal in enumerate(signals.T):
        filled[: len(steps), column][inside] = np.interp(steps[inside], times, signal)
    at = np.floor((times - start) * rate + _EARLY).astype(int)
    held = (at >= 0) & (at < len(steps))
    counts = np.bincount(at[held], minlength=shape[0])
    for column, signal in enumerate(signals.T):
        sums = np.bincount(at[held], signal[held], minlength=shape[0])
        filled[counts > 0, column] = sums[counts > 0] / counts[counts > 0]
    return filled


def _steps(count: int, rate: float, start: float, seconds: float) -> np.ndarray:
    """The seconds of those of `count` steps that begin within the stretch."""
    offsets = np.arange(count) / rate
    return start + offsets[offsets < seconds - _EARLY]


def _period(features: FacialFeatures) -> float:
    """Seconds of one frame."""
    return float(np.median(np.diff(features.timestamps))) if len(features.timestamps) > 1 else 0.04


def _number(path: Path, line: int, name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    if not abs(number) <= np.finfo(np.float32).max:
        raise LMFError(f"{path}, line {line}: {name} must be a finite number, received {text!r}.")
    return number
