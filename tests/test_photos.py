"""Photos: one picture, upright, without time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from face_model import BOX, PICTURE, SHAPES, SIZE, SOURCES, Model, brightness, frame, logits
from PIL import ExifTags, Image
from scipy.special import softmax

from keras_lmf import recognition
from keras_lmf.cli import main
from keras_lmf.data import decode
from keras_lmf.errors import LMFError

pytest.importorskip("cv2", reason="needs the extra face")

CLOSE = 0.012  # three levels of 255, by which lossy pictures differ
NUMBER = 50
# How a camera stores what is upright, and the tag by which it says so.
STORED = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def photo(path: Path, pixels: np.ndarray, orientation: int = 1) -> Path:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    picture = Image.fromarray(pixels)
    turn = STORED[orientation]
    (picture if turn is None else picture.transpose(turn)).save(path, exif=tags, quality=95)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_photo_is_judged_upright_and_takes_no_time(tmp_path: Path, suffix: str, orientation: int):
    """The detector looks at the upper left corner of an upright picture."""
    clip = photo(tmp_path / f"a.{suffix}", frame(NUMBER), orientation)
    level = brightness(NUMBER) / 255
    for settings, frames in ((PICTURE, 1), ({}, 6)):
        model = Model(**settings)
        answer = model.recognizer(smoothing=5.0)(clip)
        # Of several pictures that the model takes, the first; the others are absent.
        pictures = np.zeros((1, frames, SIZE, SIZE, 1))
        pictures[:, 0] = level
        inputs = {"face": pictures} | ({} if settings else {"voice": np.zeros((1, 9))})
        expected = softmax(logits(inputs), axis=1)[0]
        np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=CLOSE)
        assert answer.presence == {name: name == "face" for name in answer.presence}
        assert answer.timeline.empty
        assert answer.to_dict()["timeline"] == []
        assert answer.faces[["x", "y", "width", "height"]].to_numpy().tolist() == [list(BOX)]
        if not settings:
            assert answer.shares["face"] == pytest.approx(1)
            assert sum(each["high"] for each in answer.contributions.values()) == pytest.approx(
                (logits(inputs) - logits(inputs).mean())[0, 2], abs=0.05
            )


def test_what_needs_time_is_refused_and_the_picture_is_drawn_on(tmp_path: Path):
    clip = photo(tmp_path / "a.png", frame(NUMBER))
    answer = Model().recognizer()(clip)
    with pytest.raises(LMFError, match=r"a\.png: a photo takes no time"):
        answer.figure()
    drawn = decode(answer.annotate(tmp_path / "a.mp4")).frames
    assert np.abs(drawn[0].astype(int) - frame(NUMBER)).max() > 50


def test_a_model_of_sound_refuses_a_photo(tmp_path: Path):
    clip = photo(tmp_path / "a.jpg", frame(NUMBER))
    heard = Model(shapes={"voice": SHAPES["voice"]}, sources={"voice": SOURCES["voice"]})
    with pytest.raises(LMFError, match=r"a\.jpg: a picture, and nothing but sound"):
        heard.recognizer()(clip)
    both = Model(presence="assumed")
    with pytest.raises(LMFError, match="no voice"):
        both.recognizer()(clip)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_photo_that_was_cut_off_is_an_error(tmp_path: Path, suffix: str):
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    content = photo(tmp_path / f"a.{suffix}", noise).read_bytes()
    (tmp_path / f"cut.{suffix}").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(LMFError, match=rf"cut\.{suffix}: "):
        Model(**PICTURE).recognizer(face_detector="none")(tmp_path / f"cut.{suffix}")


def test_all_faces_of_a_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """From left to right, however the detector orders them."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[10:40, 2:30], pixels[10:40, 34:62] = 60, 210
    clip = photo(tmp_path / "two.jpg", pixels)
    recognizer = Model(**PICTURE).recognizer(
        face_detector=lambda _: [(38.0, 14.0, 20.0, 20.0), (6.0, 14.0, 20.0, 20.0)]
    )
    left, right = recognizer.faces(clip)
    assert (left.face, right.face) == (1, 2)
    for answer, level in ((left, 60), (right, 210)):
        expected = softmax(logits({"face": np.full((1, SIZE, SIZE, 1), level / 255)}), axis=1)[0]
        np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=CLOSE)
        assert answer.timeline.empty
    monkeypatch.setattr(recognition, "Recognizer", lambda *_, **__: recognizer)
    done = CliRunner().invoke(main, ["predict", str(clip), "--faces", "all", "--json"])
    assert [row["face"] for row in json.loads(done.stdout)] == [1, 2]
    assert "without the voice" not in done.stderr, "the model hears none"
