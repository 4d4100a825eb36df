"""Of the skin: electrodermal activity as its slow and its fast part."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.data.tables import read_csv
from keras_lmf.descriptors.table import STEP
from keras_lmf.errors import LMFError, import_extra

RATE = 50  # samples a second on which the parts are computed
LEAST = 10.0  # seconds
LONGEST_GAP = 1.0  # seconds, between two samples: a response takes one to three
TIME, EDA = "time", "eda"


def read_eda(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds and conductance in µS, (N,) float64 each, of a CSV with the columns `time` and `eda`.

    Raises:
        LMFError: no table; a column that is missing; a value that is no number ≥ 0; times that don't rise.
    """
    path = Path(path)
    _, lines = read_csv(path, (TIME, EDA), "One line a sample: seconds from the clip's beginning, and µS.")
    rows = np.empty((len(lines), 2))
    for i, (line, values) in enumerate(lines):
        for j, name in enumerate((TIME, EDA)):
            try:
                rows[i, j] = float(values[name])
            except ValueError:
                rows[i, j] = np.nan
            if not np.isfinite(rows[i, j]) or (name == EDA and rows[i, j] < 0):
                raise LMFError(f"{path}, line {line}: {name} must be a number, received {values[name]!r}.")
        if i and rows[i, 0] <= rows[i - 1, 0]:
            raise LMFError(
                f"{path}, line {line}: time {rows[i, 0]:g} follows {rows[i - 1, 0]:g}; it must rise."
            )
    return rows[:, 0], rows[:, 1]


def skin_descriptors(times: np.ndarray, eda: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Descriptor → (count,) float64, one number every `STEP` seconds from 0 s on; NaN before and after the recording.

    neurokit2's `eda_process`: low-pass of 3 Hz, then tonic and phasic part by a high-pass of .05 Hz, and the peaks of
    the phasic one.

    Args:
        times: (N,) seconds, rising.
        eda: (N,) µS.
        count: steps.

    Raises:
        LMFError: neurokit2 isn't installed, or a recording of less than 10 s or with a gap of over 1 s.
    """
    neurokit = import_extra("neurokit2", "descriptors")
    if len(times) < 2 or times[-1] - times[0] < LEAST:
        raise LMFError(f"Electrodermal activity needs {LEAST:g} s or more, received {len(times)} samples.")
    if (gap := np.diff(times).max()) > LONGEST_GAP:
        raise LMFError(
            f"Electrodermal activity needs a sample every {LONGEST_GAP:g} s or more often, received a gap of {gap:g} s."
        )
    if np.ptp(eda) == 0:
        raise LMFError(f"The skin's conductance is {eda[0]:g} µS all the time: was the electrode on?")
    even = np.arange(times[0], times[-1], 1 / RATE)
    found, peaks = neurokit.eda_process(np.interp(even, times, eda), sampling_rate=RATE)
    steps = np.arange(count) * STEP
    inside = (steps >= times[0] - STEP / 2) & (steps <= times[-1] + STEP / 2)
    columns = {
        name: np.where(inside, np.interp(steps, even, found[column]), np.nan)
        for name, column in (("eda_tonic", "EDA_Tonic"), ("eda_phasic", "EDA_Phasic"))
    }
    response = np.where(inside, 0.0, np.nan)
    for peak, amplitude in zip(peaks["SCR_Peaks"], peaks["SCR_Amplitude"]):
        step = round(even[int(peak)] / STEP)
        if 0 <= step < count and np.isfinite(amplitude):
            response[step] = amplitude
    return columns | {"eda_response": response}
