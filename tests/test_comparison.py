"""The ops of a quantised file that add the largest errors, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from exporting import save_function, to_tflite

from keras_lmf.export import quantize
from keras_lmf.export.comparison import largest_errors
from keras_lmf.locate import bundled_folder
from keras_lmf.zoo import read_testvectors


def rows(entry: str) -> dict[str, np.ndarray]:
    inputs, _ = read_testvectors(bundled_folder() / entry / "testvectors.npz")
    return {name: values.astype("float32") for name, values in inputs.items()}


@pytest.mark.parametrize("coarse", [0, 1])
def test_the_op_with_the_coarse_weights_is_named_with_its_error(tmp_path, coarse):
    """y = relu(x A) B; float16 rounds one of the matrices, and holds the other one exactly."""
    random = np.random.default_rng(0)
    matrices = [random.integers(-8, 9, shape).astype("float32") for shape in ((3, 64), (64, 2))]
    matrices[coarse] += np.float32(1e-3) * random.standard_normal(matrices[coarse].shape).astype("float32")
    saved = save_function(lambda x: tf.nn.relu(x @ matrices[0]) @ matrices[1], tmp_path / "saved")
    file = to_tflite(saved, tmp_path / "model.tflite").read_bytes()
    x = random.standard_normal((4, 3)).astype("float32")
    found = largest_errors(file, quantize.float16(file), {"x": x})

    exact = [matrix.astype("float64") for matrix in matrices]
    rounded = [matrix.astype("float16").astype("float64") for matrix in matrices]
    hidden, hidden_rounded = (np.maximum(x @ which[0], 0) for which in (exact, rounded))
    expected = (hidden, hidden @ exact[1])[coarse]
    difference = ((hidden_rounded, hidden_rounded @ rounded[1])[coarse]) - expected
    worst = found.iloc[0]
    assert worst["operator"] == "FULLY_CONNECTED"
    assert (worst["scope"] == "y") == (coarse == 1)
    share = np.sqrt(np.mean(difference**2) / np.mean(expected**2))
    assert worst["added"] == pytest.approx(share, rel=0.01)
    assert worst["error"] == pytest.approx(share, rel=0.01)


@pytest.mark.parametrize("kind", ["dynamic", "int8-integer"])
def test_a_model_with_loops(kind):
    """The integer file's features of unlike scales are lost in the standardisation, that of the other are not."""
    folder = bundled_folder() / "lmf-pom-av"
    file = (folder / "model.tflite").read_bytes()
    inputs = rows("lmf-pom-av")
    quantized = quantize.dynamic(file) if kind == "dynamic" else quantize.int8(file, inputs, True)
    found = largest_errors(file, quantized, inputs)
    assert found["added"].is_monotonic_decreasing
    assert np.isfinite(found["error"]).all()
    masked = found["operator"] == "SELECT_V2"  # the first op behind an input
    assert masked.any() == (kind == "int8-integer")


def test_a_file_is_like_itself():
    file = (bundled_folder() / "lmf-synthetic-av" / "model.tflite").read_bytes()
    assert largest_errors(file, file, rows("lmf-synthetic-av")).empty
