"""What is no voice, though it isn't zeros: there is no emotion in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from clips import lines_of, write_table
from face_model import Model

from keras_lmf.data import load
from keras_lmf.errors import LMFError
from keras_lmf.media.sound import is_silent

RATE = 8000
SECONDS = np.arange(3 * RATE) / RATE


def sine(hertz: float, amplitude: float, start: float = 0, stop: float = 3) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hertz * SECONDS) * (start <= SECONDS) * (stop > SECONDS)


NOTHING = {
    "zeros": 0 * SECONDS,
    "an offset": 0.3 + 0 * SECONDS,
    "an offset that begins": 0.3 * (SECONDS > 1),
    "hum": sine(50, 0.5),
    "American hum, twice its frequency, and an offset": 0.1 + sine(60, 0.3) + sine(120, 0.1),
    "weak noise": np.random.default_rng(0).normal(0, 3e-4, len(SECONDS)),
    "one sample": 1.0 * (np.arange(len(SECONDS)) == RATE),
    "a click each half second": 1.0 * (np.arange(len(SECONDS)) % (RATE // 2) == 9),
    "10 ms": sine(440, 0.5, 1, 1.01),
    "a file of one sample": np.array([0.9]),
    "a file of 10 ms": sine(440, 0.5)[: RATE // 100],
}
SOMETHING = {
    "a soft voice": sine(300, 0.003),
    "two tenths of a second": sine(300, 0.5, 1, 1.2),
    "a deep voice in hum": sine(50, 0.5) + sum(sine(110 * k, 0.02 / k) for k in range(1, 9)),
    "noise": np.random.default_rng(0).normal(0, 0.01, len(SECONDS)),
}


@pytest.mark.parametrize("name", [*NOTHING, *SOMETHING])
def test_what_is_a_voice(tmp_path: Path, name: str) -> None:
    sound = (NOTHING | SOMETHING)[name]
    assert is_silent(sound.astype("f4"), RATE) == (name in NOTHING)
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    recognizer = Model().recognizer()
    if name in SOMETHING:
        assert recognizer(tmp_path / "a.wav").presence["voice"]
        return
    with pytest.raises(LMFError, match="nothing to judge by: no voice"):
        recognizer(tmp_path / "a.wav")


@pytest.mark.usefixtures("cache")
def test_a_clip_of_hum_teaches_nothing(folder: Path) -> None:
    whole = load(folder, seconds=0.1)
    soundfile.write(folder / "hum.wav", NOTHING["hum"], RATE)
    write_table(folder, [*lines_of(folder), ["hum.wav", "calm", "anna"]])
    with pytest.warns(UserWarning, match=r"hum\.wav: its sound is silent"):
        assert load(folder, seconds=0.1).fingerprint == whole.fingerprint
