"""SavedModels, in TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.runtime.runtime import ROWS_PER_BATCH, Arrays, Runtime, TensorInfo, batches, joined
from keras_lmf.saved_model import require_harmless


def open_saved_model(path: Path) -> Runtime:
    tensorflow = import_extra("tensorflow", "tf")
    require_harmless(path)
    program = tensorflow.saved_model.load(str(path))
    if "serving_default" not in program.signatures:
        raise LMFError(
            f"The SavedModel {str(path)!r} has no signature 'serving_default', only: "
            f"{', '.join(program.signatures) or 'none'}."
        )
    signature = program.signatures["serving_default"]
    inputs, outputs = (
        {
            name: TensorInfo(tuple(tensor.shape.as_list()[1:]), np.dtype(tensor.dtype.as_numpy_dtype))
            for name, tensor in sorted(end.items())
        }
        for end in (signature.structured_input_signature[1], signature.structured_outputs)
    )

    # The default argument keeps `program`, which owns the variables, alive as long as the function.
    def run(arrays: Arrays, program: Any = program) -> Arrays:
        answers = [
            signature(**{name: tensorflow.constant(value) for name, value in batch.items()})
            for batch in batches(arrays, ROWS_PER_BATCH)
        ]
        return joined([{name: value.numpy() for name, value in answer.items()} for answer in answers])

    return Runtime(str(path), inputs, outputs, run)
