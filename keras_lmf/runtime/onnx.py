"""`.onnx` files, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.runtime.runtime import ROWS_PER_BATCH, Arrays, Runtime, TensorInfo, batches, joined


def open_onnx(path: Path) -> Runtime:
    onnxruntime = import_extra("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    # From bytes, onnxruntime reads no weights out of other files, which a stranger's file could name.
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    ends = session.get_inputs(), session.get_outputs()
    inputs, outputs = (
        {tensor.name: _info(tensor) for tensor in sorted(end, key=lambda tensor: tensor.name)} for end in ends
    )
    for tensor in ends[0]:
        if not tensor.shape or (isinstance(tensor.shape[0], int) and tensor.shape[0] != 1):
            raise LMFError(
                f"{str(path)!r}, input {tensor.name!r}: the file has the fixed shape {tensor.shape}; a file for one "
                f"row at a time, [1, …], or for any number is needed."
            )
    rows = 1 if any(tensor.shape[0] == 1 for tensor in ends[0]) else ROWS_PER_BATCH
    names = list(outputs)

    def run(arrays: Arrays) -> Arrays:
        answers = [session.run(names, batch) for batch in batches(arrays, rows)]
        return joined([dict(zip(names, answer)) for answer in answers])

    return Runtime(str(path), inputs, outputs, run)


def _info(tensor: Any) -> TensorInfo:
    """An input or output of an .onnx file: an axis of any length has a name, or none."""
    kind = tensor.type.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(kind, kind))
    return TensorInfo(tuple(width if isinstance(width, int) else None for width in tensor.shape[1:]), dtype)
