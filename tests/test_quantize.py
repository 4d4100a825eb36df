"""Quantisation against hand-made weights and error bounds; integer inputs; the timing of a known call."""

from __future__ import annotations

import json
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_lmf.errors import LMFError
from keras_lmf.export import latency, quantize
from keras_lmf.export.source import source_of
from keras_lmf.export.tflite import float32_file
from keras_lmf.models import build, set_standardization
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact

ZOO = Path(__file__).parents[1] / "zoo"
WIDTH, UNITS = 24, 64


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    """y = xW + b, as float32 bytes, with its W, b and rows x."""
    keras.utils.set_random_seed(2)
    x = keras.Input((WIDTH,), name="x")
    model = keras.Model({"x": x}, {"y": keras.layers.Dense(UNITS, name="y")(x)})
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(size=(WIDTH, UNITS)), generator.normal(size=UNITS)])
    source = source_of(model, None, 300, tmp_path_factory.mktemp("linear"))
    content = float32_file(source).read_bytes()
    kernel, bias = (weight.astype("float64") for weight in model.get_weights())
    return content, kernel, bias, source.inputs["x"]


def outputs(content: bytes, x: np.ndarray, folder: Path) -> np.ndarray:
    (folder / "model.tflite").write_bytes(content)
    return open_artifact(folder / "model.tflite").predict({"x": x})["y"]


def constants(content: bytes) -> dict[int, list[np.ndarray]]:
    """The constants of two or more dimensions by tensor type, read from the flatbuffer's vectors."""
    kinds = {schema.TensorType.FLOAT16: "<f2", schema.TensorType.FLOAT32: "<f4", schema.TensorType.INT8: "i1"}
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    found: dict[int, list[np.ndarray]] = {}
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        buffer = model.Buffers(tensor.Buffer())
        if buffer.DataLength() and tensor.Type() in kinds:
            values = buffer.DataAsNumpy().view(kinds[tensor.Type()]).reshape(tensor.ShapeAsNumpy())
            found.setdefault(tensor.Type(), []).append(values)
    return found


@pytest.mark.slow
def test_float16_holds_the_rounded_weights(linear, tmp_path):
    content, kernel, bias, x = linear
    halved = quantize.float16(content)
    found = constants(halved)
    assert schema.TensorType.FLOAT32 not in found
    stored = {values.ndim: values for values in found[schema.TensorType.FLOAT16]}
    np.testing.assert_array_equal(stored[2], kernel.T.astype("float16"))
    np.testing.assert_array_equal(stored[1], bias.astype("float16"))
    # Rounding to 11 bits moves each factor by at most 2^-11 of itself; the rest is float32's own rounding.
    bound = 2.0**-11 * (np.abs(x) @ np.abs(kernel) + np.abs(bias)) + 1e-4
    assert (np.abs(outputs(halved, x, tmp_path) - (x @ kernel + bias)) <= bound).all()


def test_float16_keeps_what_it_cannot_hold(linear, tmp_path):
    content, kernel, bias, x = linear
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    (buffer,) = [b for b in model.buffers if b.data is not None and len(b.data) == 4 * kernel.size]
    buffer.data = (np.asarray(buffer.data, np.uint8).view("<f4") * np.float32(1e5)).view(np.uint8)
    import flatbuffers

    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    found = outputs(quantize.float16(bytes(builder.Output())), x, tmp_path)
    np.testing.assert_allclose(found, 1e5 * (x @ kernel) + bias, rtol=1e-4, atol=1)


def test_dynamic_holds_int8_weights_per_channel(linear, tmp_path):
    content, kernel, bias, x = linear
    smaller = quantize.dynamic(content)
    (stored,) = constants(smaller)[schema.TensorType.INT8]
    scale = np.abs(kernel).max(axis=0) / 127  # symmetric, one per output
    assert np.abs(stored - (kernel / scale).T).max() <= 0.501
    # Half a step of each weight, and half a step of each input (symmetric over the row's largest).
    step = np.abs(x).max(axis=1, keepdims=True) / 127
    bound = (
        np.abs(x).sum(1, keepdims=True) * scale / 2 + step / 2 * (np.abs(kernel) + scale / 2).sum(0) + 1e-4
    )
    # XNNPACK's steps for a row reach from its smallest to its largest value: at most twice as fine or coarse.
    assert (np.abs(outputs(smaller, x, tmp_path) - (x @ kernel + bias)) <= 2 * bound).all()


@pytest.mark.parametrize("integer_ends", [False, True])
def test_int8_stays_within_its_steps(linear, tmp_path, integer_ends):
    content, kernel, bias, x = linear
    y = x @ kernel + bias
    scale = np.abs(kernel).max(axis=0) / 127
    step_x = (max(x.max(), 0) - min(x.min(), 0)) / 255  # min and max of all rows: none is clipped
    step_y = (max(y.max(), 0) - min(y.min(), 0)) / 255
    bound = (
        np.abs(x).sum(1, keepdims=True) * scale / 2
        + step_x * (np.abs(kernel) + scale / 2).sum(0)  # half a step, and half for the rounded zero point
        + 1.5 * step_y
    )
    found = outputs(quantize.int8(content, {"x": x}, integer_ends), x, tmp_path)
    difference = np.abs(found - y)
    assert (difference <= bound).all()
    assert difference.max() > step_y / 4  # it is int8, not float32 under another name


def test_int16_has_the_steps_of_its_sixteen_bits(linear, tmp_path):
    """y = xW + b with int8 weights; activations about zero in steps of their largest / 32767."""
    content, kernel, bias, x = linear
    written = quantize.int16(content, {"x": x})
    dtypes = schema.TensorType
    model = schema.Model.GetRootAs(written, 0)
    graph = model.Subgraphs(0)
    (product,) = (
        graph.Operators(i)
        for i in range(graph.OperatorsLength())
        if model.OperatorCodes(graph.Operators(i).OpcodeIndex()).BuiltinCode()
        == schema.BuiltinOperator.FULLY_CONNECTED
    )
    ends = [product.Inputs(0), product.Inputs(1), product.Outputs(0)]
    assert [graph.Tensors(end).Type() for end in ends] == [dtypes.INT16, dtypes.INT8, dtypes.INT16]
    step = graph.Tensors(ends[0]).Quantization()
    assert (step.ScaleLength(), step.ZeroPoint(0)) == (1, 0)
    assert step.Scale(0) == pytest.approx(np.abs(x).max() / 32767, rel=0.01)

    scale = np.abs(kernel).max(axis=0) / 127
    rounded = np.round(kernel / scale) * scale
    found = outputs(written, x, tmp_path)
    step_y = np.abs(x @ kernel + bias).max() / 32767
    bound = step.Scale(0) * np.abs(rounded).sum(0) + 2 * step_y
    assert (np.abs(found - (x @ rounded + bias)) <= bound).all()
    assert np.abs(found - (x @ kernel + bias)).max() > step_y  # its weights have eight bits


def test_calibration_takes_the_extremes_of_all_rows(linear, tmp_path):
    """One loud row among quiet ones: a moving average of the extremes would clip it."""
    content, kernel, bias, x = linear
    loud = 0.05 * x
    loud[3] = 4 * np.sign(x[3])
    y = loud @ kernel + bias
    found = outputs(quantize.int8(content, {"x": loud}, integer_ends=True), loud, tmp_path)
    assert np.abs(found[3] - y[3]).max() < 0.05 * np.abs(y[3]).max()
    details = Interpreter(str(tmp_path / "model.tflite")).get_input_details()
    scale, zero_point = details[0]["quantization"]
    assert scale == pytest.approx((loud.max() - loud.min()) / 255, rel=0.01)
    assert (-128 - zero_point) * scale <= loud.min() + scale


def test_features_of_unlike_size_keep_their_steps_in_integer_inputs(linear, tmp_path):
    """One feature is a thousand times larger: in steps of its range nothing would be left of the others."""
    content, _, _, x = linear
    unlike = x.copy()
    unlike[:, 0] *= 1000
    (tmp_path / "model.tflite").write_bytes(quantize.int8(content, {"x": unlike}, integer_ends=True))
    (details,) = Interpreter(str(tmp_path / "model.tflite")).get_input_details()

    def lost(scale: float, zero: int) -> np.ndarray:
        """Mean squared error of each of the other features, as a share of its variance."""
        held = (np.clip(np.rint(unlike / scale) + zero, -128, 127) - zero) * scale
        return (((held - unlike) ** 2).mean(axis=0) / unlike.var(axis=0))[1:]

    assert lost(*details["quantization"]).max() < 0.01
    assert lost(np.ptp(unlike) / 255, 0).min() > 0.9


def test_integer_file_in_the_runtime(linear, tmp_path):
    content, _, _, x = linear
    path = tmp_path / "model.tflite"
    path.write_bytes(quantize.int8(content, {"x": x}, integer_ends=True))
    runtime = open_artifact(path)
    info = runtime.inputs["x"]
    assert info.dtype == np.float32
    assert info.quantization.dtype == np.int8
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (take,), (give,) = interpreter.get_input_details(), interpreter.get_output_details()
    loud = 100 * x[:5]  # far outside the range: the nearest integer there is
    expected = []
    for row in loud:
        scale, zero = take["quantization"]
        interpreter.set_tensor(
            take["index"], np.clip(np.rint(row / scale) + zero, -128, 127).astype("i1")[None]
        )
        interpreter.invoke()
        scale, zero = give["quantization"]
        expected.append((interpreter.get_tensor(give["index"])[0].astype("f4") - zero) * scale)
    np.testing.assert_allclose(runtime.predict({"x": loud})["y"], expected, rtol=1e-6)
    for bad in (np.nan, np.inf):
        x_bad = x.copy()
        x_bad[1, 2] = bad
        with pytest.raises(LMFError, match=r"input 'x', row 1: received NaN, infinity or a number beyond"):
            runtime.predict({"x": x_bad})


@pytest.mark.long
@pytest.mark.parametrize("entry", ["lmf-mosi-avt", "lmf-ravdess-av"])
def test_the_zoos_models_shrink_by_their_kernels(entry, tmp_path):
    """Two of four bytes per number of a kernel are saved in float16, most of three with int8 weights.

    A large model's file is little else, and then float16 has ≤ .55 and dynamic ≤ .40 of the float32 bytes. The weights
    are as after training: none is 0 or 1.
    """
    model = build(Recipe.read(ZOO / entry / "recipe.toml"))
    generator = np.random.default_rng(0)
    model.set_weights([0.1 * generator.normal(size=weight.shape) for weight in model.get_weights()])
    statistics = {
        name: (generator.normal(size=tensor.shape[-1]), generator.uniform(0.5, 2, tensor.shape[-1]))
        for name, tensor in model.input.items()
    }
    set_standardization(model, statistics)
    content = float32_file(source_of(model, None, 300, tmp_path)).read_bytes()
    kernels = sum(weight.size for weight in model.get_weights() if weight.ndim > 1)
    half, dynamic = len(quantize.float16(content)), len(quantize.dynamic(content))
    assert len(content) - half >= 2 * kernels
    assert len(content) - dynamic >= 0.85 * 3 * kernels
    if 4 * kernels > 0.95 * len(content):
        assert half <= 0.55 * len(content)
        assert dynamic <= 0.40 * len(content)


@pytest.mark.parametrize("kind", ["float16", "dynamic", "int8"])
def test_what_can_not_be_quantised_is_reported(tmp_path, kind):
    (tmp_path / "nonsense.tflite").write_bytes(b"TFL3")
    np.savez(tmp_path / "rows.npz", x=np.zeros((2, 3), "float32"))
    places = [str(tmp_path / name) for name in ("nonsense.tflite", "rows.npz", "out.tflite", "failure.json")]
    assert quantize.main(kind, *places[:2], "{}", *places[2:]) == 1
    assert json.loads((tmp_path / "failure.json").read_text())["message"]
    assert not (tmp_path / "out.tflite").exists()


def test_latency_of_a_known_call():
    calls = []

    def call():
        calls.append(None)
        warming_up = len(calls) <= 2
        time.sleep(0.06 if warming_up else 0.03 if len(calls) % 10 == 0 else 0.001)

    found = latency.measure(call)
    assert len(calls) >= latency.CALLS
    assert 1 <= found["p50"] < 20
    assert found["p95"] >= 30


def test_latency_of_a_slow_call_ends(monkeypatch):
    monkeypatch.setattr(latency, "MOST_SECONDS", 0.6)
    calls = []
    found = latency.measure(lambda: calls.append(time.sleep(0.15)))
    assert 4 <= len(calls) <= 6  # one warms up
    assert found["p50"] >= 150


def test_latency_is_of_the_file_with_its_inputs_set(linear, tmp_path):
    content, kernel, bias, x = linear
    (tmp_path / "model.tflite").write_bytes(content)
    call = latency.tflite_call(str(tmp_path / "model.tflite"), {"x": x[:1]}, 1)
    call()
    interpreter = call.__self__
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, x[:1] @ kernel + bias, rtol=1e-4, atol=1e-4)
