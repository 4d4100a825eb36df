"""Runtimes against the model's formula in numpy, and the errors for what can't be run."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from exporting import save_function, to_tflite

from keras_lmf.errors import LMFError
from keras_lmf.runtime import open_artifact

ROWS = 300  # more than one batch of 256


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    audio, video = keras.Input((6,), name="audio"), keras.Input((5,), name="video")
    fused = keras.layers.Multiply()(
        [keras.layers.Dense(4, activation="relu", name="a")(audio), keras.layers.Dense(4, name="v")(video)]
    )
    return keras.Model(
        {"audio": audio, "video": video}, {"emotion": keras.layers.Dense(3, name="emotion")(fused)}
    )


@pytest.fixture(scope="module")
def inputs():
    generator = np.random.default_rng(0)
    return {
        "audio": generator.standard_normal((ROWS, 6)).astype("float32"),
        "video": generator.standard_normal((ROWS, 5)).astype("float32"),
    }


@pytest.fixture(scope="module")
def expected(model, inputs):
    """The network's formula in float64."""
    layers = {name: [w.astype("float64") for w in model.get_layer(name).get_weights()] for name in "av"}
    kernel, bias = model.get_layer("emotion").get_weights()
    audio = np.maximum(inputs["audio"] @ layers["a"][0] + layers["a"][1], 0)
    return (audio * (inputs["video"] @ layers["v"][0] + layers["v"][1])) @ kernel + bias


@pytest.fixture(scope="module")
def artifacts(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts")
    model.export(folder / "saved_model", format="tf_saved_model", verbose=False)
    signature = {k: keras.InputSpec("float32", (1, *x.shape[1:]), name=k) for k, x in model.input.items()}
    model.export(folder / "one", format="tf_saved_model", verbose=False, input_signature=[signature])
    to_tflite(folder / "one", folder / "model.tflite")
    return {
        "keras": model,
        "saved_model": folder / "saved_model",
        "tflite": str(folder / "model.tflite"),
    }


kinds = pytest.mark.parametrize("kind", ["keras", "saved_model", "tflite"])


@kinds
def test_predicts_the_formula(artifacts, inputs, expected, kind):
    outputs = open_artifact(artifacts[kind]).predict(inputs)
    assert list(outputs) == ["emotion"]
    assert outputs["emotion"].dtype == np.float32
    np.testing.assert_allclose(outputs["emotion"], expected, rtol=1e-5, atol=1e-5)


@kinds
def test_names_shapes_and_order_of_keys(artifacts, inputs, expected, kind):
    runtime = open_artifact(artifacts[kind])
    assert {name: (i.shape, i.dtype) for name, i in runtime.inputs.items()} == {
        "audio": ((6,), np.float32),
        "video": ((5,), np.float32),
    }
    assert list(runtime.inputs) == ["audio", "video"]
    assert {name: (i.shape, i.dtype) for name, i in runtime.outputs.items()} == {
        "emotion": ((3,), np.float32)
    }
    outputs = runtime.predict({"video": inputs["video"][:1], "audio": inputs["audio"][:1]})
    np.testing.assert_allclose(outputs["emotion"], expected[:1], rtol=1e-5, atol=1e-5)


@kinds
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: {"vidoe": x["video"], "audio": x["audio"]}, r"'vidoe'\. Did you mean 'video'\?"),
        (lambda x: {**x, "text": x["audio"]}, r"'text'.*Allowed: audio, video"),
        (lambda x: {"audio": x["audio"]}, r"lacks its input 'video'"),
        (lambda x: {**x, "audio": x["video"]}, r"input 'audio': received shape \(300, 5\).*\(N, 6\)"),
        (lambda x: {**x, "audio": x["audio"][0]}, r"input 'audio': received shape \(6,\)"),
        (lambda x: {**x, "video": x["video"].astype("float64")}, r"input 'video': .*float64.*float32"),
        (lambda x: {**x, "video": x["video"].tolist()}, r"input 'video': received a list"),
        (lambda x: {**x, "video": x["video"][:7]}, r"same number of rows.*audio 300, video 7"),
        (lambda x: {name: value[:0] for name, value in x.items()}, r"1 or more: audio 0, video 0"),
    ],
    ids=["typo", "extra", "missing", "width", "rank", "dtype", "list", "rows", "none"],
)
def test_wrong_inputs(artifacts, inputs, kind, change, message):
    runtime = open_artifact(artifacts[kind])
    with pytest.raises(LMFError, match=message) as caught:
        runtime.predict(change(inputs))
    assert {"keras": "Keras model", "saved_model": "saved_model", "tflite": "model.tflite"}[kind] in str(
        caught.value
    )


def test_tflite_needs_neither_tensorflow_nor_keras(artifacts, inputs, expected, tmp_path):
    np.savez(tmp_path / "inputs.npz", **inputs)
    code = (
        "import sys, numpy as np\n"
        "from keras_lmf.runtime import open_artifact\n"
        "x = dict(np.load(sys.argv[2]))\n"
        "y = open_artifact(sys.argv[1]).predict(x)\n"
        "np.save(sys.argv[3], y['emotion'])\n"
        "print([m for m in ('tensorflow', 'keras', 'jax', 'torch') if m in sys.modules])\n"
    )
    command = [sys.executable, "-c", code, artifacts["tflite"], tmp_path / "inputs.npz", tmp_path / "y.npy"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == "[]"
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-5, atol=1e-5)


def test_keras_model_with_a_free_length():
    steps = keras.Input((None, 2), name="text")
    pooled = keras.layers.GlobalMaxPooling1D(name="score")(steps)
    runtime = open_artifact(keras.Model({"text": steps}, {"score": pooled}))
    assert runtime.inputs["text"].shape == (None, 2)
    value = np.arange(12, dtype="float32").reshape(2, 3, 2)
    np.testing.assert_array_equal(runtime.predict({"text": value})["score"], [[4, 5], [10, 11]])
    with pytest.raises(LMFError, match=r"\(N, any, 2\)"):
        runtime.predict({"text": value[..., :1]})


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
        lambda: keras.Sequential([keras.layers.Dense(1)]),
        lambda: type("Own", (keras.Model,), {"call": lambda self, x: x})(),
    ],
    ids=["sequential", "unbuilt", "subclass"],
)
def test_keras_model_without_dicts(make):
    with pytest.raises(LMFError, match="not a functional model with a dict of inputs"):
        open_artifact(make())


def test_not_a_model():
    with pytest.raises(LMFError, match="type 'int'"):
        open_artifact(3)


def test_missing_file(tmp_path):
    with pytest.raises(LMFError, match=r"no file or folder .*absent\.tflite"):
        open_artifact(tmp_path / "absent.tflite")


def test_unknown_kind_of_file(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"PK")
    with pytest.raises(LMFError, match=r"model\.keras.*load_model first"):
        open_artifact(tmp_path / "model.keras")


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_truncated_tflite(artifacts, tmp_path, share):
    with open(artifacts["tflite"], "rb") as stream:
        content = stream.read()
    (tmp_path / "cut.tflite").write_bytes(content[: int(share * len(content))])
    with pytest.raises(LMFError, match=r"cut\.tflite.*(is empty|may be damaged or cut off)"):
        open_artifact(tmp_path / "cut.tflite")


def test_tflite_of_random_bytes(tmp_path):
    content = bytearray(np.random.default_rng(0).bytes(4000))
    content[4:8] = b"TFL3"
    (tmp_path / "noise.tflite").write_bytes(content)
    with pytest.raises(LMFError, match=r"noise\.tflite.*may be damaged"):
        open_artifact(tmp_path / "noise.tflite")


def test_tflite_without_the_signature(tmp_path):
    saved = save_function(lambda x: 2 * x, tmp_path / "saved", signature="other")
    path = to_tflite(saved, tmp_path / "other.tflite", signature="other")
    with pytest.raises(LMFError, match=r"other\.tflite.*'serving_default', only: other"):
        open_artifact(path)


def test_tflite_of_more_than_one_row(tmp_path):
    path = to_tflite(save_function(lambda x: 2 * x, tmp_path / "saved", rows=4), tmp_path / "four.tflite")
    with pytest.raises(LMFError, match=r"four\.tflite.*input 'x'.*\[4, 3\]"):
        open_artifact(path)


def test_tflite_with_flex_ops(tmp_path):
    saved = save_function(tf.math.cumulative_logsumexp, tmp_path / "saved")
    path = to_tflite(saved, tmp_path / "flex.tflite", flex=True)
    with pytest.raises(LMFError, match=r"flex\.tflite"):
        open_artifact(path)


def test_folder_that_is_no_saved_model(tmp_path):
    with pytest.raises(LMFError, match=r"no saved_model\.pb"):
        open_artifact(tmp_path)


def test_damaged_saved_model(artifacts, tmp_path):
    content = (artifacts["saved_model"] / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(LMFError, match=r"Can't read .* as the folder of a SavedModel"):
        open_artifact(tmp_path)


def test_saved_model_without_the_signature(tmp_path):
    with pytest.raises(LMFError, match="'serving_default', only: other"):
        open_artifact(save_function(lambda x: 2 * x, tmp_path / "saved", signature="other"))


def test_saved_model_that_fails_as_it_runs(tmp_path):
    folder = save_function(lambda x: tf.cast(7 // tf.cast(x, "int32"), "float32"), tmp_path / "saved")
    with pytest.raises(LMFError, match="saved failed while it ran"):
        open_artifact(folder).predict({"x": np.zeros((1, 3), "float32")})


@pytest.mark.parametrize(
    ("kind", "module", "extra"),
    [("tflite", "ai_edge_litert.interpreter", "litert"), ("saved_model", "tensorflow", "tf")],
)
def test_missing_framework_names_the_extra(artifacts, monkeypatch, kind, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LMFError, match=rf'pip install "keras-lmf\[{extra}\]"'):
        open_artifact(artifacts[kind])
