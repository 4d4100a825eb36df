"""Recognizer on exported files: what a sidecar says, what is missing, and what is no artifact."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from loud_model import SAMPLES, expected, export, loud_model, square_wave, write_wave

import keras_lmf as klmf
from keras_lmf.errors import LMFError


@pytest.fixture(scope="module")
def exported_mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of voice and words, either of which may be absent; not calibrated."""
    folder = tmp_path_factory.mktemp("mixed")
    return export(loud_model(with_words=True), folder, ("tflite",), presence="derived")


@pytest.fixture(scope="module")
def mixed(exported_mixed: Path) -> klmf.Recognizer:
    return klmf.Recognizer(exported_mixed / "model.tflite")


def copied(source: Path, folder: Path, **facts) -> Path:
    """model.tflite, with a sidecar in which some facts are changed; None leaves a key out."""
    sidecar = json.loads((source / "model.tflite.json").read_text()) | {"seal": ""} | facts
    sidecar = {key: value for key, value in sidecar.items() if value is not None}
    (folder / "model.tflite.json").write_text(json.dumps(sidecar))
    return Path(shutil.copy(source / "model.tflite", folder))


def test_an_absent_modality_is_told(mixed, tmp_path: Path) -> None:
    words = np.array([1.0, 0.5, -1.0])
    said = 1.5 - 1.0 - 0.5
    both = mixed({"voice": square_wave((0.8, 1.0)), "words": words})
    assert both.presence == {"voice": True, "words": True}
    assert both.probabilities["loud"] == pytest.approx(expected(0.64, said, temperature=1), abs=1e-5)
    alone = mixed(write_wave(tmp_path / "a.wav", (0.8, 1.0)))
    assert alone.presence == {"voice": True, "words": False}
    assert alone.probabilities["loud"] == pytest.approx(expected(0.64, 0, temperature=1), abs=1e-5)
    assert "without words" in str(alone)
    for clip in ({"words": 3 * words}, {"words": 3 * words, "voice": np.zeros(2 * SAMPLES)}):
        mute = mixed(clip)
        assert mute.presence == {"voice": False, "words": True}
        assert mute.probabilities["loud"] == pytest.approx(expected(0, 3 * said, temperature=1), abs=1e-5)
    silent = {"voice": np.zeros(SAMPLES)}
    for clip, why in ({"words": 0 * words}, "no sound"), (silent, "silent from beginning"), ({}, "no sound"):
        with pytest.raises(LMFError, match=rf"nothing to judge by: no voice \(.*{why}.*\), no words"):
            mixed(clip)
    with pytest.raises(LMFError, match=r"input 'words': received float64 of shape \(2,\)"):
        mixed({"words": np.ones(2)})


@pytest.mark.parametrize("presence", ["assumed", None])
def test_a_model_that_needs_all_modalities_says_what_is_missing(
    exported_mixed: Path, tmp_path: Path, presence: str | None
) -> None:
    needs_both = klmf.Recognizer(copied(exported_mixed, tmp_path, presence=presence))
    with pytest.raises(LMFError, match="needs words too, features that no media file gives"):
        needs_both(write_wave(tmp_path / "a.wav", (0.8, 1.0)))
    with pytest.raises(LMFError, match="nothing to judge by: no voice"):
        needs_both({"voice": np.zeros(SAMPLES), "words": np.ones(3)})
    answer = needs_both({"voice": square_wave((0.8, 1.0)), "words": np.zeros(3)})
    assert answer.probabilities["loud"] == pytest.approx(expected(0.64, temperature=1), abs=1e-5)


def test_a_tflite_needs_neither_tensorflow_nor_keras(loud_files: Path, tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav", (0.8, 1.0))
    code = (
        "import json, sys, keras_lmf as klmf\n"
        "answer = klmf.Recognizer(sys.argv[1])(sys.argv[2])\n"
        "others = {'keras', 'tensorflow', 'ai_edge_litert.schema_py_generated'} & set(sys.modules)\n"
        "print(json.dumps([answer.probabilities['loud'], sorted(others)]))\n"
    )
    alone = shutil.copy(loud_files / "model.tflite", tmp_path / "alone.tflite")
    done = subprocess.run(
        [sys.executable, "-c", code, alone, tmp_path / "a.wav"],
        capture_output=True,
        text=True,
        check=True,
    )
    loud, frameworks = json.loads(done.stdout)
    assert loud == pytest.approx(expected(0.64), abs=1e-5)
    assert frameworks == []


@pytest.mark.parametrize("file", ["saved_model", "model.tflite"])
def test_of_a_file_no_embedding_can_be_had(loud_files: Path, file: str) -> None:
    recognizer = klmf.Recognizer(loud_files / file)
    for ask in (lambda: recognizer.embed(square_wave((0.5, 1.0))), lambda: recognizer.embedding_width):
        with pytest.raises(LMFError, match=f"{file} gives its answers alone.*need Keras.*entry or the run"):
            ask()


VOICE = {"media": "waveform", "rate": 16000}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"sha256": "0" * 64}, "describes another model.tflite"),
        ({"sha256": None}, "'sha256' is missing"),
        ({"temperature": 0}, r"temperature: .*greater than or equal to 0\.01"),
        ({"presence": "guessed"}, "presence: "),
        ({"target": None}, "does not say what its output means"),
        ({"target": {"name": "emotion", "range": [0, 1]}}, "gives a number for 'emotion'"),
        ({"target": {"name": "mood", "classes": ["a", "b"]}}, "no output 'mood' of 2 classes"),
        ({"target": {"name": "emotion", "classes": ["a", "b", "c"]}}, "no output 'emotion' of 3 classes"),
        ({"inputs": {"voice": {}}}, r"takes features \(voice\).*Zoo entries that take media files: "),
        (
            {"inputs": {"voice": {"media": "frames", "rate": 25}}},
            r"faces have the shape.*received \(16000,\)",
        ),
        ({"inputs": {"voice": {"media": "waveform"}}}, r"input 'voice'.*received \(16000,\) at None"),
        ({"inputs": {"voice": {"media": "waveform", "rate": 0.5}}}, "at 0.5 Hz"),
        (
            {"inputs": {"voice": VOICE, "words": {}}},
            "its inputs are voice, its description says voice, words",
        ),
    ],
)
def test_sidecars_that_do_not_fit(loud_files: Path, tmp_path: Path, facts: dict, message: str) -> None:
    with pytest.raises(LMFError, match=message):
        klmf.Recognizer(copied(loud_files, tmp_path, **facts))


def test_a_file_without_its_sidecar(loud_files: Path, tmp_path: Path) -> None:
    path = copied(loud_files, tmp_path)
    (tmp_path / "model.tflite.json").write_text("[1")
    with pytest.raises(LMFError, match=r"model\.tflite\.json is not plain JSON"):
        klmf.Recognizer(path)
    (tmp_path / "model.tflite.json").write_bytes(b" " * (2**20 + 1))
    with pytest.raises(LMFError, match="larger than 1048576 bytes"):
        klmf.Recognizer(path)
    (tmp_path / "model.tflite.json").unlink()
    clip = square_wave((0.5, 1.0))
    alone = klmf.Recognizer(path.rename(tmp_path / "renamed.tflite"))(clip)
    assert alone.probabilities == klmf.Recognizer(loud_files / "model.tflite")(clip).probabilities
    saved = shutil.copytree(loud_files / "saved_model", tmp_path / "saved_model")
    with pytest.raises(LMFError, match=r"has no sidecar saved_model\.json beside it"):
        klmf.Recognizer(saved)


def test_what_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(LMFError, match="Received a Functional"):
        klmf.Recognizer(loud_model())
    with pytest.raises(LMFError, match=r"saved_model\.pb"):
        klmf.Recognizer(tmp_path)
    with pytest.raises(LMFError, match="no file or folder"):
        klmf.Recognizer("nowhere/model.tflite")
    with pytest.raises(LMFError, match="Unknown zoo entry 'lmf-mosi-atv'"):
        klmf.Recognizer("lmf-mosi-atv")
