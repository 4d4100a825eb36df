"""Export where Keras is not on TensorFlow: processes of their own have it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from other_backend import OTHER_BACKENDS, environment
from small_model import small_model

from keras_lmf.errors import LMFError
from keras_lmf.export import Latency, export_model, exporter, source
from keras_lmf.runtime import open_artifact

TESTS = Path(__file__).parent
# A model of that backend, exported; its own answers; and whether TensorFlow was loaded.
EXPORT = """
import sys
import numpy as np
from voice_model import rows, voice_model
from keras_lmf.export import Latency, export_model, exporter

exporter._latency = lambda *_: Latency(1.0, 2.0)
model = voice_model()
model.examples = rows()
(artifact,) = export_model(model, sys.argv[1], ["saved_model"])
answers = model.predict_on_batch(rows())["emotion"]
print("tensorflow" in sys.modules)
np.savez(sys.argv[2], answers=answers, difference=artifact.difference_max)
"""
LAYER = """
import keras


@keras.saving.register_keras_serializable("mine")
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", OTHER_BACKENDS)
def test_the_file_agrees_with_the_model_of_the_other_backend(tmp_path, backend):
    from voice_model import rows

    process = subprocess.run(
        [sys.executable, "-c", EXPORT, tmp_path / "out", tmp_path / "found.npz"],
        env=environment(backend),
        cwd=TESTS,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == "False", "TensorFlow stays out of a process with another framework"
    found = np.load(tmp_path / "found.npz")
    answers = open_artifact(tmp_path / "out" / "saved_model").predict(rows())["emotion"]
    assert np.ptp(answers, axis=0).min() > 0.01  # the comparison says something
    np.testing.assert_allclose(answers, found["answers"], atol=1e-5)
    assert found["difference"] == pytest.approx(np.abs(answers - found["answers"]).max(), abs=1e-6)


@pytest.fixture
def elsewhere(monkeypatch):
    """As if Keras were on another backend; but this process judges the file, and no latency is measured."""
    monkeypatch.setattr(source, "has_tensorflow", lambda: False)
    answers = lambda self, path, inputs: open_artifact(path).predict(inputs)  # noqa: E731
    monkeypatch.setattr(source.Source, "_answers", answers)
    monkeypatch.setattr(exporter, "_latency", lambda *_: Latency(1.0, 2.0))


@pytest.mark.slow
def test_layers_of_a_users_own_module_are_found(elsewhere, monkeypatch, tmp_path):
    (tmp_path / "layers_of_mine.py").write_text(LAYER)
    monkeypatch.syspath_prepend(tmp_path)
    from layers_of_mine import Twice

    model = small_model(Twice())
    export_model(model, tmp_path / "out", ["saved_model"])
    x = {name: np.random.default_rng(0).standard_normal((3, 3)).astype("float32") for name in ("x", "w")}
    kernel, bias = model.get_layer("y").get_weights()
    answers = open_artifact(tmp_path / "out" / "saved_model").predict(x)["y"]
    np.testing.assert_allclose(answers, 2 * x["x"] * x["w"] @ kernel + bias, atol=1e-5)


def test_a_layer_of_the_program_itself_is_refused(elsewhere, monkeypatch, tmp_path):
    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    monkeypatch.setattr(Twice, "__module__", "__main__")
    with pytest.raises(LMFError, match=r"Layer 'odd': its class Twice.*module of its own"):
        export_model(small_model(Twice(name="odd")), tmp_path / "out", ["saved_model"])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_what_tensorflows_process_cannot_rebuild_is_told(elsewhere, tmp_path):
    double = keras.layers.Lambda(lambda x: 2 * x, name="double")
    with pytest.raises(
        LMFError, match=r"Writing the SavedModel of model 'small' failed: .*can't rebuild.*Lambda"
    ):
        export_model(small_model(double), tmp_path / "out", ["saved_model"])
    assert list((tmp_path / "out").iterdir()) == []
