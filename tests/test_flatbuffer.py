"""Long products with one number as their answer, and constants of loops: the answers are those of NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from exporting import save_function, to_tflite

from keras_lmf.export import quantize
from keras_lmf.export.flatbuffer import LEAST_WIDTH, with_fills, with_sums
from keras_lmf.operators import operators

RANDOM = np.random.default_rng(0)


def file_of(width: int, units: int, folder) -> tuple[bytes, np.ndarray, np.ndarray]:
    """y = relu(x A + b), with A and b."""
    kernel = RANDOM.normal(0, width**-0.5, (width, units)).astype("float32")
    bias = RANDOM.normal(size=units).astype("float32")
    numbers = tf.constant(RANDOM.uniform(1, 2, (1, width)).astype("float32"))
    # A row of three numbers becomes one of `width`, so that the file is small.
    saved = save_function(
        lambda x: tf.nn.relu(tf.reduce_sum(x, axis=-1, keepdims=True) * numbers @ kernel + bias),
        folder / "saved",
    )
    content = to_tflite(saved, folder / "model.tflite").read_bytes()
    return content, numbers.numpy().astype("float64") @ kernel, bias


def answer(content: bytes, x: np.ndarray) -> np.ndarray:
    return Interpreter(model_content=content).get_signature_runner()(x=x)["y"]


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_a_long_product_with_one_answer(kind, tmp_path):
    content, total, bias = file_of(5000, 1, tmp_path)
    before = content if kind == "float32" else quantize.float16(content)
    after = with_sums(before)
    names = [[operator.name for operator in operators(file)] for file in (before, after)]
    assert "FULLY_CONNECTED" in names[0]
    assert "FULLY_CONNECTED" not in names[1]
    assert names[1][-3:] == ["MUL", "SUM", "ADD"]
    found = []
    for _ in range(8):
        x = RANDOM.normal(size=(1, 3)).astype("float32")
        expected = np.maximum(x.astype("float64").sum() * total + bias, 0)
        found.append(answer(after, x))
        np.testing.assert_allclose(found[-1], expected, rtol=1e-5 if kind == "float32" else 1e-2, atol=1e-3)
        np.testing.assert_allclose(found[-1], answer(before, x), rtol=1e-5, atol=1e-5)
    assert len(np.unique(found)) > 2  # the ReLU is not all there is
    assert with_sums(after) is after


@pytest.mark.parametrize(("width", "units"), [(LEAST_WIDTH - 1, 1), (5000, 2)])
def test_other_products_stay(width, units, tmp_path):
    content, *_ = file_of(width, units, tmp_path)
    assert with_sums(content) is content


def test_a_product_without_a_bias_stays(tmp_path):
    numbers = tf.constant(RANDOM.uniform(1, 2, (1, 5000)).astype("float32"))
    kernel = RANDOM.normal(size=(5000, 1)).astype("float32")
    saved = save_function(
        lambda x: tf.reduce_sum(x, axis=-1, keepdims=True) * numbers @ kernel, tmp_path / "saved"
    )
    content = to_tflite(saved, tmp_path / "model.tflite").read_bytes()
    assert "FULLY_CONNECTED" in {operator.name for operator in operators(content)}
    assert with_sums(content) is content


def test_a_quantised_product_stays(tmp_path):
    content, *_ = file_of(5000, 1, tmp_path)
    dynamic = quantize.dynamic(content)
    assert with_sums(dynamic) is dynamic


@pytest.mark.parametrize("alike", [True, False])
def test_a_loops_constant_is_filled_in_only_where_all_its_numbers_are_alike(alike, tmp_path):
    start = np.full((1, 400), 0.75, "float32") if alike else RANDOM.normal(size=(1, 400)).astype("float32")

    def halved(x):
        body = lambda index, state: (index + 1, state * 0.5 + tf.reduce_sum(x))  # noqa: E731
        return tf.while_loop(lambda index, _: index < 5, body, (0, tf.constant(start)))[1]

    content = to_tflite(save_function(halved, tmp_path / "saved"), tmp_path / "model.tflite").read_bytes()
    assert "WHILE" in {operator.name for operator in operators(content)}
    filled = with_fills(content)
    assert ("FILL" in {operator.name for operator in operators(filled)}) == alike
    x = RANDOM.normal(size=(1, 3)).astype("float32")
    expected = start / 32 + x.sum() * (2 - 1 / 16)  # 1 + 1/2 + … + 1/16
    np.testing.assert_allclose(answer(filled, x), expected, rtol=1e-5, atol=1e-6)
