"""Pictures that hold a face and nothing else: the whole picture is the face, where one says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from face_model import FACE_ONLY, PICTURE, SIZE, Model
from media_files import write
from PIL import Image

from keras_lmf import recognition
from keras_lmf.cli import main
from keras_lmf.errors import LMFError
from keras_lmf.media import faces


@pytest.fixture
def crop(tmp_path: Path) -> Path:
    """48 × 48 pixels, brighter from left to right."""
    pixels = np.tile(np.linspace(20, 250, 48).astype(np.uint8), (48, 1))
    Image.fromarray(pixels).save(tmp_path / "crop.png")
    return tmp_path / "crop.png"


def test_the_picture_is_the_face(crop: Path) -> None:
    with pytest.raises(LMFError, match=r"no face .*face_detector none"):
        Model(**PICTURE).recognizer(face_detector="haar")(crop)
    model = Model(**PICTURE)
    answer = model.recognizer(face_detector="none")(crop)
    seen = model.seen[0]["face"]
    assert seen.shape == (1, SIZE, SIZE, 1)
    np.testing.assert_allclose(
        seen[0, 3, :, 0], np.linspace(20, 250, 48).reshape(SIZE, -1).mean(axis=1) / 255, atol=0.01
    )
    assert answer.faces[["x", "y", "width", "height"]].to_numpy().tolist() == [[0, 0, 48, 48]]


def test_a_film_is_a_face_from_its_first_frame_on(tmp_path: Path) -> None:
    film = write(
        tmp_path / "film.mp4", frames=[np.full((48, 64, 3), 40 + 4 * n, np.uint8) for n in range(50)]
    )
    model = Model(**FACE_ONLY)
    answer = model.recognizer(face_detector="none")(film)
    assert answer.faces["x"].notna().all()
    seen = model.seen[0]["face"].mean(axis=(2, 3, 4))[0]
    np.testing.assert_allclose(seen[:4], (40 + 4 * np.array([0, 12, 25, 37])) / 255, atol=0.02)
    assert faces.track(np.full((1, 9, 9, 3), 7, np.uint8), [0.0], "none").present.tolist() == [True]


def test_on_the_command_line(crop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        recognition,
        "Recognizer",
        lambda *_, **given: Model(**PICTURE).recognizer(face_detector=given["face_detector"]),
    )
    words = ["predict", str(crop), "--json"]
    assert "face_detector none" in CliRunner().invoke(main, words).stdout
    done = CliRunner().invoke(main, [*words, "--face-detector", "none"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)[0]["presence"] == {"face": True}
