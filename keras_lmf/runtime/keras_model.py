"""Keras models, on any backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_lmf.backend import nested_layers
from keras_lmf.errors import LMFError, import_extra
from keras_lmf.runtime.runtime import ROWS_PER_BATCH, Arrays, Runtime, TensorInfo, batches, joined


def open_keras(model: Any) -> Runtime:
    keras = import_extra("keras", "tf")
    if not isinstance(model, keras.Model):
        raise LMFError(
            f"Received an object of type {type(model).__name__!r}. "
            f"Give a keras.Model, the folder of a SavedModel, a .tflite or an .onnx file."
        )
    name = f"Keras model {model.name!r}"
    # A model that was not built, or is no functional model, has no `input`.
    ends = getattr(model, "input", None), getattr(model, "output", None)
    if not all(isinstance(end, dict) for end in ends):
        raise LMFError(
            f"{name} is not a functional model with a dict of inputs and a dict of outputs. "
            f"Build it as keras.Model({{'audio': audio, …}}, {{'emotion': logits}})."
        )
    inputs, outputs = (
        {key: TensorInfo(tuple(tensor.shape[1:]), np.dtype(tensor.dtype)) for key, tensor in end.items()}
        for end in ends
    )

    # The compiled step of `model.predict` without its loop over data, whose set-up takes tens of milliseconds a call.
    def run(arrays: Arrays) -> Arrays:
        return joined([model.predict_on_batch(batch) for batch in batches(arrays, ROWS_PER_BATCH)])

    half = any(getattr(layer, "compute_dtype", None) == "float16" for layer in nested_layers(model))
    return Runtime(name, inputs, outputs, run, "float16" if half else "float32")
