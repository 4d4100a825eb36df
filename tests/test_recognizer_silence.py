"""Recognizer where nothing is said: silence, what is no speech, and soft voices beside loud noises."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from face_model import Model
from loud_model import RATE, expected, square_wave, write_wave
from matplotlib.patches import StepPatch

from keras_lmf.recognition import windows
from keras_lmf.spec import InputSpec


def test_silent_windows_have_no_answer_and_no_weight(recognizer) -> None:
    answer = recognizer(square_wave((0.9, 1.0), (0.0, 2.0), (0.9, 1.0)))
    loud = answer.timeline["loud"].to_numpy()
    # From 1.0 to 3.0 there is nothing; the windows from 0.5 and from 2.5 hold half of a sound.
    known = [0, 1, 5, 6]
    halves = [expected(0.81), expected(0.405), expected(0.405), expected(0.81)]
    np.testing.assert_allclose(loud[known], halves, atol=1e-5)
    assert np.isnan(loud[2:5]).all()
    assert len(loud) == 7
    assert answer.probabilities["loud"] == pytest.approx(loud[known].mean())
    written = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    silent = [row["probabilities"] is None for row in written["timeline"]]
    assert silent == [False, False, True, True, True, False, False]
    assert (answer.cut, written["cut"]) == ((), [])


def test_silence_at_the_ends_is_cut_and_told(recognizer, tmp_path: Path) -> None:
    stretches = (0.001, 0.7), (0.9, 1.0), (0.4, 0.5), (0.0, 2.0)
    for clip in (write_wave(tmp_path / "a.wav", *stretches), square_wave(*stretches)):
        answer = recognizer(clip)
        assert answer.timeline["start"].tolist() == pytest.approx([0.7, 1.2])
        assert answer.timeline["end"].tolist() == pytest.approx([1.7, 2.2])
        loud = [expected(0.81), expected((0.81 + 0.16) / 2)]
        np.testing.assert_allclose(answer.timeline["loud"], loud, atol=1e-5)
        assert answer.probabilities["loud"] == pytest.approx(np.mean(loud), abs=1e-5)
        np.testing.assert_allclose(answer.sound["start"], 0.7 + 0.02 * np.arange(75))
        np.testing.assert_allclose(answer.sound["rms"], np.repeat([0.9, 0.4], [50, 25]), atol=1e-4)
        np.testing.assert_allclose(answer.cut, [(0, 0.7), (2.2, 4.2)])
        np.testing.assert_allclose(answer.to_dict()["cut"], answer.cut)
        assert type(answer).from_dict(answer.to_dict()).cut == answer.cut
        panels = answer.figure().axes
        assert all(axes.get_xlim() == pytest.approx((0, 4.2)) for axes in panels)
        np.testing.assert_allclose(missing(answer)["silence"], [(0, 0.7), (2.2, 4.2)])
        for wave in (part for part in panels[1].patches if isinstance(part, StepPatch)):
            assert wave.get_data().edges[[0, -1]] == pytest.approx([0.7, 2.2])


def missing(answer) -> dict[str, list[tuple[float, float]]]:
    """What the picture says is missing → from and until when, in order."""
    return {
        part.get_label(): sorted((p.vertices[:, 0].min(), p.vertices[:, 0].max()) for p in part.get_paths())
        for part in answer.figure().axes[-1].collections
    }


def test_silence_in_a_cut_sound_is_shown_where_it_is(recognizer) -> None:
    answer = recognizer(square_wave((0.0, 1.0), (0.5, 1.0), (0.0, 1.0), (0.5, 1.0)))
    np.testing.assert_allclose(missing(answer)["silence"], [(0, 1), (2, 3)])


def test_windows_without_speech_are_told_and_shown(recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all that is softer than 0.3 were music; windows of 1 s, one every half."""
    monkeypatch.setattr(windows, "lacks_speech", lambda waveform, rate: np.abs(waveform).max() < 0.3)
    answer = recognizer(square_wave((0.5, 1.0), (0.2, 2.5), (0.5, 2.0), (0.2, 1.0)))
    assert answer.unspoken == ((1.0, 3.5), (5.5, 6.5))
    np.testing.assert_allclose(missing(answer)["no speech"], answer.unspoken)


def noise(level: float, seconds: float) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal(round(seconds * RATE))


def thump() -> np.ndarray:
    """.2 s, of low tones and of noise, as a knock on the table."""
    times = np.arange(RATE // 5) / RATE
    return np.exp(-20 * times) * (0.6 * np.sin(2 * np.pi * 80 * times) + noise(0.1, 0.2))


def hum(sound: np.ndarray) -> np.ndarray:
    return sound + 0.5 * np.sin(2 * np.pi * 50 * np.arange(len(sound)) / RATE)


SOFT = noise(0.002, 1.5)  # 40 dB below the thump
NOTHING = np.zeros(RATE)


@pytest.mark.parametrize(
    ("parts", "stretch"),
    [
        ((thump(), SOFT), (0, 1.7)),
        ((SOFT, thump()), (0, 1.7)),
        ((thump(), SOFT, thump()), (0, 1.9)),
        ((SOFT, thump(), SOFT), (0, 3.2)),
        ((NOTHING, SOFT, thump(), SOFT, NOTHING), (1, 4.2)),
        ((hum(np.concatenate([NOTHING, SOFT, NOTHING])),), (1, 2.5)),
        ((SOFT, hum(NOTHING)), (0, 1.5)),
        ((noise(0.3, 2.0), SOFT), (0, 2.0)),  # 43 dB below what is loud for long
        ((noise(0.3, 0.1), NOTHING), (0, 1.1)),  # too little sounds
        ((noise(0.3, 0.4),), (0, 0.4)),
    ],
)
def test_a_thump_or_hum_throws_no_soft_voice_away(recognizer, tmp_path: Path, parts, stretch) -> None:
    clip = np.concatenate(parts).clip(-1, 1)
    soundfile.write(tmp_path / "a.wav", clip, RATE, subtype="FLOAT")
    for given in (clip, tmp_path / "a.wav"):
        timeline = recognizer(given).timeline
        found = timeline["start"].min(), timeline["end"].max()
        assert found == pytest.approx(stretch, abs=0.03)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100])
@pytest.mark.parametrize("hop", [Fraction(1, 3), Fraction(7, 100), Fraction(3, 10)])
def test_every_window_is_inside_what_is_left(tmp_path: Path, rate: int, hop: Fraction) -> None:
    """And the windows cover it: each starts at the sample nearest to its multiple of `hop`."""
    random = np.random.default_rng(rate)
    before, size, after = (round(rate * seconds) for seconds in (1 / 3, 2 + 1 / 7, 0.41))
    clip = np.concatenate([np.zeros(before), random.uniform(-0.5, 0.5, size), np.zeros(after)])
    soundfile.write(tmp_path / "a.wav", clip, rate, subtype="FLOAT")
    samples = round(rate / 3)
    sound = {"voice": InputSpec(media="waveform", rate=rate)}

    def answer(inputs: dict[str, np.ndarray]) -> np.ndarray:
        return np.zeros((len(inputs["voice"]), 3))

    step = round(0.02 * rate)
    for given in (clip, tmp_path / "a.wav"):
        model = Model({"voice": (samples,)}, sound, answer)
        table = model.recognizer(hop=float(hop))(given).timeline
        starts, ends = (np.rint(table[name].to_numpy() * rate).astype(int) for name in ("start", "end"))
        multiples = [math.floor(index * hop * rate + Fraction(1, 2)) for index in range(len(table))]
        np.testing.assert_array_equal(starts - starts[0], multiples)
        assert abs(starts[0] - before) <= step
        assert abs(ends[-1] - before - size) <= step
        assert (np.diff(ends) > 0).all(), "each holds something new"
        assert (ends[:-1] - starts[:-1] == samples).all()
        heard = np.concatenate([inputs["voice"] for inputs in model.seen])
        judged = table["low"].notna()
        assert judged[:-1].all()
        for start, end, row in zip(starts[judged], ends[judged], heard, strict=True):
            np.testing.assert_allclose(row[: end - start], clip[start:end], atol=1e-6)
