"""The conversion in its own process: what it refuses, how it fails, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_model import small_model

from keras_lmf.errors import LMFError
from keras_lmf.export import NotAllWritten, export_model, process, source, tflite
from keras_lmf.operators import operators
from keras_lmf.runtime import open_artifact


@pytest.mark.slow
def test_ops_without_a_builtin_are_named_with_their_layers(tmp_path):
    class Odd(keras.layers.Layer):
        def call(self, x):
            return keras.ops.erfinv(keras.ops.tanh(x) / 2) + tf.math.cumulative_logsumexp(x)

    inner = keras.Input((3,), name="inner")
    nested = keras.Model(inner, Odd(name="hidden_2")(inner), name="nested")
    first = keras.layers.Dense(3, name="tame")
    model = small_model(lambda x: Odd(name="outer")(nested(first(x))))
    with pytest.raises(LMFError) as caught:
        export_model(model, tmp_path, ["tflite"])
    message = str(caught.value)
    layers = "in layer 'hidden_2' (Odd), layer 'outer' (Odd)"
    assert f"op Erfinv {layers}" in message
    assert f"op CumulativeLogsumexp {layers}" in message
    assert "tame" not in message
    assert "'saved_model' only" in message
    assert list(tmp_path.iterdir()) == []


def test_overlong_conversion_leaves_nothing(tmp_path):
    with pytest.raises(LMFError, match=r"stopped after 0\.2 seconds.*timeout_seconds"):
        export_model(small_model(), tmp_path, ["tflite"], timeout_seconds=0.2)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def converter(monkeypatch, tmp_path):
    """Put another script in the converter's place; it knows OUTPUT, FAILURE and PID (a file for its id)."""

    def replace(code, name="convert.py"):
        script = tmp_path / name
        head = f"import os, sys, time\n*_, OUTPUT, FAILURE = sys.argv\nPID = {str(tmp_path / 'pid')!r}\n"
        script.write_text(head + code)
        monkeypatch.setattr(process, "FOLDER", tmp_path)
        return tmp_path / "pid"

    return replace


def is_running(pid):
    """A killed process takes a moment to end, and stays a zombie until it is waited for."""
    with contextlib.suppress(ChildProcessError):
        for _ in range(100):
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                return False
            time.sleep(0.05)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def ctrl_c():
    """Ctrl-C raises KeyboardInterrupt; the workers of parallel tests ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_export(pid, folder, formats):
    """Ctrl-C as soon as the script has told its id: it ends, and nothing half-written is left."""

    def interrupt():
        while not (pid.is_file() and pid.read_text()):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        export_model(small_model(), folder, formats)
    assert not is_running(int(pid.read_text()))
    assert list(folder.iterdir()) == []


TELL = "open(PID, 'w').write(str(os.getpid()))\ntime.sleep(60)"


def test_interrupt_ends_the_converter_and_leaves_nothing(converter, tmp_path, ctrl_c):
    pid = converter(f"open(OUTPUT, 'wb').write(b'half')\n{TELL}")
    interrupt_export(pid, tmp_path / "out", ["tflite"])


def test_interrupt_ends_tensorflows_process_and_leaves_nothing(converter, tmp_path, ctrl_c, monkeypatch):
    monkeypatch.setattr(source, "has_tensorflow", lambda: False)
    pid = converter(
        f"os.mkdir(OUTPUT)\nopen(OUTPUT + '/saved_model.pb', 'wb').write(b'half')\n{TELL}", "save.py"
    )
    interrupt_export(pid, tmp_path / "out", ["saved_model"])


def test_time_out_ends_the_converter(converter, tmp_path):
    pid = converter("open(PID, 'w').write(str(os.getpid()))\ntime.sleep(60)")
    with pytest.raises(LMFError, match="stopped after 2 seconds"):
        export_model(small_model(), tmp_path / "out", ["tflite"], timeout_seconds=2)
    assert not is_running(int(pid.read_text()))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("os.kill(os.getpid(), 11)", r"conversion of model 'small' crashed \(SIGSEGV\)"),
        ("print('first\\nlast words', file=sys.stderr); sys.exit(3)", "exit code 3.*last words"),
        (
            'open(FAILURE, \'w\').write(\'{"message": "loc(a): error: no way\\\\nnote", "operators": []}\');'
            "sys.exit(1)",
            "failed: no way$",
        ),
        ("open(OUTPUT, 'wb').write(b'TFL3')", r"model\.tflite.*may be damaged"),
    ],
    ids=["crash", "exit", "failure", "nonsense"],
)
def test_failed_conversion(converter, tmp_path, code, message):
    converter(code)
    with pytest.raises(LMFError, match=message):
        export_model(small_model(), tmp_path / "out", ["tflite"])
    assert list((tmp_path / "out").iterdir()) == []


def test_converter_reports_what_it_cannot_read(tmp_path):
    """The real script, in this process: an empty folder is no SavedModel."""
    from keras_lmf.export import convert

    assert convert.main(str(tmp_path), str(tmp_path / "out.tflite"), str(tmp_path / "failure.json")) == 1
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert "SavedModel" in failure["message"]
    assert failure["operators"] == []
    assert not (tmp_path / "out.tflite").exists()


@pytest.mark.slow
def test_a_loop_writes_each_output_into_its_place(tmp_path):
    """Joining those before, this one and those behind would take a new length at each step."""
    steps = keras.Input((7, 3), name="steps")
    loop = keras.layers.GRU(2, return_sequences=True, reset_after=False)  # of which Keras's own loop is kept
    layers = [keras.layers.Masking(), keras.layers.Bidirectional(loop)]
    model = keras.Model({"steps": steps}, {"y": layers[1](layers[0](steps))})
    given = source.source_of(model, None, 600, tmp_path)
    given.inputs["steps"][:, 5:] = 0  # masked
    file = tflite.float32_file(given)
    found = [operator.name for operator in operators(file.read_bytes())]
    assert found.count("DYNAMIC_UPDATE_SLICE") == 2  # one for each direction
    assert "SLICE" not in found
    answers = open_artifact(file).predict(given.inputs)["y"]
    np.testing.assert_allclose(answers, model.predict(given.inputs, verbose=0)["y"], atol=1e-6)


def test_file_without_its_weights_is_refused(monkeypatch, tmp_path):
    """A Keras model saved through a tf.Module of one's own converts to a file that has lost its weights."""
    model = small_model()

    def convert(source, saved_model, path):
        module = tf.Module()
        module.model = model
        module.serve = tf.function(lambda **x: model(x))
        serve = module.serve.get_concrete_function(**{k: tf.TensorSpec((1, 3), name=k) for k in ("x", "w")})
        tf.saved_model.save(module, str(saved_model.parent / "own"), signatures={"serving_default": serve})
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model.parent / "own"))
        path.write_bytes(converter.convert())

    monkeypatch.setattr(tflite, "_convert", convert)
    with pytest.raises(LMFError, match=r"without \d+ of its weights"):
        export_model(model, tmp_path, ["tflite"])
    assert list(tmp_path.iterdir()) == []


ENDS = {
    "one twice": lambda x, y: {"one": y, "two": y},
    "an input": lambda x, y: {"y": y, "same": x},
}


@pytest.mark.parametrize("ends", ENDS)
def test_an_output_that_is_another_end_is_written_or_refused(ends, tmp_path):
    x = keras.Input((3,), name="x")
    model = keras.Model({"x": x}, ENDS[ends](x, keras.layers.Dense(2)(x)))
    with pytest.raises(NotAllWritten) as refused:
        export_model(model, tmp_path, ["tflite", "onnx"])
    assert refused.value.problems.keys() == {"onnx"}  # which has one name for a tensor
    rows = {"x": np.random.default_rng(0).standard_normal((5, 3)).astype("float32")}
    found, expected = open_artifact(tmp_path / "model.tflite").predict(rows), model.predict(rows, verbose=0)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-6)


def test_a_conversion_that_fails_is_tried_once(monkeypatch, tmp_path):
    x = keras.Input((3,), name="x")
    given = source.source_of(keras.Model({"x": x}, {"y": keras.layers.Dense(2)(x)}), None, 300, tmp_path)
    tried = []

    def fail(*_, **__):
        tried.append(1)
        raise LMFError("no such op")

    monkeypatch.setattr(tflite, "run_script", fail)
    for _ in range(2):
        with pytest.raises(LMFError, match="no such op"):
            tflite.float32_file(given)
    assert tried == [1]
