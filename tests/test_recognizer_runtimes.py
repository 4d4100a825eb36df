"""What answers for a zoo entry: its .tflite file or its Keras model; and what each needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from face_model import film
from media_files import tone

from keras_lmf.cli import main
from keras_lmf.cli.predict import DEFAULT_MODEL
from keras_lmf.errors import LMFError
from keras_lmf.locate import bundled_folder
from keras_lmf.recognition import Recognizer
from keras_lmf.recognition import opening as models
from keras_lmf.runtime import opening as artifacts
from keras_lmf.zoo import Entry

VOICE, FILE = "ge2e-emodb-voice", "model-float16.tflite"
MANY_FILES = "lmf-iemocap-at"
SHIPPED = ("weights", "testvectors", "tflite", "tflite-float16", "tflite-dynamic")


def noise(seconds: float = 3.0) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(round(seconds * 16000)).astype("float32")


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As if these were not installed."""
    real = artifacts.find_spec
    monkeypatch.setattr(artifacts, "find_spec", lambda name: None if name in packages else real(name))


def test_file_and_keras_model_of_an_entry_agree() -> None:
    file, model = Recognizer(VOICE), Recognizer(VOICE, runtime="keras")
    assert (file.file.name, model.file.name) == (FILE, "model.weights.h5")
    assert file.file.parent == model.file.parent == bundled_folder() / VOICE
    assert file.temperature == model.temperature
    answers = [recognizer(noise()).probabilities for recognizer in (file, model)]
    assert answers[0] == pytest.approx(answers[1], abs=5e-3)


def test_without_litert_keras_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "ai_edge_litert")
    assert Recognizer(VOICE).file.name == "model.weights.h5"


def test_without_both_the_file_is_taken_whose_package_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "ai_edge_litert", "tensorflow", "jax", "torch")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(LMFError, match=r'ai_edge_litert.*pip install "keras-lmf\[litert\]"'):
        Recognizer(VOICE)


@pytest.mark.parametrize(
    ("files", "values", "expected"),
    [
        (SHIPPED, {"tflite": 0.1, "tflite-float16": 0.9}, "tflite"),
        (SHIPPED[:2] + SHIPPED[3:], {"tflite-float16": 0.5, "tflite-dynamic": 0.6}, "tflite-dynamic"),
        (SHIPPED[:2] + SHIPPED[3:], {"tflite-float16": 0.6, "tflite-dynamic": 0.6}, "tflite-float16"),
        (SHIPPED[:2] + SHIPPED[3:], {"tflite-dynamic": 0.6}, "tflite-dynamic"),
        (SHIPPED[:2], {}, None),
    ],
)
def test_float32_is_asked_or_the_nearest_to_keras(files: tuple, values: dict, expected: str | None) -> None:
    entry = Entry.read(bundled_folder() / MANY_FILES)
    changes = {
        "files": {key: entry.files[key] for key in files},
        "costs": {
            key: entry.costs[key].model_copy(update={"agreement": value}) for key, value in values.items()
        },
    }
    assert models._tflite_of(entry.model_copy(update=changes)) == expected


@pytest.mark.long
def test_an_entry_without_a_file_is_asked_with_keras(tmp_path: Path) -> None:
    shutil.copytree(bundled_folder() / VOICE, tmp_path / VOICE)
    entry = Entry.read(tmp_path / VOICE)
    kept = {key: file for key, file in entry.files.items() if not key.startswith("tflite")}
    entry.model_copy(update={"files": kept}).write(tmp_path / VOICE)
    assert Recognizer(tmp_path / VOICE).file.name == "model.weights.h5"
    with pytest.raises(LMFError, match=r"'tflite'. Allowed: keras. 'keras-lmf export"):
        Recognizer(tmp_path / VOICE, runtime="tflite")


def test_enrolment_takes_keras(tmp_path: Path) -> None:
    recognizer = Recognizer(VOICE, enrolment=[noise(9.0)])
    assert recognizer.file.name == "model.weights.h5"
    with pytest.raises(LMFError, match=r"can't be enrolled: only a Keras model"):
        Recognizer(VOICE, runtime="tflite", enrolment=[noise()])
    with pytest.raises(LMFError, match=r"Allowed: tflite. Keras, which enrolment and embeddings need"):
        Recognizer(bundled_folder() / VOICE / FILE, enrolment=[noise()])


@pytest.mark.slow
def test_predict_by_an_entrys_name_starts_neither_tensorflow_nor_keras(tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mkv", 3, sound=tone(3, 16000), rate=16000)
    code = (
        "import sys\nfrom keras_lmf.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "print(*sorted({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)), file=sys.stderr)\n"
    )
    words = [sys.executable, "-c", code, "predict", str(clip)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert clip.name in done.stdout
    assert done.stderr.splitlines()[-1] == ""
    file = next(
        line.removeprefix("Model: ") for line in done.stderr.splitlines() if line.startswith("Model: ")
    )
    assert Path(file).parent == bundled_folder() / DEFAULT_MODEL
    assert Path(file).suffix == ".tflite"


@pytest.mark.parametrize(
    "words",
    [("evaluate", "lmf-synthetic-av"), ("predict", __file__, "--runtime", "keras", "--model", VOICE)],
)
def test_commands_that_need_keras_say_what_to_install(words: tuple[str, ...]) -> None:
    code = "import sys\nsys.modules['tensorflow'] = None\nfrom keras_lmf.cli import main\nmain(sys.argv[1:])"
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 1
    assert 'pip install "keras-lmf[tf]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_says_which_file_answers(tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mkv", 3, sound=tone(3, 16000), rate=16000)
    for word, file in (("tflite", FILE), ("keras", "model.weights.h5")):
        done = CliRunner().invoke(main, ["predict", str(clip), "--model", VOICE, "--runtime", word])
        assert done.exit_code == 0, done.stderr
        assert f"Model: {bundled_folder() / VOICE / file}" in done.stderr.splitlines()
