"""The command line as a user meets it: exit codes, one-line errors, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import command
from other_backend import OTHER_BACKENDS, environment
from sklearn.metrics import accuracy_score

import keras_lmf as klmf
from keras_lmf.data import corpora

RECIPE = """
name = "small"
[corpus]
name = "synthetic"
[corpus.options]
samples = 400
[target]
name = "emotion"
classes = ["calm", "excited"]
[inputs.audio]
shape = [8]
backbone = { name = "mlp", units = [8] }
[inputs.video]
shape = [8]
backbone = { name = "mlp", units = [8] }
[fusion]
name = "low_rank"
units = 8
rank = 2
[training]
loss = "cross_entropy"
epochs = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, trained into `run`."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "small.toml").write_text(RECIPE, encoding="utf-8")
    trained = command("train", "small.toml", "--folder", "run", "--json", folder=folder)
    assert trained.exit_code == 0, trained.stderr
    assert json.loads(trained.stdout)["folder"] == "run"
    return folder


@pytest.mark.slow
def test_export_judges_the_written_file(folder: Path) -> None:
    exported = command("export", "run", "--formats", "tflite", "--json", folder=folder)
    assert exported.exit_code == 0, exported.stderr
    row = json.loads(exported.stdout)[0]
    path = folder / "run" / "exported" / "model.tflite"
    assert row["bytes"] == path.stat().st_size

    # An interpreter of our own on the bytes, scikit-learn on its answers.
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(path)).get_signature_runner()
    test = corpora.load("synthetic", samples=400)["test"]
    logits = np.concatenate(
        [
            runner(**{name: values[i : i + 1] for name, values in test.inputs.items()})["emotion"]
            for i in range(len(test))
        ]
    )
    assert row["war"] == pytest.approx(accuracy_score(test.labels, logits.argmax(axis=1)), abs=1e-12)

    judged = command("evaluate", "run", "--artifact", path, "--resamples", 0, "--json", folder=folder)
    assert json.loads(judged.stdout)["war"]["value"] == pytest.approx(row["war"], abs=1e-12)


def test_explain_says_which_modalities_carry_the_answers(folder: Path) -> None:
    told = command("explain", "run", "--split", "valid", "--json", folder=folder)
    assert told.exit_code == 0, told.stderr
    facts = json.loads(told.stdout)
    assert facts["linear"]
    rows = facts["interactions"]
    assert {row["subset"] for row in rows} == {"constant", "audio", "video", "audio × video"}
    for answer in {row["answer"] for row in rows}:
        shares = [row["share"] for row in rows if row["answer"] == answer and row["subset"] != "constant"]
        assert sum(shares) == pytest.approx(1)
    counts = {row["answer"]: row["rows"] for row in rows}
    assert sum(counts.values()) == len(corpora.load("synthetic", samples=400)["valid"])
    written = folder / "run" / "explained-valid"
    assert len((written / "interactions.csv").read_text(encoding="utf-8").splitlines()) == 1 + len(rows)
    assert (written / "interactions.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["trian", "small.toml"], 2, "Did you mean 'train'?"),
        (["train", "missing.toml"], 1, "no file or folder 'missing.toml'"),
        (["train", "typo.toml"], 1, "Did you mean 'rank'?"),
        (["train", "small.toml", "--data", "missing.npz"], 1, "missing.npz"),
        (["train", "small.toml", "--data", "broken.npz"], 1, "broken.npz"),
        (["evaluate", "nowhere"], 1, "Unknown zoo entry 'nowhere'"),
        (["evaluate", "run", "--split", "tset"], 2, "'test'"),
        (["export", "run", "--formats", "tflit"], 1, "Did you mean 'tflite'?"),
        (["evaluate", "run", "--artifact", "broken.tflite"], 1, "broken.tflite"),
    ],
)
def test_mistakes_are_one_line(folder: Path, words: list[str], code: int, message: str) -> None:
    (folder / "typo.toml").write_text(RECIPE.replace("rank = 2", "rnak = 2"), encoding="utf-8")
    (folder / "broken.npz").write_bytes(b"PK\x03\x04 not really")
    (folder / "broken.tflite").write_bytes(b"\x00" * 64)
    result = command(*words, folder=folder)
    assert result.exit_code == code, result.stderr
    assert message in result.stderr
    assert isinstance(result.exception, SystemExit)


@pytest.mark.long
@pytest.mark.parametrize("backend", OTHER_BACKENDS)
def test_export_on_another_backend_writes_the_file(folder: Path, backend: str) -> None:
    words = ["export", "run", "--formats", "tflite", "--folder", f"from-{backend}", "--json"]
    result = subprocess.run(
        [sys.executable, "-m", "keras_lmf", *words],
        cwd=folder,
        env=environment(backend),
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert result.returncode == 0, result.stderr
    from ai_edge_litert.interpreter import Interpreter

    file = folder / f"from-{backend}" / "model.tflite"
    runner = Interpreter(model_path=str(file)).get_signature_runner()
    test = corpora.load("synthetic", samples=400)["test"]
    here = klmf.load(folder / "run").predict_on_batch(test.inputs)["emotion"]  # on TensorFlow
    for row, expected in enumerate(here):
        found = runner(**{name: values[row : row + 1] for name, values in test.inputs.items()})["emotion"]
        np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-5)
    accuracy = accuracy_score(test.labels, here.argmax(axis=1))
    assert json.loads(result.stdout)[0]["war"] == pytest.approx(accuracy, abs=1e-12)
