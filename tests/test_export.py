"""Exported files against Keras, scikit-learn and interpreters in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as oracle
from exporting import exported_here
from small_model import small_model

from keras_lmf.data import Split
from keras_lmf.errors import LMFError
from keras_lmf.export import artifact, export_model, exporter, report
from keras_lmf.runtime import open_artifact
from keras_lmf.target import Target

KINDS = ["mlp", "lstm", "bilstm", "gru", "convolution", "attention"]


REPORTS = {"report.csv", "report.json", "report.md"}
SIDECARS = {"saved_model.json", "model.tflite.json"}


@pytest.fixture(scope="module")
def model():
    """Every backbone kind, each with an output of its own, and "emotion" over all of them."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    audio, video = keras.Input((10, 6), name="audio"), keras.Input((5,), name="video")
    real = layers.Masking()(audio)
    pooled = {
        "mlp": layers.BatchNormalization()(layers.Dense(8, activation="relu")(layers.Flatten()(audio))),
        "lstm": layers.LSTM(8)(real),
        "bilstm": layers.Bidirectional(layers.LSTM(4))(real),
        "gru": layers.GRU(8)(real),
        "convolution": layers.GlobalAveragePooling1D()(layers.Conv1D(8, 3, activation="relu")(audio)),
        "attention": layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 4)(audio, audio)),
    }
    seen = layers.Dropout(0.5)(layers.Dense(8)(video))
    outputs = {
        kind: layers.Dense(3, name=f"{kind}_head")(layers.Multiply()([layers.Dense(8)(value), seen]))
        for kind, value in pooled.items()
    }
    outputs["emotion"] = layers.Dense(3, name="emotion")(layers.Concatenate()(list(outputs.values())))
    return keras.Model({"audio": audio, "video": video}, outputs, name="all_kinds")


@pytest.fixture(scope="module")
def split():
    """60 rows; the lengths of the audio go from 0 to 10 steps, and some start late."""
    generator = np.random.default_rng(5)
    audio = generator.standard_normal((60, 10, 6)).astype("float32")
    mask = np.arange(10) < np.arange(60)[:, None] % 11
    mask[40:] = mask[40:, ::-1]
    audio[~mask] = 0
    return Split(
        name="test",
        inputs={
            "video": generator.standard_normal((60, 5)).astype("float32"),
            "audio": audio,
            "unused": audio[:, 0],
        },
        masks={"audio": mask},
        labels=generator.integers(0, 3, 60),
        groups=np.full(60, "a"),
        ids=np.arange(60).astype(str),
        target=Target(name="emotion", classes=("sad", "calm", "happy")),
    )


@pytest.fixture(scope="module")
def exported(model, split, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    with exported_here():
        return folder, export_model(model, folder, evaluation=split, resamples=20)


@pytest.fixture(scope="module")
def independent(exported, split, tmp_path_factory):
    """Outputs of both files from fresh processes: TensorFlow alone, and ai_edge_litert alone."""
    folder, _ = exported
    scratch = tmp_path_factory.mktemp("independent")
    np.savez(scratch / "x.npz", audio=split.inputs["audio"], video=split.inputs["video"])
    ending = (
        "modules = {m.partition('.')[0] for m in sys.modules}\n"
        "print(*sorted(modules & {'tensorflow', 'ai_edge_litert', 'keras', 'keras_lmf'}))\n"
        "np.savez(sys.argv[3], **y)\n"
    )
    codes = {
        "saved_model": (
            "import sys\n"
            "sys.modules['keras'] = None\n"  # TensorFlow would import it
            "import numpy as np, tensorflow as tf\n"
            "x = {k: tf.constant(v) for k, v in np.load(sys.argv[2]).items()}\n"
            "program = tf.saved_model.load(sys.argv[1])\n"
            "y = {k: v.numpy() for k, v in program.signatures['serving_default'](**x).items()}\n"
        ),
        "model.tflite": (
            "import sys, numpy as np\n"
            "from ai_edge_litert.interpreter import Interpreter\n"
            "x = dict(np.load(sys.argv[2]))\n"
            "run = Interpreter(sys.argv[1]).get_signature_runner('serving_default')\n"
            "rows = [run(**{k: v[i:i + 1] for k, v in x.items()}) for i in range(len(x['video']))]\n"
            "y = {k: np.concatenate([row[k] for row in rows]) for k in rows[0]}\n"
        ),
    }
    results = {}
    for file, code in codes.items():
        command = [sys.executable, "-c", code + ending, folder / file, scratch / "x.npz", scratch / "y.npz"]
        process = subprocess.run(command, capture_output=True, text=True)
        assert process.returncode == 0, process.stderr
        results[file] = process.stdout.split(), dict(np.load(scratch / "y.npz"))
    return results


@pytest.mark.slow
@pytest.mark.parametrize("file", ["saved_model", "model.tflite"])
@pytest.mark.parametrize("kind", [*KINDS, "emotion"])
def test_file_agrees_with_keras(model, split, independent, file, kind):
    expected = model({k: split.inputs[k] for k in ("audio", "video")}, training=False)[kind].numpy()
    assert np.ptp(expected) > 0.1  # the comparison says something
    difference = np.abs(independent[file][1][kind] - expected)
    assert (difference <= 1e-5 * np.maximum(1, np.abs(expected))).all()


def test_files_need_their_own_framework_only(independent):
    assert "keras_lmf" not in independent["saved_model"][0]
    assert "ai_edge_litert" not in independent["saved_model"][0]
    assert independent["model.tflite"][0] == ["ai_edge_litert"]


def test_names_survive(model, exported):
    for part in exported[1]:
        runtime = open_artifact(part.path)
        assert set(runtime.inputs) == {"audio", "video"}
        assert set(runtime.outputs) == {*KINDS, "emotion"}


@pytest.mark.parametrize("index", [0, 1])
def test_metrics_are_those_of_the_written_bytes(exported, independent, split, index):
    part = exported[1][index]
    predicted = independent[part.path.name][1]["emotion"].argmax(axis=1)
    expected = {
        "war": oracle.accuracy_score(split.labels, predicted),
        "uar": oracle.balanced_accuracy_score(split.labels, predicted),
        "f1_macro": oracle.f1_score(split.labels, predicted, average="macro"),
        "f1_weighted": oracle.f1_score(split.labels, predicted, average="weighted"),
        "cohen_kappa": oracle.cohen_kappa_score(split.labels, predicted),
    }
    assert {name: part.metrics[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert (part.table["low"] <= part.table["high"]).any()


def test_bytes_and_differences(model, exported, independent, split):
    folder, artifacts = exported
    expected = model.predict({k: split.inputs[k] for k in ("audio", "video")}, verbose=0)
    for part in artifacts:
        files = [part.path] if part.path.is_file() else [p for p in part.path.rglob("*") if p.is_file()]
        assert part.bytes == sum(len(path.read_bytes()) for path in files)
        other = independent[part.path.name][1]
        differences = np.concatenate([np.abs(other[k] - expected[k]).ravel() for k in expected])
        assert part.difference_max == pytest.approx(differences.max(), abs=1e-6)
        assert part.difference_mean == pytest.approx(differences.mean(), abs=1e-6)
    names = {"saved_model", "model.tflite", "report.png", *SIDECARS, *REPORTS}
    assert {path.name for path in folder.iterdir()} == names


def test_report(exported):
    folder, artifacts = exported
    table = report(artifacts)
    assert table["file"].tolist() == ["saved_model", "model.tflite"]
    assert list(table)[:3] == ["file", "format", "bytes"]
    assert table["uar"].tolist() == [part.metrics["uar"] for part in artifacts]
    written = pd.read_csv(folder / "report.csv")
    pd.testing.assert_frame_equal(written[list(table)], table)
    assert written["uar_low"].tolist() == [part.table.loc["uar", "low"] for part in artifacts]
    records = json.loads((folder / "report.json").read_text())
    assert records[1]["bytes"] == (folder / "model.tflite").stat().st_size
    value = {key: artifacts[0].table.loc["war", key] for key in ("value", "low", "high")}
    assert records[0]["metrics"]["war"] == value | {"floor": None}
    assert records[1]["latency_ms"]["p50"] == artifacts[1].latency.p50
    text = (folder / "report.md").read_text()
    low, high = artifacts[1].table.loc["war", ["low", "high"]]
    assert f"{artifacts[1].metrics['war']:.3f} [{low:.3f}, {high:.3f}]" in text
    assert "report.png" in text
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG")


def write_other_model(source, path):
    """A writer that is off by 1 % of the last layer's kernel."""
    other = keras.models.clone_model(source.model)
    other.set_weights([1.01 * weight for weight in source.model.get_weights()])
    other.export(path, format="tf_saved_model", verbose=False)


def write_nan(source, path):
    other = keras.models.clone_model(source.model)
    other.set_weights([np.nan * weight for weight in source.model.get_weights()])
    other.export(path, format="tf_saved_model", verbose=False)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_other_model, r"saved_model file of model 'small' differs.*output 'y'.*allowed 1e-05"),
        (write_nan, "saved_model file of model 'small' answers with NaN or infinity: output 'y', row 0"),
    ],
)
def test_guards_keep_the_file_that_was_there(exported_in_process, monkeypatch, tmp_path, write, message):
    model = small_model()
    export_model(model, tmp_path, ["saved_model"])
    before = (tmp_path / "saved_model" / "saved_model.pb").read_bytes()
    monkeypatch.setitem(exporter.FORMATS, "saved_model", exporter.Format("saved_model", write, 256, True))
    with pytest.raises(LMFError, match=message):
        export_model(model, tmp_path, ["saved_model"])
    assert {path.name for path in tmp_path.iterdir()} == {"saved_model", "saved_model.json"}
    assert (tmp_path / "saved_model" / "saved_model.pb").read_bytes() == before


def test_tolerance_is_the_callers(exported_in_process, monkeypatch, tmp_path):
    monkeypatch.setitem(
        exporter.FORMATS, "saved_model", exporter.Format("saved_model", write_other_model, 256, True)
    )
    (part,) = export_model(small_model(), tmp_path, ["saved_model"], tolerance=0.1)
    assert 1e-4 < part.difference_max < 0.5
    assert part.metrics == {}
    assert part.table is None
    assert part.agreement is None
    assert not (tmp_path / "report.png").exists()


def test_saved_model_is_replaced_by_a_newer_one(exported_in_process, tmp_path):
    model = small_model()
    export_model(model, tmp_path, ["saved_model"])
    model.set_weights([weight + 1 for weight in model.get_weights()])
    export_model(model, tmp_path, ["saved_model"])
    x = {name: np.eye(3, dtype="float32") for name in ("x", "w")}
    kernel, bias = model.get_layer("y").get_weights()
    np.testing.assert_allclose(
        open_artifact(tmp_path / "saved_model").predict(x)["y"], kernel + bias, rtol=1e-5
    )
    assert {path.name for path in tmp_path.iterdir()} == {"saved_model", "saved_model.json", *REPORTS}


def test_folder_of_something_else_is_not_replaced(exported_in_process, tmp_path):
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "thesis.txt").write_text("mine")
    with pytest.raises(LMFError, match="is no SavedModel"):
        export_model(small_model(), tmp_path, ["saved_model"])
    assert (tmp_path / "saved_model" / "thesis.txt").read_text() == "mine"


def test_split_that_does_not_fit(tmp_path, split):
    with pytest.raises(LMFError, match=r"Unknown modality of split 'test' 'x'\."):
        export_model(small_model(), tmp_path, evaluation=split)
    ends = {"video": keras.Input((5,), name="video")}
    other = keras.Model(ends, {"emotio": keras.layers.Dense(3, name="emotio")(ends["video"])})
    with pytest.raises(LMFError, match=r"'emotion'\. Did you mean 'emotio'"):
        export_model(other, tmp_path, evaluation=split)
    assert list(tmp_path.iterdir()) == []


def test_report_of_nothing():
    assert artifact.report([]).empty
