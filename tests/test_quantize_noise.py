"""Int8 files whose fixed scales would add too much to the answers: the outer products quantise row by row. And files
of odd models: units that never fire, inputs that are integers.
"""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_lmf.export import quantize
from keras_lmf.export.source import source_of
from keras_lmf.export.tflite import float32_file
from keras_lmf.operators import operators
from keras_lmf.quantization.calibration import noise
from keras_lmf.runtime import open_artifact

WIDTH, ROWS = 16, 200


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """y = relu(u W2) W3 of u = x W1 / |x W1|, as float32 bytes, with its kernels: loud and quiet rows count alike."""
    x = keras.Input((WIDTH,), name="x")
    hidden = keras.layers.Dense(32, use_bias=False, name="first")(x)
    hidden = keras.layers.UnitNormalization(name="unit")(hidden)
    hidden = keras.layers.Dense(48, activation="relu", use_bias=False, name="second")(hidden)
    model = keras.Model({"x": x}, {"y": keras.layers.Dense(3, use_bias=False, name="y")(hidden)})
    random = np.random.default_rng(3)
    model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
    source = source_of(model, None, 300, tmp_path_factory.mktemp("network"))
    return float32_file(source).read_bytes(), [weight.astype("float64") for weight in model.get_weights()]


def answers(kernels: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    first, second, third = kernels
    unit = x @ first / np.linalg.norm(x @ first, axis=1, keepdims=True)
    return np.maximum(unit @ second, 0) @ third


def rows(decades: float) -> np.ndarray:
    """Rows whose loudness spans so many powers of ten."""
    random = np.random.default_rng(4)
    return (random.normal(size=(ROWS, WIDTH)) * 10 ** random.uniform(-decades, 0, (ROWS, 1))).astype(
        "float32"
    )


@pytest.mark.parametrize(
    ("decades", "outer"), [(0, ("int8", "int8", "int8")), (3, ("float32", "int8", "float32"))]
)
def test_the_outer_products_leave_fixed_scales_where_they_cost_too_much(network, tmp_path, decades, outer):
    """Rows a thousand times quieter than the loudest are rounded to nothing by one scale for all."""
    content, kernels = network
    x = rows(decades)
    expected = answers(kernels, x)
    (tmp_path / "model.tflite").write_bytes(quantize.int8(content, {"x": x}, integer_ends=False))
    found = [op for op in operators((tmp_path / "model.tflite").read_bytes()) if op.name == "FULLY_CONNECTED"]
    dtypes = [(op.activations, op.weights.partition(",")[0], op.outputs) for op in found]
    assert dtypes == [outer, ("int8", "int8", "int8"), outer]
    difference = open_artifact(tmp_path / "model.tflite").predict({"x": x})["y"] - expected
    assert 0 < np.mean(difference**2) <= 0.01 * expected.var(axis=0).mean()


def test_noise_is_a_share_of_the_variance():
    random = np.random.default_rng(0)
    answers = random.normal(0, 3, (100_000, 2))
    assert noise(answers, answers + random.normal(0, 0.3, answers.shape)) == pytest.approx(0.01, rel=0.02)
    assert noise(np.full((5, 2), 3.0), np.full((5, 2), 2.0)) == pytest.approx(
        1 / 9
    )  # rows that are answered alike
    assert noise(np.zeros((5, 2)), np.ones((5, 2))) == 0


@pytest.mark.parametrize("ends", [False, True])
def test_units_that_never_fire_and_token_ids(tmp_path, ends: bool):
    """y = (relu(E[tokens] W + b), relu(E[tokens] V − 100)) U: the second half is always 0."""
    tokens = keras.Input((4,), dtype="int32", name="tokens")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(60, 8, name="table")(tokens))
    live = keras.layers.Dense(32, activation="relu", name="live")(embedded)
    dead = keras.layers.Dense(16, activation="relu", name="dead")(embedded)
    joint = keras.layers.Concatenate()([live, dead])
    model = keras.Model({"tokens": tokens}, {"y": keras.layers.Dense(3, name="y")(joint)})
    random = np.random.default_rng(3)
    model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
    model.get_layer("dead").bias.assign(np.full(16, -100.0))
    rows = {"tokens": random.integers(0, 60, (ROWS, 4)).astype("int32")}
    source = source_of(model, SimpleNamespace(inputs=rows, target=SimpleNamespace(name="y")), 300, tmp_path)
    table, (kernel, bias), (last, end) = (
        model.get_layer(name).get_weights() for name in ("table", "live", "y")
    )
    embedded = table[0][rows["tokens"]].reshape(ROWS, -1).astype("float64")
    expected = np.maximum(embedded @ kernel + bias, 0) @ last[:32] + end
    content = quantize.int8(float32_file(source).read_bytes(), rows, integer_ends=ends)
    (tmp_path / "model.tflite").write_bytes(content)
    found = open_artifact(tmp_path / "model.tflite").predict(rows)["y"]
    assert 0 < np.mean((found - expected) ** 2) <= 0.005 * expected.var(axis=0).mean()
