"""What every writer starts from."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

from keras_lmf.export.source import source_of
from keras_lmf.runtime import open_artifact


def test_recurrent_layers_are_exported_for_machines_without_a_gpu(monkeypatch, tmp_path):
    """With a GPU in sight Keras traces cuDNN ops, which no CPU runs."""
    steps = keras.Input((4, 3), name="steps")
    recurrent = keras.layers.Bidirectional(keras.layers.LSTM(2), name="y")
    model = keras.Model({"steps": steps}, {"y": recurrent(steps)})
    source = source_of(model, None, 60, tmp_path)
    expected = source.keras_outputs(256)["y"]
    monkeypatch.setattr(sys.modules["keras.src.backend.tensorflow.rnn"], "_is_gpu_available", lambda: True)
    source.save(tmp_path / "saved_model", batch=None)
    outputs = open_artifact(tmp_path / "saved_model").predict(source.inputs)
    np.testing.assert_allclose(outputs["y"], expected, atol=1e-6)
    assert recurrent.forward_layer.use_cudnn == "auto"


@pytest.mark.parametrize("batch", [1, 8])
def test_files_are_compared_at_their_own_number_of_rows(batch, tmp_path):
    rows = keras.layers.Lambda(lambda x: 0 * x + keras.ops.cast(keras.ops.shape(x)[0], "float32"))
    ends = {"x": keras.Input((1,), name="x")}
    source = source_of(keras.Model(ends, {"y": rows(ends["x"])}), None, 1, tmp_path)
    np.testing.assert_array_equal(source.keras_outputs(batch)["y"], np.full((32, 1), batch))
