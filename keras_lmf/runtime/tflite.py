"""`.tflite` files, in LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.noise import held_back
from keras_lmf.runtime.runtime import Arrays, Quantization, Runtime, TensorInfo, batches, joined


def open_tflite(path: Path) -> Runtime:
    interpreter_module = import_extra("ai_edge_litert.interpreter", "litert")
    with held_back():
        interpreter = interpreter_module.Interpreter(model_content=path.read_bytes())
        interpreter.allocate_tensors()
    signatures = interpreter.get_signature_list()
    if "serving_default" not in signatures:
        raise LMFError(
            f"{str(path)!r} has no signature 'serving_default', only: {', '.join(signatures) or 'none'}. "
            f"Convert it with keras_lmf.export_model."
        )
    runner = interpreter.get_signature_runner("serving_default")
    details = runner.get_input_details()
    for name, detail in details.items():
        shape = detail["shape"].tolist()
        if shape[:1] != [1]:
            raise LMFError(
                f"{str(path)!r}, input {name!r}: the file has the fixed shape {shape}; "
                f"a file for one row at a time, [1, …], is needed."
            )
    inputs, outputs = (
        {name: tensor_info(detail) for name, detail in sorted(end.items())}
        for end in (details, runner.get_output_details())
    )

    def run(arrays: Arrays) -> Arrays:
        rows = [
            runner(**{name: inputs[name].to_file(value) for name, value in row.items()})
            for row in batches(arrays, 1)
        ]
        return {name: outputs[name].from_file(value) for name, value in joined(rows).items()}

    return Runtime(str(path), inputs, outputs, run)


def tensor_info(detail: dict[str, Any]) -> TensorInfo:
    """A tensor of a .tflite file, as its interpreter describes it."""
    shape = tuple(None if width < 0 else int(width) for width in detail["shape_signature"][1:])
    dtype = np.dtype(detail["dtype"])
    scale, zero_point = detail["quantization"]
    if not scale:  # real numbers, or integers that mean themselves
        return TensorInfo(shape, dtype)
    return TensorInfo(shape, np.dtype("float32"), Quantization(dtype, float(scale), int(zero_point)))
