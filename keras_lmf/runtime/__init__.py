"""One way to run a trained model, whatever it was written as: Keras model, SavedModel folder, .tflite or .onnx file.

>>> runtime = open_artifact("out/model.tflite")        # doctest: +SKIP
>>> runtime.predict({"audio": audio, "video": video})  # doctest: +SKIP
{'emotion': array([[...]], dtype=float32)}
"""

from __future__ import annotations

from keras_lmf.runtime.opening import open_artifact, prefers_tflite
from keras_lmf.runtime.runtime import ROWS_PER_BATCH as ROWS_PER_BATCH
from keras_lmf.runtime.runtime import Quantization, Runtime, TensorInfo
from keras_lmf.runtime.tflite import tensor_info

__all__ = [
    "Quantization",
    "Runtime",
    "TensorInfo",
    "open_artifact",
    "prefers_tflite",
    "tensor_info",
]
