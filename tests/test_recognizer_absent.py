"""Recognizer where the voice or the face is absent: what is judged then, what is cut, what is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_model import (
    CLOSE,
    FACE_ONLY,
    RATE,
    SHAPES,
    SOURCES,
    Model,
    film,
    logits,
    pictures,
    steps,
)
from media_files import write
from scipy.special import softmax

from keras_lmf.errors import LMFError

LABELS = ["low", "middle", "high"]


@pytest.mark.parametrize(
    ("name", "sound", "faces", "presence"),
    [
        ("mute.mkv", None, (0, 99), (False, True)),
        ("silent.mkv", steps((0, 3)), (0, 99), (False, True)),
        ("hiss.mkv", steps((0.0009, 3)), (0, 99), (False, True)),
        ("faceless.mkv", steps((0.5, 3)), (9, 9), (True, False)),
        ("voice.wav", steps((0.5, 3)), None, (True, False)),
    ],
)
def test_what_is_absent_is_zeros_and_is_told(tmp_path: Path, name, sound, faces, presence) -> None:
    path = tmp_path / name
    written = {"sound": sound, "rate": RATE, "sound_codec": "pcm_s16le"}
    clip = film(path, 3, faces, **written) if faces else write(path, **written)
    model = Model()
    answer = model.recognizer()(clip)
    assert answer.presence == dict(zip(SHAPES, presence))
    seen = model.seen[0]
    assert tuple(bool(seen[key].any()) for key in SHAPES) == presence
    (there,) = [key for key, present in answer.presence.items() if present]
    np.testing.assert_allclose(answer.timeline[LABELS], softmax(logits(seen), axis=1), atol=1e-6)
    # With one modality, its own answer is the answer, and all comes from it.
    assert answer.by_modality.keys() == {there}
    assert answer.by_modality[there] == pytest.approx(answer.probabilities)
    assert answer.shares == {"voice": 0, "face": 0, "voice × face": 0} | {there: 1}
    (absent,) = {*SHAPES} - {there}
    assert str(answer).endswith(f"; without {absent}")
    assert bool(answer.thumbnails) == (faces is not None)


def test_where_a_face_is_judged_nothing_is_cut(tmp_path: Path) -> None:
    """Not where the sound ends before the picture either."""
    for name, sound in (
        ("ends.mkv", steps((0.5, 2))),
        ("ends late.mkv", steps((0, 1), (0.5, 2))),
        ("quiet.mkv", steps((0, 2), (0.5, 2), (0, 2))),
    ):
        clip, model = film(tmp_path / name, 6, sound=sound, rate=RATE), Model()
        answer = model.recognizer()(clip)
        assert answer.timeline[["start", "end"]].to_numpy().tolist() == [[0, 3], [1.5, 4.5], [3, 6]]
        expected = np.stack([pictures(start, 3) for start in (0, 1.5, 3)])
        np.testing.assert_allclose(model.seen[0]["face"].mean(axis=(2, 3, 4)), expected, atol=CLOSE)
        assert (answer.cut, answer.timeline["low"].isna().any()) == ((), False)
        assert answer.faces["time"].max() == 5.9


def test_an_array_beside_pictures_is_not_cut() -> None:
    sound = steps((0, 1), (0.5, 1), (0, 1))[:, 0]
    frames = np.full(SHAPES["face"], 0.5, np.float32)
    whole, alone = (
        Model().recognizer()(clip) for clip in ({"voice": sound, "face": frames}, {"voice": sound})
    )
    assert whole.timeline[["start", "end"]].to_numpy().tolist() == [[0, 3]]
    assert whole.cut == ()
    np.testing.assert_allclose(alone.cut, [[0, 1], [2, 3]], atol=0.02)


def test_a_voice_without_a_picture_is_cut(tmp_path: Path) -> None:
    sound = steps((0, 2), (0.5, 2), (0, 2))
    film_of_it = film(tmp_path / "film.mkv", 6, sound=sound, rate=RATE)
    wave = write(tmp_path / "a.wav", sound=sound, rate=RATE, sound_codec="pcm_s16le")
    voice = {"shapes": {"voice": SHAPES["voice"]}, "sources": {"voice": SOURCES["voice"]}}
    alone = Model(**voice, answer=lambda inputs: np.zeros((len(inputs["voice"]), 3)), presence="assumed")
    for clip, model in ((wave, Model()), (wave, alone), (film_of_it, alone)):
        answer = model.recognizer()(clip)
        np.testing.assert_allclose(answer.timeline[["start", "end"]], [[2, 4]], atol=0.02)
        np.testing.assert_allclose(answer.cut, [[0, 2], [4, 6]], atol=0.02)


def test_a_soft_voice_is_there(tmp_path: Path) -> None:
    clip = film(tmp_path / "soft.mkv", 3, (0, 99), sound=steps((0, 2.8), (0.0011, 0.2)), rate=RATE)
    assert Model().recognizer()(clip).presence == {"voice": True, "face": True}


def test_nothing_to_judge_by_says_why(tmp_path: Path) -> None:
    recognizer, needs_both = Model().recognizer(), Model(presence="assumed").recognizer()
    silent = film(tmp_path / "silent.mkv", 1, (9, 9), sound=steps((0, 1)), rate=RATE)
    mute = film(tmp_path / "mute.mkv", 1)
    voice = write(tmp_path / "a.wav", sound=steps((0.5, 1)), rate=RATE, sound_codec="pcm_s16le")
    late = film(tmp_path / "late.mkv", 6, (4, 6), sound=steps((0.5, 2), (0, 4)), rate=RATE)
    for words, who, clip in [
        (r"no voice \(silent from.*, no face \(none is found", recognizer, silent),
        (r"by: no voice \(there is no sound\)\.$", needs_both, mute),
        (r"by: no face \(there is no picture\)\.$", needs_both, voice),
        ("never there at the same time", Model(presence="assumed").recognizer(hop=3), late),
        ("needs face too. Give a dict", needs_both, np.ones(9, "float32")),
        ("no picture that can be decoded. Its streams: audio", Model(**FACE_ONLY).recognizer(), voice),
        (
            r"no face \(none is found in the picture; .*--face-detector none\)",
            Model(**FACE_ONLY).recognizer(),
            silent,
        ),
    ]:
        with pytest.raises(LMFError, match=words):
            who(clip)
    assert Model(presence="assumed").recognizer()(late).timeline["low"].isna().tolist()[0]
