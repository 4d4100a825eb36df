"""Multiply-adds of a file against closed forms; receptive fields as the table tells them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from exporting import exported_here

from keras_lmf.backbones import spectrogram_cnn, spectrogram_crnn
from keras_lmf.errors import LMFError
from keras_lmf.export import export_model

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# Last: tests and benchmarks both have a clips.py.
sys.path.append(str(BENCHMARKS))

from speed.multiply_adds import multiply_adds  # noqa: E402

STEPS, BANDS = 12, 8


def file_of(model: keras.Model, folder: Path) -> bytes:
    with exported_here():
        (artifact,) = export_model(model, folder, ["tflite"], tolerance=1e-4)
    return artifact.path.read_bytes()


@pytest.mark.slow
def test_loops_count_as_often_as_they_run(tmp_path):
    features = keras.Input((STEPS, BANDS), name="features")
    picture = keras.layers.Reshape((STEPS, BANDS, 1))(features)
    picture = keras.layers.Conv2D(4, (3, 5), padding="same")(picture)
    picture = keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(picture)
    hidden = keras.layers.Reshape((STEPS, BANDS * 8))(picture)
    hidden = keras.layers.LSTM(5, return_sequences=True)(hidden, mask=keras.ops.any(features > 0, axis=-1))
    hidden = keras.layers.GRU(3, go_backwards=True)(hidden)
    product = keras.ops.matmul(keras.ops.transpose(features, (0, 2, 1)), features)  # (bands, bands)
    hidden = keras.layers.Concatenate()([hidden, keras.layers.Flatten()(product)])
    answer = keras.layers.Dense(7, name="answer")(hidden)
    model = keras.Model({"features": features}, {"answer": answer})
    expected = {
        "convolution": STEPS * BANDS * 4 * 3 * 5,
        "depthwise convolution": STEPS * BANDS * 8 * 3 * 3,
        "LSTM": STEPS * 4 * 5 * (BANDS * 8 + 5),
        "GRU": STEPS * 3 * 3 * (5 + 3),
        "product": BANDS * BANDS * STEPS,
        "dense layer": 7 * (3 + BANDS * BANDS),
    }
    assert multiply_adds(file_of(model, tmp_path)) == sum(expected.values())


def test_three_dimensional_convolutions_are_counted(tmp_path):
    volume = keras.Input((4, 5, 6, 2), name="volume")
    answer = keras.layers.Flatten(name="answer")(keras.layers.Conv3D(7, (2, 3, 1))(volume))
    model = keras.Model({"volume": volume}, {"answer": answer})
    assert multiply_adds(file_of(model, tmp_path)) == (3 * 3 * 6) * 7 * (2 * 3 * 1 * 2)


def test_an_op_without_a_formula_is_refused(tmp_path):
    picture = keras.Input((4, 4, 1), name="picture")
    answer = keras.layers.Flatten(name="answer")(keras.layers.Conv2DTranspose(2, 3)(picture))
    model = keras.Model({"picture": picture}, {"answer": answer})
    with pytest.raises(LMFError, match="multiply-adds of the op TRANSPOSE_CONV can't be counted"):
        multiply_adds(file_of(model, tmp_path))


@pytest.mark.parametrize(("name", "function"), [("log_mel_cnn", spectrogram_cnn), ("crnn", spectrogram_crnn)])
def test_receptive_fields_are_those_of_the_table(name, function, monkeypatch):
    """Each step is raised in turn: those that move a number of the last pooling layer are what it sees."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.delitem(sys.modules, "backbones", raising=False)
    import backbones

    model = function((60, 16))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(keras.ops.abs(layer.kernel))  # so that no ReLU hides a change
    body = keras.Model(model.input, model.get_layer("pool_2").output)
    before = np.ones((1, 60, 16), "float32")
    raised = before + 100 * np.eye(60, dtype="float32")[:, :, None]
    moved = np.abs(np.asarray(body(raised)) - np.asarray(body(before))).max(axis=(2, 3)) > 1e-3
    frames = int(moved.sum(axis=0).max())
    told = re.match(r"(\d+) frames, (\d+) ms", backbones.BACKBONES[name].receptive_field)
    assert [int(number) for number in told.groups()] == [frames, 25 + 10 * (frames - 1)]
