"""Recognizer on films of known faces and sounds: what the model sees of them, and what is told."""

from __future__ import annotations

import itertools
import sys
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_model import (
    BOX,
    CLOSE,
    FACE_ONLY,
    PICTURE,
    RATE,
    SHAPES,
    SIZE,
    SOURCES,
    STEP,
    Model,
    brightness,
    film,
    frame,
    logits,
    pictures,
    steps,
)
from media_files import tone, write
from scipy.special import softmax

from keras_lmf.data import decode
from keras_lmf.errors import LMFError
from keras_lmf.recognition import opening
from keras_lmf.spec import InputSpec

LABELS = ["low", "middle", "high"]


def test_the_model_gets_the_first_face_of_each_stretch_and_the_sound_at_the_same_time(tmp_path: Path) -> None:
    faces = (0.7, 3.3)
    sound = steps((0.5, 1.5), (0.25, 3.0))
    clip = film(tmp_path / "film.mkv", 4.5, faces, sound=sound, rate=RATE)
    model = Model(temperature=2.0)
    answer = model.recognizer()(clip)
    seen = model.seen[0]
    expected = np.stack([pictures(start, 3, faces) for start in (0, 1.5)])
    assert (expected > 0).tolist() == [[False] + [True] * 5, [True] * 4 + [False] * 2]
    np.testing.assert_allclose(seen["face"].mean(axis=(2, 3, 4)), expected, atol=CLOSE)
    np.testing.assert_array_equal(seen["face"].any(axis=(2, 3, 4)), expected > 0)
    np.testing.assert_allclose(seen["voice"][0], sound[: 3 * RATE, 0], atol=1e-4)
    np.testing.assert_allclose(seen["voice"][1], sound[3 * RATE // 2 :, 0], atol=1e-4)
    shares = softmax(logits(seen) / 2, axis=1)
    assert answer.timeline[["start", "end"]].to_numpy().tolist() == [[0, 3], [1.5, 4.5]]
    np.testing.assert_allclose(answer.timeline[LABELS], shares, atol=1e-6)
    assert list(answer.probabilities.values()) == pytest.approx(shares.mean(axis=0), abs=1e-6)
    assert answer.presence == {"voice": True, "face": True}
    assert answer.sound["peak"].to_numpy() == pytest.approx(np.repeat([0.5, 0.25], [75, 150]), abs=1e-3)
    table = answer.faces
    np.testing.assert_allclose(table["time"], np.arange(45) / 10)
    # Found in the frames from 0.72 to 3.28 s, thus in the steps 8 to 33, and sure from the second on.
    there = np.isin(np.arange(45), np.arange(9, 34))
    np.testing.assert_array_equal(table["x"].notna(), there)
    np.testing.assert_allclose(table.loc[there, ["x", "y", "width", "height"]], [BOX] * there.sum())
    assert set(table.loc[there, "confidence"]) == {0.75}
    (gone,) = [part for part in answer.figure().axes[-1].collections if part.get_label() == "no face"]
    spans = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in gone.get_paths()]
    np.testing.assert_allclose(spans, [(0, 0.9), (3.4, 4.5)])


def test_hops_and_the_last_window(tmp_path: Path) -> None:
    clip = film(tmp_path / "film.mkv", 4.2, sound=steps((0.5, 4.2)), rate=RATE)
    model = Model()
    answer = model.recognizer(hop=0.5)(clip)
    assert answer.timeline["start"].tolist() == [0, 0.5, 1, 1.5]
    np.testing.assert_allclose(answer.timeline["end"], [3, 3.5, 4, 4.2])
    last = model.seen[0]["face"][3].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(last, pictures(1.5, 2.7), atol=CLOSE)
    assert last[5] > 0, "its stretch is cut off, but has a frame"
    weights = np.array([3, 3, 3, 2.7])
    mean = weights @ answer.timeline[LABELS].to_numpy() / weights.sum()
    assert list(answer.probabilities.values()) == pytest.approx(mean)
    with pytest.raises(LMFError, match=r"'hop' takes 0\.1 to 3 seconds"):
        model.recognizer(hop=0.04)


def test_the_last_picture_stands(tmp_path: Path) -> None:
    """As in every player, and as recorders mean it that write a frame only where the picture changes."""
    clip = film(tmp_path / "film.mkv", 2, (0, 99), sound=steps((0.5, 6)), rate=RATE)
    answer = Model().recognizer(hop=3)(clip)
    assert answer.timeline["end"].tolist() == [3, 6]
    assert answer.faces.loc[answer.faces["x"].notna(), "time"].max() == 5.9


def test_a_model_of_the_face_alone_passes_over_the_sound(tmp_path: Path) -> None:
    model = Model(**FACE_ONLY)
    recognizer = model.recognizer()
    answer = recognizer(film(tmp_path / "film.mp4", 3, sound=tone(3, 48000)))
    assert (recognizer.rate, answer.presence, answer.by_modality, answer.shares) == (
        None,
        {"face": True},
        {},
        {},
    )
    assert answer.sound.empty
    np.testing.assert_allclose(model.seen[0]["face"].mean(axis=(2, 3, 4))[0], pictures(0, 3), atol=2 * CLOSE)
    assert recognizer(model.seen[0]["face"][0]).probabilities == pytest.approx(answer.probabilities)


def test_a_model_of_one_picture_judges_films_and_pictures(tmp_path: Path) -> None:
    model = Model(**PICTURE)
    recognizer = model.recognizer()
    assert (recognizer.seconds, recognizer.hop) == (0.2, 0.1)
    answer = recognizer(film(tmp_path / "film.mkv", 1))
    # One every 0.1 s; a face is sure from the second step on.
    expected = [brightness(int(STEP * max(step, 1))) / 255 for step in range(9)]
    np.testing.assert_allclose(model.seen[0]["face"].mean(axis=(1, 2, 3)), expected, atol=CLOSE)
    np.testing.assert_allclose(answer.timeline["start"], np.arange(9) / 10)
    cv2.imwrite(str(tmp_path / "face.png"), frame(50))
    still = recognizer(tmp_path / "face.png")
    np.testing.assert_allclose(model.seen[-1]["face"].mean(), brightness(50) / 255, atol=CLOSE)
    assert (len(still.timeline), len(still.thumbnails), still.faces["x"].tolist()) == (0, 1, [BOX[0]])
    # As fast as the pictures: a window is one step.
    fast = Model(PICTURE["shapes"], {"face": InputSpec(media="frames", rate=25)})
    known = fast.recognizer()(film(tmp_path / "fast.mkv", 0.4)).timeline["low"].notna()
    assert known.tolist() == [False] + [True] * 9, "films need two detections, however short a window is"


@pytest.mark.parametrize(
    ("stated", "asked", "expected"),
    [(None, None, "yunet"), ("haar", None, "haar"), ("haar", "none", "none"), (None, "haar", "haar")],
)
def test_who_says_what_finds_faces(stated: str | None, asked: str | None, expected: str) -> None:
    """The caller, else the model, else it is YuNet."""
    told = SOURCES["face"].model_copy(update={"detector": stated})
    assert Model(sources=SOURCES | {"face": told}).recognizer(face_detector=asked).face_detector == expected


def test_arrays_of_faces(tmp_path: Path) -> None:
    recognizer = Model().recognizer()
    face = np.linspace(0, 1, 6 * SIZE * SIZE).reshape(SHAPES["face"])
    alone = recognizer({"face": face})
    assert (alone.presence, len(alone.thumbnails)) == ({"voice": False, "face": True}, 0)
    expected = softmax(logits({"voice": np.zeros((1, 9)), "face": face[None]}), axis=1)[0]
    assert list(alone.probabilities.values()) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(LMFError, match=r"numbers in \[0, 1\]; received 0 to 255"):
        recognizer({"face": 255 * face})
    with pytest.raises(LMFError, match=r"of shape \(5, 8, 8, 1\)"):
        recognizer({"face": face[:5]})


@pytest.mark.parametrize(
    ("shapes", "sources", "message"),
    [
        (
            {},
            {"face": InputSpec(media="frames", rate=3)},
            "must last equally long; they take 3 and 2 seconds",
        ),
        (
            {"face": (24000,)},
            {"face": InputSpec(media="waveform", rate=8000)},
            "more of one kind: voice, face",
        ),
        ({"face": (6, 8, 9, 1)}, {}, r"size, size, 1 or 3.*received \(6, 8, 9, 1\) at 2"),
        ({"face": (6, 8, 8, 2)}, {}, r"received \(6, 8, 8, 2\)"),
        ({}, {"face": InputSpec(media="frames", rate=None)}, "at None frames a second"),
        ({}, {"face": InputSpec(media="frames", rate=101)}, "0.01 to 100 frames a second"),
    ],
)
def test_models_that_no_media_file_fits(shapes: dict, sources: dict, message: str) -> None:
    model = Model(SHAPES | shapes, SOURCES | sources)
    with pytest.raises(LMFError, match=message):
        opening._checked("model", model.runtime, model.spec, Path("model"))


def test_a_truncated_film_is_told(tmp_path: Path) -> None:
    clip = film(tmp_path / "film.mkv", 4, sound=tone(4, 48000))
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(LMFError, match=r"film\.mkv: .*truncated"):
        Model().recognizer()(clip)


def test_without_opencv_the_extra_is_named_where_a_face_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = film(tmp_path / "film.mp4", 1, sound=tone(1, 48000))
    voice = write(tmp_path / "a.wav", sound=steps((0.5, 1)), rate=RATE, sound_codec="pcm_s16le")
    monkeypatch.setitem(sys.modules, "cv2", None)
    recognizer = Model().recognizer(face_detector="haar")
    with pytest.raises(LMFError, match=r'pip install "keras-lmf\[face\]"'):
        recognizer(clip)
    assert recognizer(voice).presence == {"voice": True, "face": False}
    with pytest.raises(LMFError, match=r"face detector 'har'. Did you mean 'haar'"):
        Model().recognizer(face_detector="har")


def test_shares_count_each_window_by_its_seconds(tmp_path: Path) -> None:
    """What the voice, the face and both together add to the centred logits, of windows of 3 and of 1 s."""
    clip = film(tmp_path / "film.mkv", 4, sound=steps((0.5, 3), (0.1, 1)), rate=RATE)
    model = Model()
    answer = model.recognizer(hop=3)(clip)
    assert answer.timeline[["start", "end"]].to_numpy().tolist() == [[0, 3], [3, 4]]
    seen = model.seen[0]
    silent, faceless = ({key: values * (key != absent) for key, values in seen.items()} for absent in SHAPES)
    nothing = {key: values * 0 for key, values in seen.items()}
    both, face, voice, none = (
        found - found.mean(axis=1, keepdims=True) for found in map(logits, (seen, silent, faceless, nothing))
    )
    terms = {"voice": voice - none, "face": face - none, "voice × face": both - voice - face + none}
    lengths = {name: np.linalg.norm(term, axis=1) @ [3, 1] for name, term in terms.items()}
    expected = {name: length / sum(lengths.values()) for name, length in lengths.items()}
    assert answer.shares == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_long_film_takes_no_more_memory_than_a_frame_and_some_windows(tmp_path: Path) -> None:
    large = np.full((480, 640, 3), 99, np.uint8)
    clip = write(tmp_path / "long.mp4", frames=[large] * 20, frame_rate=1)
    recognizer = Model(**FACE_ONLY, answer=lambda inputs: np.zeros((len(inputs["face"]), 3))).recognizer(
        face_detector=lambda pixels: [(9, 9, 99, 99)]
    )
    recognizer(clip)
    tracemalloc.start()
    try:
        answer = recognizer(clip)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(answer.timeline) == 13
    assert len(answer.faces) == 200
    # A window of 3 s has 30 frames of 0.9 MB.
    assert peak < 30 * large.nbytes / 2


def test_other_faces_are_known_where_the_answer_is_drawn(tmp_path: Path) -> None:
    """Of two faces the larger is followed; the other comes after a second."""
    clip, other = film(tmp_path / "film.mkv", 3), (2.0, 2.0, 10.0, 10.0)
    frames = itertools.count()
    answer = Model(**FACE_ONLY).recognizer(
        face_detector=lambda frame: [BOX, *([other] if next(frames) >= 10 else [])]
    )(clip)
    marks = list(answer._marks())
    known = [bool(len(mark.others)) for mark in marks]
    # A face of one colour is looked for in each frame, ten a second; at 0 s the first one isn't sure yet.
    assert known == [not 0.05 < mark.time < 0.95 for mark in marks]
    assert marks[-1].others == [list(other)]
    assert answer.faces["width"].dropna().unique().tolist() == [BOX[2]]


def test_a_face_is_drawn_where_it_was_seen_though_the_sound_began_before(tmp_path: Path) -> None:
    """By a model of the face alone, whose clock is the picture's."""
    late = [400 + 40 * number for number in range(50)]
    clip = film(tmp_path / "late.mkv", 2, times=late, sound=tone(2.4, 8000), rate=8000)
    answer = Model(**FACE_ONLY).recognizer()(clip)
    x, y, *_ = BOX
    bare, drawn = (
        decode(path, frame_rate=25).frames[10:60, y : y + 6, x].astype(int)
        for path in (clip, answer.annotate(tmp_path / "out.mp4"))
    )
    seen = np.abs(drawn - bare).mean(axis=(1, 2)) > 20
    # It counts in the second frame that is followed, which is shown at 0.08 s, when it is 0.1 s.
    assert np.flatnonzero(seen)[0] == 3
    assert seen[3:].all()


def test_some_of_the_emotions_share_the_probability(tmp_path: Path) -> None:
    clip = film(tmp_path / "film.mkv", 4.5, sound=steps((0.5, 1.5), (0.25, 3.0)), rate=RATE)
    model = Model(temperature=2.0)
    recognizer = model.recognizer(emotions=["high", "low"])
    answer = recognizer(clip)
    assert recognizer.labels == ("low", "high"), "in the model's order"
    kept = logits(model.seen[0])[:, [0, 2]]
    np.testing.assert_allclose(answer.timeline[["low", "high"]], softmax(kept / 2, axis=1), atol=1e-6)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert "middle" not in answer.timeline
    assert all(alone.keys() == {"low", "high"} for alone in answer.by_modality.values())
    seconds = np.diff(answer.timeline[["start", "end"]]).ravel()
    whole = np.average(kept - kept.mean(axis=1, keepdims=True), axis=0, weights=seconds)
    parts = [list(each.values()) for each in answer.contributions.values()]
    np.testing.assert_allclose(np.sum(parts, axis=0), whole, atol=1e-6)


def test_which_emotions_can_not_be_asked_about() -> None:
    for emotions, words in [
        (["low", "hihg"], r"emotion of model: 'hihg'\. Did you mean 'high'\? Allowed: low, middle, high"),
        (["low", "low"], "two or more labels, received low.*low, middle, high"),
        ([], "two or more labels, received none"),
        ("low", r"a list of labels, received 'low'"),
    ]:
        with pytest.raises(LMFError, match=words):
            Model().recognizer(emotions=emotions)
