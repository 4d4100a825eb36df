"""The SavedModel as a server has it: TensorFlow alone, each signature against the Keras model."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from exporting import exported_here
from small_model import small_model
from voice_model import BANDS, SAMPLES, rows, voice_model

from keras_lmf.export import export_model

EXAMPLE = Path(__file__).parents[1] / "examples" / "serving_request.py"
# One row and several, with each signature.
SERVE = """
import sys
sys.modules["keras"] = sys.modules["jax"] = None  # TensorFlow would import them
import numpy as np
import tensorflow as tf

program = tf.saved_model.load(sys.argv[1])
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"keras_lmf", "torch"}))
found = {}
for signature in ("serving_default", "waveform", "features"):
    given = np.load(sys.argv[2])
    kind = "features" if signature == "features" else "raw"
    inputs = {name.partition("/")[2]: given[name] for name in given if name.startswith(kind)}
    for count in (1, 5):
        part = {name: tf.constant(values[:count]) for name, values in inputs.items()}
        found[f"{signature}/{count}"] = program.signatures[signature](**part)["emotion"].numpy()
np.savez(sys.argv[3], **found)
"""


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return voice_model()


@pytest.fixture(scope="module")
def saved_model(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    model.examples = rows()
    with exported_here():
        (artifact,) = export_model(model, folder, ["saved_model"])
    return artifact.path


@pytest.mark.slow
def test_every_signature_answers_as_keras_does(model, saved_model, tmp_path):
    given = rows()
    features = given | {"voice": model.get_layer("voice_front_end")(given["voice"]).numpy()}
    assert features["voice"].shape[2] == BANDS
    np.savez(
        tmp_path / "rows.npz",
        **{f"raw/{name}": values for name, values in given.items()},
        **{f"features/{name}": values for name, values in features.items()},
    )
    command = [sys.executable, "-c", SERVE, saved_model, tmp_path / "rows.npz", tmp_path / "found.npz"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert process.stdout == "\n"
    expected = model(given, training=False)["emotion"].numpy()
    assert np.ptp(expected, axis=0).min() > 0.01  # the comparison says something
    found = np.load(tmp_path / "found.npz")
    assert len(found.files) == 6
    for name in found.files:
        count = int(name.partition("/")[2])
        np.testing.assert_allclose(found[name], expected[:count], atol=1e-5, err_msg=name)


def test_without_a_front_end_there_are_no_other_signatures(tmp_path):
    import tensorflow as tf

    with exported_here():
        export_model(small_model(), tmp_path, ["saved_model"])
    assert set(tf.saved_model.load(str(tmp_path / "saved_model")).signatures) == {"serve", "serving_default"}


@pytest.fixture
def exchange():
    """The example's own, in this process, which has TensorFlow."""
    return runpy.run_path(str(EXAMPLE))["exchange"]


@pytest.mark.parametrize("signature", ["serving_default", "features"])
def test_the_request_is_what_the_signature_takes(exchange, model, saved_model, tmp_path, signature):
    given = rows()
    if signature == "features":
        given["voice"] = model.get_layer("voice_front_end")(given["voice"]).numpy()
    np.savez(tmp_path / "vectors.npz", **{f"input/{name}": values for name, values in given.items()})
    request, answer = exchange(saved_model, signature, tmp_path / "vectors.npz", 2)
    assert request.keys() == {"signature_name", "inputs"}
    assert request["signature_name"] == signature
    for name, values in given.items():
        np.testing.assert_array_equal(np.float32(request["inputs"][name]), values[:2])
    expected = model(rows(), training=False)["emotion"].numpy()[:2]
    np.testing.assert_allclose(answer["outputs"], expected, atol=1e-5)


def test_an_unknown_signature_is_told(exchange, saved_model):
    with pytest.raises(SystemExit, match=r"no signature 'wave', only: .*features"):
        exchange(saved_model, "wave", None, 1)


def test_what_is_no_saved_model_or_no_npz_is_told(exchange, saved_model, tmp_path):
    with pytest.raises(SystemExit, match="is no SavedModel"):
        exchange(tmp_path, "serving_default", None, 1)
    (tmp_path / "rows.npz").write_text("no numbers")
    for name in ("rows.npz", "nowhere.npz"):
        with pytest.raises(SystemExit, match=rf"{name} can't be read"):
            exchange(saved_model, "serving_default", tmp_path / name, 1)


def test_rows_that_do_not_fit_are_told(exchange, saved_model, tmp_path):
    np.savez(tmp_path / "rows.npz", **{f"input/{name}": values for name, values in rows().items()})
    with pytest.raises(SystemExit, match=rf"as voice; those of the .npz are \({SAMPLES},\)"):
        exchange(saved_model, "features", tmp_path / "rows.npz", 1)


def test_no_rows_are_refused(saved_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(saved_model), "--rows", "0"])
    with pytest.raises(SystemExit) as told:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert told.value.code == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_example_writes_a_request_of_zeros_and_prints_the_answer(
    model, saved_model, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(saved_model)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    inputs = json.loads((tmp_path / "request.json").read_text())["inputs"]
    assert inputs == {"voice": [[0.0] * SAMPLES], "face": [[0.0] * 5]}
    zeros = {name: np.zeros((1, *values.shape[1:]), "float32") for name, values in rows().items()}
    expected = model(zeros, training=False)["emotion"].numpy()
    np.testing.assert_allclose(json.loads(capsys.readouterr().out)["outputs"], expected, atol=1e-5)
