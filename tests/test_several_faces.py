"""Several faces: their numbers through a film, and what is answered about each."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from face_model import FACE_ONLY, FRAMES, RATE, SIZE, SOURCES, Model, logits
from media_files import tone, write
from scipy.special import softmax

from keras_lmf import recognition
from keras_lmf.cli import main
from keras_lmf.data.corpora.synthetic_clips import face, performance
from keras_lmf.errors import LMFError
from keras_lmf.media.faces import FaceTracker, MultiFaceTracker

pytest.importorskip("cv2", reason="needs the extra face")

STEP = 0.1
LEFT, RIGHT = (4.0, 8.0, 24.0, 24.0), (36.0, 8.0, 24.0, 24.0)
FPS, SECONDS = 10, 6
CLOSE = 0.008  # two levels of 255


def follow(*answers: list[tuple[float, ...]], **settings) -> list[np.ndarray]:
    """By number, the first number of each box, NaN without one, in frames of noise that looks alike all the time."""
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    given = iter(answers)
    tracker = MultiFaceTracker(
        lambda pixels: np.array(next(given), float), **{"interval": 0, "smoothing": 0, **settings}
    )
    faces = tracker(np.repeat(frame[None], len(answers), 0), STEP * np.arange(len(answers)))
    return [each.boxes[:, 0] for each in faces]


def test_faces_are_numbered_by_appearance_then_from_left_to_right():
    middle = (20.0, 30.0, 8.0, 8.0)
    found = follow([RIGHT, LEFT], [RIGHT, LEFT], [middle, RIGHT, LEFT], [LEFT, RIGHT, middle])
    np.testing.assert_array_equal(
        found, [[np.nan, 4, 4, 4], [np.nan, 36, 36, 36], [np.nan, np.nan, np.nan, 20]]
    )


def test_each_face_takes_the_detection_that_overlaps_most_with_its_own():
    """Two neighbours move to the right, so that each overlaps with both; nobody's detection is taken twice."""
    apart = 10.0
    answers = [[(x, 8.0, 24.0, 24.0), (x + apart, 8.0, 24.0, 24.0)] for x in (0.0, 0.0, 3.0, 6.0)]
    one, other = follow(*answers)
    np.testing.assert_array_equal(one[1:], [0, 3, 6])
    np.testing.assert_array_equal(other[1:], [10, 13, 16])


def test_a_lost_face_keeps_its_number_for_a_while():
    gone = [[LEFT]] * 9
    both = [[LEFT, RIGHT]] * 3
    left, right = follow(*both, *gone, *both, hold=0.2)
    assert not np.isnan(left[1:]).any()
    # Last found at 0.2 s, held to 0.4 s; found again from 1.2 s on, and sure in the frame after.
    there = np.isin(np.arange(15), [1, 2, 3, 4, 13, 14])
    np.testing.assert_array_equal(~np.isnan(right), there)
    assert len(follow(*both, *gone, *both, hold=0.2, memory=0.5)) == 3
    moved = [[LEFT, (36.0, 32.0, 16.0, 16.0)]] * 3
    assert len(follow(*both, *gone, *moved, hold=0.2)) == 3


def test_no_more_than_eight():
    many = [(6.0 * number, 8.0, 5.0, 5.0) for number in range(10)]
    with pytest.warns(UserWarning, match="More than 8 faces"):
        assert len(follow(many, many, many)) == 8


def test_one_face_is_followed_as_faces_tracker_does():
    """With misses, a cut, an interval and smoothing."""
    random = np.random.default_rng(1)
    frames = np.repeat(random.integers(0, 256, (2, 48, 64, 3), np.uint8), 20, axis=0)
    boxes = [
        [tuple(np.add(LEFT, random.uniform(-2, 2, 4)))] if random.random() > 0.3 else [] for _ in range(40)
    ]
    both = []
    for kind in (FaceTracker, MultiFaceTracker):
        given = iter(boxes)
        tracker = kind(lambda pixels, given=given: np.array(next(given), float), hold=9.0, interval=0.25)
        faces = tracker(frames, STEP * np.arange(40))
        both.append(faces if kind is FaceTracker else faces[0])
    single, several = both
    assert 10 < single.present.sum() < 40
    for name in ("boxes", "crops", "present"):
        np.testing.assert_array_equal(getattr(single, name), getattr(several, name), err_msg=name)


def frame(number: int, left: int | None, right: int | None) -> np.ndarray:
    """(48, 64, 3): squares of these levels that sway, larger than their boxes; a white corner for each tells the
    detector of it, a grey one how far it swayed."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    for box, level, corner in ((LEFT, left, 0), (RIGHT, right, 56)):
        if level is not None:
            x, y, width, height = map(int, box)
            pixels[y : y + height, x + number % 3 - 3 : x + number % 3 + width + 3] = level
            pixels[:4, corner : corner + 4] = 255
            pixels[40:44, corner : corner + 4] = 85 * (number % 3)
    return pixels


def detector(pixels: np.ndarray) -> list[tuple[float, ...]]:
    sway = [round(pixels[40:44, at : at + 4].mean() / 85) for at in (0, 56)]
    return [
        tuple(np.add(box, [sway[at > 0], 0, 0, 0]))
        for box, at in ((RIGHT, 56), (LEFT, 0))
        if pixels[:4, at : at + 4].mean() > 127
    ]


def film(path: Path, levels: Callable[[int], tuple[int | None, int | None]], **settings) -> Path:
    frames = [frame(number, *levels(number)) for number in range(FPS * SECONDS)]
    return write(
        path, frames=frames, frame_rate=FPS, picture_codec="ffv1", sound_codec="pcm_s16le", **settings
    )


def two(number: int) -> tuple[int | None, int | None]:
    """A dark face from the beginning; a bright one from 0.5 s on, which is away from 2 to 2.7 s and from 4 s on."""
    bright = 5 <= number < 20 or 27 <= number < 40
    return (230 if bright else None), 40


@pytest.mark.parametrize("heard", [False, True])
def test_each_face_has_a_row_that_is_judged_by_its_own_pictures(tmp_path: Path, heard: bool):
    sound = {"sound": tone(SECONDS, RATE), "rate": RATE} if heard else {}
    model = Model()
    recognizer, clip = (
        model.recognizer(face_detector=detector, hop=1.5),
        film(tmp_path / "a.mkv", two, **sound),
    )
    assert recognizer(clip).presence == {"voice": heard, "face": True}
    dark, bright = recognizer.faces(clip)
    assert (dark.face, bright.face) == (1, 2), "by first appearance"
    for answer in (dark, bright):
        assert answer.presence == {"voice": False, "face": True}
        assert answer.file == clip
    assert dark.timeline["start"].tolist() == bright.timeline["start"].tolist() == [0, 1.5, 3]
    # Pictures of half a second each; a face counts from its second frame on.
    away = {"dark": [], "bright": [0, 4, 8, 9, 10, 11]}
    for answer, level, gone in ((dark, 40, away["dark"]), (bright, 230, away["bright"])):
        shown = np.full(12, level / 255)
        shown[gone] = 0
        faces = np.stack([shown[start : start + FRAMES] for start in (0, 3, 6)])
        pictures = np.repeat(faces, SIZE * SIZE, axis=1).reshape(3, FRAMES, SIZE, SIZE, 1)
        expected = softmax(logits({"voice": np.zeros((3, 9)), "face": pictures}), axis=1)
        np.testing.assert_allclose(answer.timeline[["low", "middle", "high"]], expected, atol=CLOSE)
        np.testing.assert_allclose(list(answer.probabilities.values()), expected.mean(axis=0), atol=CLOSE)
    assert set(dark.faces["x"].dropna().round()) <= {36, 37, 38}
    assert set(bright.faces["x"].dropna().round()) <= {4, 5, 6}


def drawn(number: int) -> np.ndarray:
    """(30, 128, 128, 3): three seconds of a speaker."""
    acted = performance.draw_performance(0, number, performance.draw_speaker(0, number), "neutral", 3.0)
    return np.concatenate([*face.frames(acted, 30, FPS, (128, 128))])


def test_two_drawn_faces_of_which_one_is_away_for_a_second():
    """Found by the default detector, side by side in one picture."""
    frames = np.concatenate([drawn(0), drawn(1)], axis=2)
    frames[10:20, :, 128:] = 200
    faces = MultiFaceTracker(interval=0.3)(frames, STEP * np.arange(len(frames)))
    assert len(faces) == 2
    left, right = faces
    assert (
        np.nanmax(left.boxes[:, 0] + left.boxes[:, 2] / 2)
        < 128
        < np.nanmin(right.boxes[:, 0] + right.boxes[:, 2] / 2)
    )
    assert left.present[2:].mean() > 0.8
    assert right.present[2:10].mean() > 0.8
    assert not right.present[11:20].any()
    assert right.present[23:].mean() > 0.8


def test_windows_without_a_face_are_not_among_its_own(tmp_path: Path):
    clip = film(tmp_path / "a.mkv", lambda number: (90 if number < 20 else None, 40))
    recognizer = Model(**FACE_ONLY).recognizer(face_detector=detector, hop=3)
    left, right = recognizer.faces(clip)
    assert left.timeline[["start", "end"]].to_numpy().tolist() == [[0, 3]]
    assert right.timeline[["start", "end"]].to_numpy().tolist() == [[0, 3], [3, 6]]
    assert str(left).startswith(f"{clip}, face 1: ")


def test_what_is_found_in_one_frame_of_a_film_alone_is_no_face(tmp_path: Path):
    clip = film(tmp_path / "a.mkv", lambda number: (90 if number == 20 else None, 40))
    (answer,) = Model(**FACE_ONLY).recognizer(face_detector=detector, hop=3).faces(clip)
    assert answer.faces["x"].min() > 30, "the one on the right"


def test_what_has_no_faces_is_an_error(tmp_path: Path):
    clip = film(tmp_path / "a.mkv", lambda number: (None, None))
    voice = write(tmp_path / "a.wav", sound=tone(1, RATE), rate=RATE, sound_codec="pcm_s16le")
    with pytest.raises(LMFError, match="no face"):
        Model().recognizer(face_detector=detector).faces(clip)
    with pytest.raises(LMFError, match="no picture"):
        Model().recognizer(face_detector=detector).faces(voice)
    with pytest.raises(LMFError, match="needs voice too"):
        Model(presence="assumed").recognizer().faces(clip)
    heard = {"shapes": {"voice": (RATE,)}, "sources": {"voice": SOURCES["voice"]}}
    with pytest.raises(LMFError, match="takes no face"):
        Model(**heard).recognizer().faces(clip)


def test_the_command_gives_a_row_for_each_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    film(tmp_path / "a.mkv", two)
    film(tmp_path / "b.mkv", lambda number: (120, None))
    (tmp_path / "c.mkv").write_text("no film")
    recognizer = Model().recognizer(face_detector=detector)
    monkeypatch.setattr(recognition, "Recognizer", lambda *_, **__: recognizer)
    table = tmp_path / "a.csv"
    words = ["predict", str(tmp_path), "--faces", "all", "--csv", str(table)]
    done = CliRunner().invoke(main, [*words, "--json"])
    assert done.exit_code == 1
    assert "without the voice" in done.stderr
    told = json.loads(done.stdout)
    assert [(Path(row["file"]).name, row.get("face")) for row in told] == [
        ("a.mkv", 1),
        ("a.mkv", 2),
        ("b.mkv", 1),
        ("c.mkv", None),
    ]
    assert len(told[0]["timeline"]) == 3
    rows = list(csv.DictReader(table.open()))
    assert [(Path(row["file"]).name, row["face"]) for row in rows] == [
        ("a.mkv", "1"),
        ("a.mkv", "2"),
        ("b.mkv", "1"),
        ("c.mkv", ""),
    ]
    for row, answer in zip(rows, told[:3]):
        assert float(row["probability_high"]) == pytest.approx(answer["probabilities"]["high"])
    written = table.read_text()
    again = CliRunner().invoke(main, [*words, "--resume"])
    assert table.read_text() == written
    assert again.exit_code == 1
    lines = CliRunner().invoke(main, words[:-2]).stdout.splitlines()
    assert lines[0].split()[:3] == ["file", "face", "emotion"]
    assert [line.split()[1] for line in lines[1:4]] == ["1", "2", "1"]
    for option in ("--annotate", "a.mp4"), ("--timeline", "a.png"), ("--embeddings", "a.npz"):
        assert (
            CliRunner()
            .invoke(main, ["predict", str(tmp_path / "a.mkv"), "--faces", "all", *option])
            .exit_code
            == 2
        )
