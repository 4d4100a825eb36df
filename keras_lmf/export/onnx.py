"""The ONNX file: the float32 .tflite file in the ops of ONNX, for onnxruntime."""

from __future__ import annotations

from pathlib import Path

from keras_lmf.errors import import_extra, require_extra
from keras_lmf.export.process import run_script
from keras_lmf.export.source import Source
from keras_lmf.export.tflite import float32_file
from keras_lmf.metadata import DIGITS, SEAL, sealed
from keras_lmf.sidecar import KEY, Document

SEAL_KEY = "keras_lmf.seal"


def write_onnx(source: Source, path: Path) -> None:
    """One row at a time, inputs and outputs named as the model's, float32.

    Raises:
        LMFError: as of `tflite.float32_file`; or an op that has no counterpart in ONNX, named with its layer.
    """
    # Asked first: without them the result of minutes couldn't be judged.
    for package in ("onnx", "onnxruntime"):
        import_extra(package, "onnx")
    require_extra("tf2onnx", "onnx")  # imported in this process it could load TensorFlow
    _convert(source, float32_file(source), path)


def _convert(source: Source, tflite: Path, path: Path) -> None:
    run_script(
        "convert_onnx.py",
        [tflite],
        path,
        what="The ONNX conversion",
        model=source.model,
        timeout_seconds=source.timeout_seconds,
    )


def with_document(content: bytes, document: Document) -> bytes:
    """The .onnx file with the document among its properties, instead of those that it had, and its hash at its end."""
    onnx = import_extra("onnx", "onnx")
    model = onnx.load_model_from_string(content)
    # The properties are the last field that is written, and of these the seal.
    seal = f"{SEAL.decode()}{'0' * DIGITS}"
    onnx.helper.set_model_props(model, {KEY: document.to_json().decode(), SEAL_KEY: seal})
    return sealed(model.SerializeToString())
