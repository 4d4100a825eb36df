"""LSTM and GRU in .tflite files, whose loops are not Keras's own: the answers are."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from exporting import converted_here

from keras_lmf.export import convert_onnx, loops, quantize, tflite
from keras_lmf.export.source import source_of
from keras_lmf.operators import Operator, operators
from keras_lmf.quantization import spectra
from keras_lmf.runtime import open_artifact

layers = keras.layers
WIDTH = 5
SHORT, LONG = 13, 149  # one loop; blocks, with steps of padding: 149 is a prime


def clips(steps: int) -> np.ndarray:
    """Rows with masked steps (zeros) nowhere, at the end, at the start, in the middle, and everywhere."""
    rows = np.random.default_rng(1).standard_normal((5, steps, WIDTH)).astype("float32")
    rows[1, steps // 2 :] = rows[2, : steps // 3] = rows[3, steps // 3 : steps // 2] = rows[4] = 0
    return rows


def kinds(masked: bool) -> dict[str, keras.layers.Layer]:
    return {
        "lstm": layers.LSTM(6),
        "lstm_steps": layers.LSTM(6, return_sequences=True),
        "lstm_backwards": layers.LSTM(6, go_backwards=True),
        "lstm_steps_backwards": layers.LSTM(6, return_sequences=True, go_backwards=True),
        "lstm_unlike": layers.LSTM(
            3,
            activation="softsign",
            recurrent_activation="hard_sigmoid",
            use_bias=False,
            return_sequences=True,
        ),
        "lstm_in_turn": layers.LSTM(4, return_sequences=True, unroll=not masked),
        "bilstm": layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
        "bilstm_last": layers.Bidirectional(layers.LSTM(4)),
        "gru": layers.GRU(6),
        "gru_steps": layers.GRU(6, return_sequences=True),
        "gru_unlike": layers.GRU(3, activation="softsign", use_bias=False, return_sequences=True),
        "gru_before": layers.GRU(3, reset_after=False, return_sequences=True),
        "bigru": layers.Bidirectional(layers.GRU(4, return_sequences=True)),
    }


def model_of(steps: int, parts: dict[str, keras.layers.Layer], masked: bool) -> keras.Model:
    inputs = keras.Input((steps, WIDTH), name="x")
    taken = layers.Masking()(inputs) if masked else inputs
    model = keras.Model({"x": inputs}, {name: part(taken) for name, part in parts.items()}, name="loops")
    random = np.random.default_rng(2)
    # Biases among them, which Keras starts at zero.
    model.set_weights([random.normal(0, len(part) ** -0.5, part.shape) for part in model.get_weights()])
    return model


def float32_file(model: keras.Model, folder) -> bytes:
    with converted_here():
        return tflite.float32_file(source_of(model, None, 600, folder)).read_bytes()


def answers(content: bytes, folder, rows: np.ndarray) -> dict[str, np.ndarray]:
    (folder / "file.tflite").write_bytes(content)
    return open_artifact(folder / "file.tflite").predict({"x": rows})


def products(content: bytes) -> list[Operator]:
    return [operator for operator in operators(content) if operator.name == "FULLY_CONNECTED"]


def require_answers_as_by_keras(
    steps: int, masked: bool, parts: dict[str, keras.layers.Layer], folder
) -> None:
    model, rows = model_of(steps, parts, masked), clips(steps)
    expected = model.predict({"x": rows}, verbose=0)
    found = answers(float32_file(model, folder), folder, rows)
    for name in parts:
        np.testing.assert_allclose(found[name], expected[name], atol=2e-6, err_msg=name)
    assert not [name for name, part in parts.items() if "inner_loop" in vars(part)], (
        "layers stay as they were"
    )


def test_masked_blocks_in_both_directions_answer_as_by_keras(tmp_path):
    parts = {name: part for name, part in kinds(True).items() if name in ("lstm", "bilstm", "bigru")}
    require_answers_as_by_keras(LONG, True, parts, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("steps", [SHORT, LONG])
def test_every_kind_answers_as_by_keras(steps, masked, tmp_path):
    parts = kinds(masked)
    if steps == LONG:
        del parts["lstm_in_turn"]  # unrolled
    require_answers_as_by_keras(steps, masked, parts, tmp_path)


def test_long_sequences_run_in_blocks_and_their_inputs_are_multiplied_at_once(tmp_path):
    def file(steps: int) -> bytes:
        parts = {"y": layers.LSTM(6, return_sequences=True, name="lstm"), "z": layers.GRU(6, name="gru")}
        (tmp_path / str(steps)).mkdir()
        return float32_file(model_of(steps, parts, False), tmp_path / str(steps))

    short, long = operators(file(SHORT)), operators(file(LONG))
    # The LSTM's loop and that within it, and the GRU's, which gives its last state alone.
    assert [sum(operator.name == "WHILE" for operator in found) for found in (short, long)] == [2, 3]
    for content in (short, long):
        scopes = [operator.scope for operator in content if operator.name == "FULLY_CONNECTED"]
        assert sum(loops.INPUT_PRODUCT in scope for scope in scopes) == 2
        assert sum(loops.RECURRENT_PRODUCT in scope for scope in scopes) == 2
    assert (loops.INPUT_PRODUCT, loops.RECURRENT_PRODUCT) == (
        spectra.INPUT_PRODUCT,
        spectra.RECURRENT_PRODUCT,
    )


@pytest.mark.parametrize("kind", ["dynamic", "int8", "int16"])
def test_both_products_have_int8_weights_and_float32_activations(kind, tmp_path):
    parts = {"y": layers.LSTM(64, return_sequences=True, name="lstm"), "z": layers.GRU(64, name="gru")}
    model, rows = model_of(LONG, parts, False), clips(LONG)[:1]
    content = float32_file(model, tmp_path)
    if kind == "dynamic":
        written = quantize.dynamic(content)
    elif kind == "int8":
        written = quantize.int8(content, {"x": rows}, False)
    else:
        written = quantize.int16(content, {"x": rows})
    found = products(written)
    assert len(found) == 4
    assert {(product.weights, product.activations, product.outputs) for product in found} <= {
        ("int8", "float32", "float32"),
        ("int8, float32", "float32", "float32"),
    }
    assert len(written) < 0.45 * len(content)
    expected = answers(content, tmp_path, rows)
    for name, values in answers(written, tmp_path, rows).items():
        assert np.abs(values - expected[name]).mean() < 0.03


def test_masked_steps_before_a_given_state_is_left(tmp_path):
    """Until the first step that is not masked, Keras gives zeros, whatever the state."""
    inputs = keras.Input((SHORT, WIDTH), name="x")
    start = layers.Dense(4)(inputs[:, -1])
    steps = layers.LSTM(4, return_sequences=True)(layers.Masking()(inputs), initial_state=[start, start])
    model = keras.Model({"x": inputs}, {"y": steps}, name="loops")
    found = answers(float32_file(model, tmp_path), tmp_path, clips(SHORT))
    np.testing.assert_allclose(found["y"], model.predict({"x": clips(SHORT)}, verbose=0)["y"], atol=2e-6)


@pytest.mark.long
def test_an_onnx_file_has_the_blocks_too(tmp_path):
    parts = {
        name: part
        for name, part in kinds(True).items()
        if name in ("lstm_steps", "bilstm", "gru_steps", "gru")
    }
    model, rows = model_of(LONG, parts, True), clips(LONG)
    expected = model.predict({"x": rows}, verbose=0)
    (tmp_path / "model.onnx").write_bytes(convert_onnx.convert(float32_file(model, tmp_path)))
    found = open_artifact(tmp_path / "model.onnx").predict({"x": rows})
    for name in parts:
        np.testing.assert_allclose(found[name], expected[name], atol=2e-6, err_msg=name)
