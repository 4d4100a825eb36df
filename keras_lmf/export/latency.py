"""How long one row takes: a script that runs in a process of its own, where a number of threads can be asked for.

`process.py` starts it as `python -P latency.py MODEL INPUTS THREADS OUTPUT FAILURE`. MODEL is a .tflite or
.onnx file, the folder of a SavedModel, or a .keras file of this package's making. INPUTS is an .npz of one row by
modality, or "": a row is drawn. OUTPUT is JSON: milliseconds `p50` and `p95` of repeated calls with the inputs set, and
`peak_mib`, the most memory that the process held, framework and all; null where the system doesn't tell. FAILURE is
that of `failures`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_lmf import failures

Rows = dict[str, np.ndarray]

SIGNATURE = "serving_default"
STATUS = Path("/proc/self/status")
# A file may take a microsecond: time, not a number of calls, makes the clock of the processor settle.
WARM_UP_SECONDS, SECONDS = 0.1, 0.5
# Or a second: no more calls than fit into so many seconds, but three.
CALLS, MOST_SECONDS, LEAST_CALLS = 50, 10.0, 3


def bind_threads(backend: str, threads: int) -> None:
    """Let a Keras backend compute on so many threads, one operation at a time; before its first computation.

    Raises:
        RuntimeError: TensorFlow has computed before in this process.
    """
    if backend == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    elif backend == "jax":
        # JAX reads it when the first computation starts, not at import.
        eigen = str(threads > 1).lower()
        os.environ["XLA_FLAGS"] = (
            f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={threads}"
        )
    else:
        import torch

        torch.set_num_threads(threads)


def drawn(shapes: Mapping[str, tuple[Sequence[int | None], Any]]) -> Rows:
    """One row for each (shape of a row, dtype): standard-normal numbers, or zeros where they are no real numbers."""
    generator = np.random.default_rng(0)
    rows = {}
    for name, (shape, dtype) in sorted(shapes.items()):
        if None in shape:
            raise ValueError(f"the input {name!r} takes any length, so no row can be drawn for it")
        real = np.dtype(dtype).kind == "f"
        rows[name] = (generator.standard_normal if real else np.zeros)((1, *shape)).astype(dtype)
    return rows


def tflite_call(path: str, inputs: Rows | None, threads: int) -> Callable[[], object]:
    """`invoke` of an interpreter, all inputs set."""
    from ai_edge_litert.interpreter import Interpreter

    # A signature's runner copies inputs and outputs at every call, and spoils its interpreter for `invoke`:
    # one interpreter says which tensor is whose, another is timed.
    details = Interpreter(model_path=path).get_signature_runner(SIGNATURE).get_input_details()
    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    row = inputs or drawn(
        {
            name: (detail["shape"][1:], np.float32 if detail["quantization"][0] else detail["dtype"])
            for name, detail in details.items()
        }
    )
    for name, value in row.items():
        scale, zero_point = details[name]["quantization"]
        dtype = details[name]["dtype"]
        if scale and dtype != value.dtype:
            limits = np.iinfo(dtype)
            value = np.clip(np.round(value / scale) + zero_point, limits.min, limits.max).astype(dtype)
        interpreter.set_tensor(details[name]["index"], value)
    return interpreter.invoke


def onnx_call(path: str, inputs: Rows | None, threads: int) -> Callable[[], object]:
    """`run` of a session."""
    import onnxruntime

    from keras_lmf.runtime import open_artifact

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    row = inputs or drawn(
        {name: (info.shape, info.dtype) for name, info in open_artifact(path).inputs.items()}
    )
    return lambda: session.run(None, row)


def saved_model_call(path: str, inputs: Rows | None, threads: int) -> Callable[[], object]:
    """The SavedModel's concrete function on one row."""
    bind_threads("tensorflow", threads)
    import tensorflow

    program = tensorflow.saved_model.load(path)
    function = program.signatures[SIGNATURE]
    specs = function.structured_input_signature[1]
    row = inputs or drawn({name: (spec.shape[1:], spec.dtype.as_numpy_dtype) for name, spec in specs.items()})
    tensors = {name: tensorflow.constant(value) for name, value in row.items()}
    # The default argument keeps `program`, which owns the variables, alive.
    return lambda program=program: [value.numpy() for value in function(**tensors).values()]


def keras_call(path: str, inputs: Rows | None, threads: int) -> Callable[[], object]:
    """The Keras model's compiled prediction of one row, on the backend that Keras has here."""
    import keras

    bind_threads(keras.backend.backend(), threads)
    import keras_lmf.layers  # noqa: F401  registers them

    model = keras.saving.load_model(path, compile=False)
    row = inputs or drawn({name: (end.shape[1:], np.dtype(end.dtype)) for name, end in model.input.items()})
    return lambda: model.predict_on_batch(row)


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


def peak_mib() -> float | None:
    """The most memory that this process has held, where Linux tells it.

    Not `ru_maxrss`: a process that was started by a large one inherits that one's peak.
    """
    if not STATUS.exists():
        return None
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def main(model: str, inputs: str, threads: str, output: str, failure: str) -> int:
    calls = {".tflite": tflite_call, ".onnx": onnx_call, ".keras": keras_call}
    call = calls.get(Path(model).suffix, saved_model_call)
    if call is not keras_call:
        sys.modules["keras"] = sys.modules["jax"] = None  # as in `convert.py`
    try:
        row = dict(np.load(inputs)) if inputs else None
        result = measure(call(model, row, int(threads))) | {"peak_mib": peak_mib()}
    except Exception as error:
        return failures.tell(failure, error)
    Path(output).write_text(json.dumps(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
