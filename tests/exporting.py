"""Exports for tests of what the files answer; the processes of an export are for test_export_conversion.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from keras_lmf.export import convert_onnx, exporter, onnx, tflite
from keras_lmf.export.artifact import Latency
from keras_lmf.export.convert import convert
from keras_lmf.export.source import Source


def _convert(source: Source, saved_model: Path, path: Path) -> None:
    path.write_bytes(convert(str(saved_model)))


def _convert_onnx(source: Source, file: Path, path: Path) -> None:
    path.write_bytes(convert_onnx.convert(file.read_bytes()))


@contextlib.contextmanager
def converted_here() -> Iterator[None]:
    """The same conversion, in this process, which has TensorFlow: starting it takes longer than a small model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tflite, "_convert", _convert)
        patch.setattr(onnx, "_convert", _convert_onnx)
        yield


@contextlib.contextmanager
def exported_here() -> Iterator[None]:
    """So converted, and no latency measured, which takes a process of its own, too."""
    with converted_here(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "_latency", lambda *_: Latency(1.0, 2.0, 0.75, 1.5, 10.0))
        yield


def to_tflite(saved_model, path, signature="serving_default", flex=False):
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=[signature])
    ops = tf.lite.OpsSet
    converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS, *([ops.SELECT_TF_OPS] if flex else [])]
    path.write_bytes(converter.convert())
    return path


def save_function(function, folder, signature="serving_default", rows=1):
    """A SavedModel of one input `x` (rows, 3) and one output `y`, without Keras."""
    module = tf.Module()
    module.run = tf.function(
        lambda x: {"y": function(x)}, input_signature=[tf.TensorSpec((rows, 3), name="x")]
    )
    tf.saved_model.save(module, str(folder), signatures={signature: module.run})
    return folder
