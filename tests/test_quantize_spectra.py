"""Models of waveforms in int8: spectra stay float32, so the answers stay; constants of loops become FILL ops."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from exporting import converted_here

from keras_lmf.export import quantize, tflite
from keras_lmf.export.flatbuffer import with_fills
from keras_lmf.export.source import source_of
from keras_lmf.models import build, pretrained
from keras_lmf.operators import Operator, operators
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact

pytestmark = pytest.mark.slow

SAMPLES, RATE, CLASSES = 4000, 16000, ("low", "middle", "high")
SPECTRUM = quantize.Spectral(layers=("spectrum",))


def voices(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Harmonics with one formant, by class at 500, 1200 or 2500 Hz; 40 dB from the quietest to the loudest clip."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    times = np.arange(SAMPLES) / RATE
    pitch = random.uniform(90, 250, (rows, 1)) * (1 + random.uniform(-0.2, 0.2, (rows, 1)) * times)
    phase = 2 * np.pi * np.cumsum(pitch, axis=1) / RATE
    formant = np.array([500, 1200, 2500])[labels][:, None] * random.uniform(0.8, 1.25, (rows, 1))
    clips = sum(
        np.sin(k * phase) * (0.02 + np.exp(-(((k * pitch - formant) / 300) ** 2))) for k in range(1, 30)
    )
    clips += 0.05 * random.standard_normal(clips.shape)
    clips *= 10 ** random.uniform(-3, -1, (rows, 1))
    clips[times >= random.uniform(0.15, 0.25, (rows, 1))] = 0
    return clips.astype("float32"), labels


@pytest.fixture(scope="module")
def model() -> keras.Model:
    recipe = Recipe(
        name="formants",
        seed=1,
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": CLASSES},
        inputs={
            "voice": {
                "shape": [SAMPLES],
                "front_end": {"name": "log_mel", "bands": 32},
                "backbone": {"name": "spectrogram_cnn", "filters": [8, 12], "units": 16},
            }
        },
        fusion={"name": "none"},
        training={"loss": "cross_entropy"},
    )
    model = build(recipe)
    clips, labels = voices(240, 0)
    features = model.get_layer("voice_front_end").predict(clips, verbose=0)
    frames = features[(features != 0).any(axis=-1)]
    backbone = model.get_layer("voice_backbone")
    on_features = keras.Model(backbone.input, model.get_layer("emotion")(backbone.output))
    for layer in backbone.layers:
        if layer.name == "standardization":
            layer.adapt_mean.assign(frames.mean(axis=0))
            layer.adapt_variance.assign(frames.var(axis=0))
            layer.finalize_state()
        elif "norm" in layer.name:
            layer.momentum = 0.8
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    on_features.compile(keras.optimizers.Adam(0.01), loss)
    keras.utils.set_random_seed(0)
    on_features.fit(features, labels, batch_size=24, epochs=8, verbose=0)
    return model


@pytest.fixture(scope="module")
def float32(model, tmp_path_factory) -> bytes:
    source = source_of(model, None, 600, tmp_path_factory.mktemp("formants"))
    with converted_here():
        return tflite.float32_file(source).read_bytes()


def answers(content: bytes, inputs: dict[str, np.ndarray], folder: Path) -> np.ndarray:
    (folder / "model.tflite").write_bytes(content)
    (values,) = open_artifact(folder / "model.tflite").predict(inputs).values()
    return values


def spectral(found: list[Operator]) -> list[Operator]:
    return [operator for operator in found if "/spectrum" in operator.scope]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["dynamic", "int8"])
def test_the_answers_stay_because_the_spectra_do(model, float32, tmp_path, kind):
    if kind == "dynamic":
        content = quantize.dynamic(float32, SPECTRUM)
    else:
        content = quantize.int8(float32, {"voice": voices(60, 5)[0]}, False, SPECTRUM)
    clips, labels = voices(150, 9)
    expected = model.predict({"voice": clips}, verbose=0)["emotion"]
    assert (expected.argmax(axis=1) == labels).mean() > 0.9, "the model must have learnt something"
    found = answers(content, {"voice": clips}, tmp_path)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.98

    before, after = operators(float32), operators(content)
    kept = [operator for operator in spectral(after) if operator.name != "DEQUANTIZE"]
    assert len(kept) >= len({operator.scope for operator in spectral(before)}) > 10
    for operator in kept:
        assert "int8" not in (operator.activations, operator.outputs), operator
        # The Fourier transform's matrices are float32, too; of the weights, the mel filters alone are int8.
        assert ("int8" in operator.weights) == ("mel_filters" in operator.scope), operator
    assert sum("mel_filters" in operator.scope for operator in kept) == 1
    products = [op for op in after if op.name in ("CONV_2D", "FULLY_CONNECTED") and op not in spectral(after)]
    assert len(products) == 4
    for operator in products:
        assert operator.weights.startswith("int8"), operator
        assert operator.activations == ("float32" if kind == "dynamic" else "int8"), operator
    assert len(content) < len(float32)


def lstm() -> keras.Model:
    steps = keras.Input((60, 5), name="steps")
    states = keras.layers.LSTM(32, return_sequences=True)(steps)
    states = keras.layers.LSTM(32, return_sequences=True)(states)
    return keras.Model({"steps": steps}, {"y": keras.layers.Dense(3, name="y")(states)}, name="states")


def constant_bias() -> keras.Model:
    """A layer of weights that hold one number, and enough of them."""
    steps = keras.Input((24,), name="steps")
    hidden = keras.layers.Dense(300, bias_initializer=keras.initializers.Constant(0.5), activation="relu")(
        steps
    )
    return keras.Model({"steps": steps}, {"y": keras.layers.Dense(3, name="y")(hidden)}, name="biased")


def converted(model: keras.Model, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, dict]:
    """The file as the converter wrote it, and rows."""
    monkeypatch.setattr(tflite, "with_fills", lambda content: content)
    source = source_of(model, None, 600, folder)
    with converted_here():
        return tflite.float32_file(source).read_bytes(), source.inputs


def test_fills_take_the_place_of_an_lstms_empty_outputs(tmp_path, monkeypatch):
    content, inputs = converted(lstm(), tmp_path, monkeypatch)
    smaller = with_fills(content)
    assert "FILL" not in {operator.name for operator in operators(content)}
    fills = [operator for operator in operators(smaller) if operator.name == "FILL"]
    assert fills
    # 60 steps of 32 float32 numbers each; what an op takes is far less.
    assert len(content) - len(smaller) > 4 * 60 * 32 * len(fills) - 1024
    assert answers(smaller, inputs, tmp_path).tobytes() == answers(content, inputs, tmp_path).tobytes()
    assert with_fills(smaller) is smaller
    dynamic = answers(quantize.dynamic(smaller), inputs, tmp_path)
    np.testing.assert_array_equal(dynamic, answers(quantize.dynamic(content), inputs, tmp_path))


def test_weights_of_one_number_stay_constants(tmp_path, monkeypatch):
    content, inputs = converted(constant_bias(), tmp_path, monkeypatch)
    assert with_fills(content) is content
    found = answers(quantize.int8(content, inputs, False), inputs, tmp_path)
    assert np.abs(found - answers(content, inputs, tmp_path)).max() < 0.1


def test_kernels_in_float16_share_one_operator_code(tmp_path):
    """Of two layers that read power."""
    steps = keras.Input((6, 16), name="steps")
    states = keras.layers.LSTM(8, return_sequences=True, name="low")(steps)
    states = keras.layers.LSTM(8, return_sequences=True, name="high")(states)
    model = keras.Model({"steps": steps}, {"y": keras.layers.Dense(3, name="y")(states)}, name="states")
    with converted_here():
        source = source_of(model, None, 600, tmp_path)
        content = tflite.float32_file(source).read_bytes()
    found = quantize.dynamic(content, quantize.Spectral(power_readers=("low", "high")))
    # Of each layer one of the kernel in float16, and one of its other weights, in int8.
    assert sum(operator.name == "DEQUANTIZE" for operator in operators(found)) == 4
    file = schema.Model.GetRootAs(found, 0)
    codes = [file.OperatorCodes(i).BuiltinCode() for i in range(file.OperatorCodesLength())]
    assert codes.count(schema.BuiltinOperator.DEQUANTIZE) == 1
    # Eleven bits of the kernels, and int8 in the rest.
    difference = answers(found, source.inputs, tmp_path) - answers(content, source.inputs, tmp_path)
    assert 0 < np.abs(difference).max() < 0.02


@pytest.mark.long
def test_what_reads_power_has_its_input_kernel_in_float16(tmp_path):
    """GE2E's first LSTM, with the published weights: its kernel holds 61 beside weights of .7, bands 60 dB apart."""
    recipe = Recipe(
        name="speaker",
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": CLASSES},
        inputs={
            "voice": {
                "shape": [SAMPLES],
                "front_end": {"name": "ge2e", "layers": [1], "pretrained": "ge2e"},
                "backbone": {"name": "mlp", "units": [8]},
            }
        },
        fusion={"name": "none"},
        training={"loss": "cross_entropy"},
    )
    voice = keras.Input((SAMPLES,), name="voice")
    front_end = pretrained.front_ends(recipe)["voice"]
    model = keras.Model({"voice": voice}, {"states": front_end(voice)}, name="speaker")
    clips = voices(30, 3)[0]
    expected = model.predict({"voice": clips}, verbose=0)["states"]

    source = source_of(model, None, 600, tmp_path)
    written = tmp_path / "model-dynamic.tflite"
    with converted_here():
        tflite.write_dynamic(source, written)
    products = {
        op.scope.split("/")[-2]: op
        for op in operators(written.read_bytes())
        if op.name == "FULLY_CONNECTED" and "lstm_1" in op.scope
    }
    kernel, recurrent = products["input_product"], products["recurrent_product"]
    assert (kernel.weights, kernel.activations) == ("float16, float32", "float32")  # with the biases
    assert (recurrent.weights, recurrent.activations) == ("int8", "float32")

    def error(content: bytes) -> float:
        return float(np.abs(answers(content, {"voice": clips}, tmp_path) - expected).mean())

    plain = quantize.dynamic(tflite.float32_file(source).read_bytes(), SPECTRUM)
    assert error(written.read_bytes()) < error(plain) / 4
