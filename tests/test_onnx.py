"""ONNX files: what onnxruntime answers against NumPy, what stands in them by the package onnx, and what is refused."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from click.testing import CliRunner
from exporting import converted_here, save_function, to_tflite
from numpy_networks import gelu, lstm
from onnx import TensorProto, helper, numpy_helper
from small_model import small_model

from keras_lmf.cli import main
from keras_lmf.errors import LMFError
from keras_lmf.export import convert_onnx, tflite
from keras_lmf.export.onnx import with_document, write_onnx
from keras_lmf.export.source import source_of
from keras_lmf.locate import bundled_folder
from keras_lmf.metadata import onnx_property
from keras_lmf.runtime import open_artifact
from keras_lmf.sidecar import KEY, Document
from keras_lmf.zoo import read_testvectors

ENTRY = bundled_folder() / "lmf-synthetic-av"
ROWS = np.random.default_rng(0).standard_normal((300, 3)).astype("float32")


def affine(rows: int | str, external: str | None = None) -> onnx.ModelProto:
    """y = x + 1 by hand, for so many rows; its constant in another file where one is named."""
    one = numpy_helper.from_array(np.ones((1, 3), "float32"), "one")
    if external:
        one.ClearField("raw_data")
        one.data_location = TensorProto.EXTERNAL
        one.external_data.add(key="location", value=external)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, 3]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "one"], ["y"])], "affine", ends[:1], ends[1:], [one]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def at(folder: Path, content: bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def entry() -> tuple[bytes, Document]:
    """A file of the zoo's, as ONNX without a document, and what the .tflite says of itself."""
    file = ENTRY / "model.tflite"
    return convert_onnx.convert(file.read_bytes()), Document.inside(file)


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu(tmp_path, approximate):
    """Hendrycks and Gimpel 2016: the converter does not know TensorFlow Lite's op."""
    file = to_tflite(save_function(tf.tanh, tmp_path / "saved"), tmp_path / "model.tflite")
    model = flatbuffer_utils.read_model(file)  # no function of TensorFlow's is sure to become the op
    (code,), (operator,) = model.operatorCodes, model.subgraphs[0].operators
    code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.GELU, 127
    operator.builtinOptionsType = schema.BuiltinOptions.GeluOptions
    operator.builtinOptions = schema.GeluOptionsT()
    operator.builtinOptions.approximate = approximate
    flatbuffer_utils.write_model(model, file)
    runtime = open_artifact(at(tmp_path, convert_onnx.convert(file.read_bytes())))
    x = 3 * ROWS
    by_tanh = x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    assert np.abs(gelu(x) - by_tanh).max() > 1e-4
    np.testing.assert_allclose(runtime.predict({"x": x})["y"], by_tanh if approximate else gelu(x), atol=2e-6)


def test_a_dense_layer_behind_a_mean_that_keeps_its_axes(tmp_path):
    """The converter loses the bias of a product that takes no matrix."""
    random = np.random.default_rng(3)
    kernel, bias = (random.normal(size=shape).astype("float32") for shape in ((1, 4), (4,)))
    saved = save_function(
        lambda x: (
            tf.reshape(tf.reduce_mean(tf.reshape(x, (1, 3, 1)), 1, keepdims=True), (1, 1)) @ kernel + bias
        ),
        tmp_path / "saved",
    )
    file = to_tflite(saved, tmp_path / "model.tflite")
    model = flatbuffer_utils.read_model(file)
    graph = model.subgraphs[0]
    (mean, product) = (
        next(op for op in graph.operators if flatbuffer_utils.opcode_to_name(model, op.opcodeIndex) == name)
        for name in ("MEAN", "FULLY_CONNECTED")
    )
    assert (product.inputs[0], len(graph.tensors[product.inputs[0]].shape)) == (mean.outputs[0], 3)
    runtime = open_artifact(at(tmp_path, convert_onnx.convert(file.read_bytes())))
    expected = ROWS.mean(axis=1, keepdims=True) @ kernel + bias
    np.testing.assert_allclose(runtime.predict({"x": ROWS})["y"], expected, atol=1e-5)


def test_a_loop_behind_a_loop(tmp_path):
    steps = keras.Input((6, 3), name="steps")
    layers = [keras.layers.LSTM(5, return_sequences=True), keras.layers.LSTM(4, name="y")]
    model = keras.Model({"steps": steps}, {"y": layers[1](layers[0](steps))})
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
    source = source_of(model, None, 600, tmp_path)
    with converted_here():
        content = convert_onnx.convert(tflite.float32_file(source).read_bytes())
    found = open_artifact(at(tmp_path, content)).predict(source.inputs)["y"]
    hidden = source.inputs["steps"].astype("float64")
    for layer in layers:
        kernel, recurrent, bias = layer.get_weights()
        hidden = lstm(hidden, kernel.T, recurrent.T, bias)
    np.testing.assert_allclose(found, hidden[:, -1], atol=1e-5)


def test_what_onnx_has_no_op_for_is_named_with_its_place(tmp_path):
    saved = save_function(lambda x: tf.math.real(tf.signal.rfft(x))[:, :2], tmp_path / "saved")
    file = to_tflite(saved, tmp_path / "model.tflite")
    output, failure = tmp_path / "model.onnx", tmp_path / "failure.json"
    code = convert_onnx.main(str(file), str(output), str(failure))
    told = json.loads(failure.read_text())
    assert code == 1
    assert {"RFFT2D", "REAL"} & {operator for operator, _ in told["operators"]}
    assert "'tflite'" in told["message"]
    assert not output.exists()


def test_an_entry_answers_as_by_keras(entry, tmp_path):
    inputs, by_keras = read_testvectors(ENTRY / "testvectors.npz")
    runtime = open_artifact(at(tmp_path, with_document(*entry)))
    found = runtime.predict(inputs)
    assert {name: info.shape for name, info in runtime.inputs.items()} == {
        name: values.shape[1:] for name, values in inputs.items()
    }
    np.testing.assert_allclose(found["emotion"], by_keras["emotion"], rtol=1e-5, atol=1e-5)


def test_what_a_file_says_of_itself(entry, tmp_path):
    content, document = entry
    written = with_document(content, document.model_copy(update={"format": "onnx"}))
    told = onnxruntime.InferenceSession(written).get_modelmeta().custom_metadata_map
    assert json.loads(told[KEY])["format"] == "onnx"
    assert json.loads(told[KEY])["labels"] == list(document.labels)
    assert written[-64:].decode() == hashlib.sha256(written[:-64]).hexdigest()
    path = at(tmp_path, written)
    assert Document.inside(path).spec == document.spec
    shown = CliRunner().invoke(main, ["inspect", str(path), "--json"])
    found = json.loads(shown.stdout)
    assert (found["described"], found["kind"], found["spec"]["target"]["name"]) == (
        "inside",
        "onnx",
        "emotion",
    )
    # Written again, it has one document and one hash.
    again = onnx.load_model_from_string(with_document(written, document))
    assert len(again.metadata_props) == 2


def test_a_damaged_file_is_refused(entry, tmp_path):
    written = with_document(*entry)
    for place in (100, len(written) // 2, len(written) - 200):
        damaged = bytearray(written)
        damaged[place] ^= 1
        with pytest.raises(LMFError, match="damaged, or was changed"):
            open_artifact(at(tmp_path, bytes(damaged)))
    with pytest.raises(LMFError):
        open_artifact(at(tmp_path, written[: len(written) // 2]))


def test_properties_are_those_that_onnx_wrote():
    model = affine("rows")
    properties = {"a": "1", KEY: "ä" * 300, "z": ""}
    helper.set_model_props(model, properties)
    content = model.SerializeToString()
    for name, value in properties.items():
        assert onnx_property(content, name, "it") == value.encode()
    assert onnx_property(content, "b", "it") is None


def test_no_bytes_make_the_reader_of_properties_fail():
    model = affine("rows")
    helper.set_model_props(model, {KEY: "{}"})
    content = model.SerializeToString()
    random = np.random.default_rng(0)
    cut = [content[:length] for length in range(len(content))]
    noise = [random.integers(0, 256, 40, np.uint8).tobytes() for _ in range(500)]
    outcomes = set()
    for damaged in itertools.chain(cut, noise):
        try:
            outcomes.add(onnx_property(damaged, KEY, "it"))
        except LMFError as error:
            outcomes.add(str(error).partition(",")[0])
    assert outcomes == {None, "The metadata of it can't be read"}


def test_a_missing_converter_is_told_before_anything_is_converted(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_lmf.errors.find_spec", lambda name: None)
    with pytest.raises(LMFError, match=r"tf2onnx, which is not installed.*keras-lmf\[onnx\]"):
        write_onnx(source_of(small_model(), None, 60, tmp_path), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_for_any_number_of_rows(tmp_path):
    runtime = open_artifact(at(tmp_path, affine("rows").SerializeToString()))
    np.testing.assert_array_equal(runtime.predict({"x": ROWS})["y"], ROWS + 1)


def test_a_file_for_three_rows_is_refused(tmp_path):
    with pytest.raises(LMFError, match=r"'x': the file has the fixed shape \[3, 3\]"):
        open_artifact(at(tmp_path, affine(3).SerializeToString()))


def test_weights_in_another_file_are_not_read(tmp_path, monkeypatch):
    """Neither beside the file nor in the working folder."""
    (tmp_path / "secret.bin").write_bytes(np.full(3, 7, "float32").tobytes())
    monkeypatch.chdir(tmp_path)
    for name in ("secret.bin", str(tmp_path / "secret.bin")):
        with pytest.raises(LMFError, match="Can't read"):
            open_artifact(at(tmp_path, affine("rows", name).SerializeToString()))
