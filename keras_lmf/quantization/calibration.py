"""What rows of inputs say of a float32 file: its tensors' ranges, its answers, and how well an int8 input would do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

SIGNATURE = "serving_default"
SEARCHED = 2**22  # numbers of an input, at most, that its range is chosen by


def ranges_of(content: bytes, inputs: dict[str, np.ndarray], rules: Any) -> Any:
    """The smallest and the largest value of every tensor on the rows, as the quantiser takes them.

    Of a tensor that is 0 on all of them, as behind units that never fire, they are -1 and 1: steps of next to nothing
    can't be written.
    """
    from litert_quantizer import calibrator
    from litert_quantizer.utils import qsv_utils

    # The quantiser's own `calibrate` averages the extremes of the rows, and so clips the loud ones.
    calibration = calibrator.Calibrator(
        content,
        num_threads=1,
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=qsv_utils.min_max_update,
    )
    calibration.calibrate({SIGNATURE: list(_one_by_one(inputs))}, rules)
    ranges = calibration.get_model_qsvs()
    for tensor in ranges.values():
        if not tensor["min"].any() and not tensor["max"].any():
            tensor["min"], tensor["max"] = tensor["min"] - 1, tensor["max"] + 1
    return ranges


def _one_by_one(inputs: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    for row in range(len(next(iter(inputs.values())))):
        yield {name: values[row : row + 1] for name, values in inputs.items()}


def answers_of(content: bytes, rows: dict[str, np.ndarray]) -> np.ndarray:
    """What a file with float32 ends answers, (N, numbers of all its outputs)."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner(SIGNATURE)
    answers = (sorted(runner(**row).items()) for row in _one_by_one(rows))
    return np.stack([np.concatenate([values.ravel() for _, values in answer]) for answer in answers])


def noise(expected: np.ndarray, found: np.ndarray) -> float:
    """The mean square of the difference as a share of the variance over the rows; of the answers' mean square where all
    rows are answered alike, and 0 where all answers are 0.
    """
    whole = expected.var(axis=0, dtype=np.float64).mean() or np.mean(np.square(expected, dtype=np.float64))
    return float(np.mean(np.square(found - expected, dtype=np.float64)) / whole) if whole else 0.0


def within_steps(values: np.ndarray) -> np.ndarray:
    """The rows, clipped where the 256 steps of an int8 input then lose least.

    Features of an input share one scale, and models standardise each: so what counts is the mean squared error as a
    share of the feature's variance. One feature a hundred times larger than the others would leave them no steps.
    """
    rows = values.reshape(-1, values.shape[-1])
    rows = rows[:: max(1, rows.size // SEARCHED)]
    rows = rows[rows.any(axis=1)]  # masked steps are zeros
    variance = rows.var(axis=0) if len(rows) else np.zeros(1)
    if not variance.any():
        return values
    rows, variance = rows[:, variance > 0], variance[variance > 0]

    def error(limit: float) -> float:
        step = limit / 127
        return float(np.mean((np.clip(np.round(rows / step), -128, 127) * step - rows) ** 2 / variance))

    largest = float(np.abs(values).max())
    limit = min((largest * 2 ** (-halvings / 2) for halvings in range(24)), key=error)
    return np.clip(values, -limit, limit)
