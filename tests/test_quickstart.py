"""The quickstart's first act: clips to an answer by voice and face, held against the written file run by hand."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from matplotlib.image import imread

from keras_lmf.errors import LMFError
from keras_lmf.quickstart import Answer, quickstart, voice_and_face

pytestmark = pytest.mark.long

EMOTIONS = {"angry", "happy", "neutral", "sad", "surprised"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer, str]:
    """The folder, the answer, and all that was said."""
    folder = tmp_path_factory.mktemp("quickstart")
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_LMF_HOME", str(folder / "home"))
        answer = voice_and_face(folder, said.append)
    return folder, answer, "\n".join(said)


def sound(path: Path) -> np.ndarray:
    """The clip's samples, as FFmpeg decodes them."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(frames, axis=1)[0]


def of_voices(model: Path, windows: np.ndarray) -> np.ndarray:
    """What the file answers to the voice in each window, where no face is seen."""
    runner = Interpreter(model_path=str(model)).get_signature_runner("serving_default")
    unseen = np.zeros((1, 4, 48, 48, 1), np.float32)
    return np.concatenate([runner(voice=window[None], face=unseen)["emotion"] for window in windows])


def first_second(path: Path) -> np.ndarray:
    return np.pad(sound(path), (0, 16000))[:16000].astype(np.float32)


def test_the_file_names_emotions_of_speakers_it_never_heard(told) -> None:
    folder, answer, _ = told
    rows = list(csv.DictReader((folder / "clips" / "labels.csv").open(encoding="utf-8")))
    tested = next(row["speaker"] for row in rows if row["file"] == answer.clip.name)
    rows = [row for row in rows if row["speaker"] == tested]
    labels = json.loads(answer.model.with_name("model.tflite.json").read_text())["labels"]
    windows = np.stack([first_second(folder / "clips" / row["file"]) for row in rows])
    named = [labels[i] for i in of_voices(answer.model, windows).argmax(axis=1)]
    assert set(labels) == EMOTIONS
    # One in five by chance. Ten clips: 6 or more by chance happen less than once in a hundred times.
    assert sum(name == row["label"] for name, row in zip(named, rows)) >= 6


def test_every_written_file_is_measured_clearly_above_the_floor(told) -> None:
    folder, _, said = told
    records = json.loads((folder / "exported" / "voice-face" / "report.json").read_text())
    assert len(records) == 4
    for record in records:
        assert record["metrics"]["war"]["floor"] == pytest.approx(0.2)
        assert record["metrics"]["war"]["value"] > 0.6
        assert record["file"] in said


def test_the_voice_s_answer_is_what_the_file_says_window_by_window(told) -> None:
    _, answer, said = told
    sidecar = json.loads(answer.model.with_name("model.tflite.json").read_text())
    waveform = np.pad(sound(answer.clip), (0, 16000)).astype(np.float32)
    rows = answer.prediction.timeline
    starts = (rows["start"] * 16000).round().astype(int)
    assert len(starts) > 1
    assert np.allclose(np.diff(starts), 8000)
    windows = np.stack([waveform[start : start + 16000] for start in starts])
    # Thirty validation clips are too few for a temperature of the voice alone.
    powers = np.exp(of_voices(answer.model, windows) / sidecar["temperature"])
    expected = np.average(
        powers / powers.sum(axis=1, keepdims=True), axis=0, weights=rows["end"] - rows["start"]
    )
    alone = answer.prediction.by_modality["voice"]
    np.testing.assert_allclose([alone[label] for label in sidecar["labels"]], expected, atol=1e-3)
    assert f"{answer.clip}: {answer.prediction.emotion}" in said


def test_the_face_is_seen_and_counts(told) -> None:
    _, answer, _ = told
    sidecar = json.loads(answer.model.with_name("model.tflite.json").read_text())
    assert sidecar["inputs"]["face"]["detector"] == "yunet"  # by which `Recognizer` finds faces, too
    assert answer.prediction.presence == {"voice": True, "face": True}
    assert answer.prediction.shares["face"] > 0.02


def test_the_picture_shows_the_clip(told) -> None:
    _, answer, said = told
    assert str(answer.picture) in said
    pixels = imread(answer.picture)
    assert min(pixels.shape[:2]) > 300
    assert pixels.std() > 0.05  # not blank


def test_a_second_call_goes_on_from_what_is_there(told, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, answer, _ = told
    monkeypatch.setenv("KERAS_LMF_HOME", str(folder / "home"))
    kept = [*(folder / "clips").iterdir(), folder / "runs" / "voice-face" / "state.npz"]
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert voice_and_face(folder, lambda said: None).prediction.emotion == answer.prediction.emotion
    assert {path: path.stat().st_mtime_ns for path in kept} == before


@pytest.mark.parametrize(
    ("module", "extra"),
    [("av", "media"), ("cv2", "face"), ("ai_edge_litert", "export"), ("litert_quantizer", "export")],
)
def test_a_missing_extra_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LMFError, match=rf'pip install "keras-lmf\[{extra}\]"'):
        quickstart(tmp_path / "story", print)
    assert not (tmp_path / "story").exists()
