"""Attention in int8, from the flatbuffer: products with weights in integers, all else of it in float32."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from exporting import save_function, to_tflite

from keras_lmf.export import quantize
from keras_lmf.locate import bundled_folder

OPS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
TYPES = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
WIDTH = 64
SHIPPED = sorted(bundled_folder().glob("*/*.tflite"))


def operators(content: bytes) -> Iterator[tuple[str, list[str], list[str]]]:
    """Op, dtypes of what it takes, and dtypes of what it gives: of all graphs."""
    model = schema.Model.GetRootAs(content, 0)
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            ends = [
                [graph.Tensors(index) for index in indices if index >= 0]
                for indices in (operator.InputsAsNumpy(), operator.OutputsAsNumpy())
            ]
            code = model.OperatorCodes(operator.OpcodeIndex())
            # Old files have the op in a field of a byte.
            name = OPS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            takes, gives = ([TYPES[tensor.Type()] for tensor in end] for end in ends)
            yield name, takes, gives


@pytest.fixture(scope="module")
def float32(tmp_path_factory) -> bytes:
    """A block as Whisper's: layer normalisation, attention of one head over three steps, a dense layer with GELU."""
    random = np.random.default_rng(0)
    wide, *kernels = (
        random.normal(0, 0.2, shape).astype("float32") for shape in [(1, WIDTH), *[(WIDTH, WIDTH)] * 4]
    )

    def block(x):
        steps = tf.reshape(x, (3, 1)) * wide
        mean, variance = tf.nn.moments(steps, [-1], keepdims=True)
        normal = (steps - mean) * tf.math.rsqrt(variance + 1e-5)
        query, key, value = (tf.matmul(normal, kernel)[None] for kernel in kernels[:3])
        weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) / 8)
        answer = tf.reshape(tf.matmul(weights, value), (3, WIDTH))
        return tf.nn.relu(tf.matmul(answer, kernels[3]))

    folder = tmp_path_factory.mktemp("block")
    return to_tflite(save_function(block, folder / "saved"), folder / "model.tflite").read_bytes()


@pytest.mark.parametrize("kind", ["dynamic", "int8"])
def test_a_block_of_attention(float32, kind):
    rows = {"x": np.random.default_rng(1).standard_normal((8, 3)).astype("float32")}
    content = quantize.dynamic(float32) if kind == "dynamic" else quantize.int8(float32, rows, False)
    found = list(operators(content))
    for name in ("SOFTMAX", "RSQRT", "SQUARED_DIFFERENCE", "BATCH_MATMUL"):
        chosen = [op for op in found if op[0] == name]
        assert chosen, name
        assert all({*takes, *gives} == {"FLOAT32"} for _, takes, gives in chosen), name
    products = [op for op in found if op[0] == "FULLY_CONNECTED"]
    activations = "FLOAT32" if kind == "dynamic" else "INT8"
    assert len(products) == 4
    assert all((takes[:2], gives) == ([activations, "INT8"], [activations]) for _, takes, gives in products)


@pytest.mark.parametrize("entry", ["whisper-voice", "lmf-media-av"])
def test_shipped_whisper_blocks(entry):
    """Weights of every product are int8, but for the spectrum's seven; all is computed with float32 activations."""
    found = list(operators((bundled_folder() / entry / "model-dynamic.tflite").read_bytes()))
    products = [tuple(takes[:2]) for name, takes, *_ in found if name == "FULLY_CONNECTED"]
    assert products.count(("FLOAT32", "FLOAT32")) == 7
    assert products.count(("FLOAT32", "INT8")) == len(products) - 7 > 18
    others = [
        op for op in found if op[0] in ("SOFTMAX", "RSQRT", "SQUARED_DIFFERENCE", "BATCH_MATMUL", "GELU")
    ]
    assert {op[0] for op in others} >= {"SOFTMAX", "RSQRT", "SQUARED_DIFFERENCE"}
    assert all({*takes, *gives} == {"FLOAT32"} for _, takes, gives in others)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_no_shipped_file_has_flex_or_custom_ops(file: Path):
    """A Flex op is a custom op whose name starts with Flex."""
    content = file.read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    assert codes
    assert [code.CustomCode() for code in codes if code.CustomCode()] == []
    assert "CUSTOM" not in {name for name, *_ in operators(content)}
