"""How long one row takes: a script that runs in a process of its own, where one thread can be asked for.

`exporter.py` starts it through `process.py` as `python -P latency.py FILE INPUTS OUTPUT FAILURE`. INPUTS is an
.npz of one row by modality. OUTPUT is JSON: milliseconds `p50` and `p95` of repeated calls of FILE, a .tflite
file or the folder of a SavedModel, with its inputs set. FAILURE is as in `convert.py`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SIGNATURE = "serving_default"
# A file may take a microsecond: time, not a number of calls, makes the clock of the processor settle.
WARM_UP_SECONDS, SECONDS = 0.1, 0.5
# Or a second: no more calls than fit into so many seconds, but three.
CALLS, MOST_SECONDS, LEAST_CALLS = 50, 10.0, 3


def tflite_call(path: str, inputs: dict[str, np.ndarray]) -> Callable[[], object]:
    """`invoke` of an interpreter with one thread, all inputs set."""
    from ai_edge_litert.interpreter import Interpreter

    # A signature's runner copies inputs and outputs at every call, and spoils its interpreter for `invoke`:
    # one interpreter says which tensor is whose, another is timed.
    details = Interpreter(model_path=path).get_signature_runner(SIGNATURE).get_input_details()
    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    for name, value in inputs.items():
        scale, zero_point = details[name]["quantization"]
        dtype = details[name]["dtype"]
        if scale and dtype != value.dtype:
            limits = np.iinfo(dtype)
            value = np.clip(np.round(value / scale) + zero_point, limits.min, limits.max).astype(dtype)
        interpreter.set_tensor(details[name]["index"], value)
    return interpreter.invoke


def saved_model_call(path: str, inputs: dict[str, np.ndarray]) -> Callable[[], object]:
    """The SavedModel's concrete function on one row, with one thread."""
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    program = tensorflow.saved_model.load(path)
    function = program.signatures[SIGNATURE]
    tensors = {name: tensorflow.constant(value) for name, value in inputs.items()}
    # The default argument keeps `program`, which owns the variables, alive.
    return lambda program=program: [value.numpy() for value in function(**tensors).values()]


def measure(call: Callable[[], object]) -> dict[str, float]:
    """Median and 95th percentile of `call` in milliseconds."""
    durations: list[int] = []
    for seconds, calls in ((WARM_UP_SECONDS, 1), (SECONDS, CALLS)):
        durations.clear()
        begin = time.perf_counter()
        while (
            len(durations) < min(calls, LEAST_CALLS)
            or (spent := time.perf_counter() - begin) < seconds
            or (len(durations) < calls and spent < MOST_SECONDS)
        ):
            start = time.perf_counter_ns()
            call()
            durations.append(time.perf_counter_ns() - start)
    p50, p95 = np.percentile(durations, [50, 95]) / 1e6
    return {"p50": float(p50), "p95": float(p95)}


def main(path: str, inputs: str, output: str, failure: str) -> int:
    try:
        row = dict(np.load(inputs))
        call = (saved_model_call if Path(path).is_dir() else tflite_call)(path, row)
        result = measure(call)
    except Exception as error:
        message = {"message": str(error) or type(error).__name__, "operators": []}
        Path(failure).write_text(json.dumps(message), encoding="utf-8")
        return 1
    Path(output).write_text(json.dumps(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.modules["keras"] = sys.modules["jax"] = None  # as in `convert.py`
    sys.exit(main(*sys.argv[1:]))
