"""Recognizer on sounds of known energy and a model of known answer, on every runtime; and what it can't judge."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from loud_model import RATE, SAMPLES, expected, square_wave, write_wave
from media_files import numbered, tone, write

import keras_lmf as klmf
from keras_lmf.errors import LMFError


@pytest.mark.parametrize("file", ["saved_model", "model.tflite", "model.onnx"])
def test_the_timeline_follows_the_loudness(loud_files: Path, tmp_path: Path, file: str) -> None:
    clip = write_wave(tmp_path / "step.wav", (0.1, 2.0), (0.8, 1.3))
    answer = klmf.Recognizer(loud_files / file)(str(clip))
    # Windows of one second, one every half: the one from 1.5 to 2.5 is half quiet, the last one lasts 0.8 s.
    energies = [0.01, 0.01, 0.01, (0.01 + 0.64) / 2, 0.64, 0.64 * 0.8]
    loud = np.array([expected(energy) for energy in energies])
    assert answer.timeline["start"].tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert answer.timeline["end"].tolist() == [1, 1.5, 2, 2.5, 3, 3.3]
    np.testing.assert_allclose(answer.timeline["loud"], loud, atol=1e-5)
    np.testing.assert_allclose(answer.timeline["quiet"], 1 - loud, atol=1e-5)
    mean = (loud[:5].sum() + 0.8 * loud[5]) / 5.8
    assert answer.probabilities == pytest.approx({"loud": mean, "quiet": 1 - mean}, abs=1e-5)
    assert answer.emotion == ("loud" if mean > 0.5 else "quiet")
    assert (answer.presence, answer.file) == ({"voice": True}, clip)


def test_a_waveform_and_a_dict_give_what_the_file_gives(recognizer, tmp_path: Path) -> None:
    stretches = (0.3, 1.2), (0.9, 1.7)
    of_file = recognizer(write_wave(tmp_path / "a.wav", *stretches))
    for clip in (square_wave(*stretches), {"voice": square_wave(*stretches).astype("float64")}):
        answer = recognizer(clip)
        assert answer.file is None
        assert answer.timeline.equals(of_file.timeline)
        assert answer.probabilities == of_file.probabilities
        assert answer.sound.equals(of_file.sound)


def test_hop(loud_files: Path) -> None:
    sparse = klmf.Recognizer(loud_files / "model.tflite", hop=1.0)(square_wave((0.5, 3.3)))
    assert sparse.timeline["start"].tolist() == [0, 1, 2, 3]
    assert sparse.timeline["end"].tolist() == pytest.approx([1, 2, 3, 3.3])
    for hop in (0.01, 1.01, float("nan"), -1, "0.5"):
        with pytest.raises(LMFError, match=rf"'hop' takes 0.04 to 1 seconds.*received {hop!r}"):
            klmf.Recognizer(loud_files / "model.tflite", hop=hop)


@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_a_short_clip_is_one_window(recognizer, tmp_path: Path, seconds: float) -> None:
    answer = recognizer(write_wave(tmp_path / "short.wav", (0.9, seconds)))
    assert answer.timeline[["start", "end"]].to_numpy().tolist() == [[0, seconds]]
    assert answer.probabilities["loud"] == pytest.approx(expected(0.81 * seconds), abs=1e-5)


@pytest.mark.parametrize("seconds", [0.1, 0.29])
def test_of_less_than_three_tenths_of_a_second_nothing_is_said(
    recognizer, tmp_path: Path, seconds: float
) -> None:
    path = write_wave(tmp_path / "short.wav", (0.9, seconds))
    for clip, name in ((path, "short.wav"), (square_wave((0.9, seconds)), "the clip")):
        with pytest.raises(
            LMFError, match=rf"{name}: .*no voice \(its sound lasts {seconds:.2f} s, the least is 0.3 s"
        ):
            recognizer(clip)


def test_stereo_at_another_rate(recognizer, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "stereo.wav", tone(2.0, 44100, channels=2), 44100)
    answer = recognizer(tmp_path / "stereo.wav")
    assert answer.timeline["loud"].to_numpy() == pytest.approx(expected(0.125), abs=2e-3)  # amplitude 0.5


def test_a_film_with_sound_is_judged_by_its_sound(recognizer, tmp_path: Path) -> None:
    film = write(
        tmp_path / "film.mp4", sound=tone(1.0, 48000), frames=[numbered(number) for number in range(25)]
    )
    answer = recognizer(film)
    assert answer.timeline["loud"][0] == pytest.approx(expected(0.125), abs=5e-3)


def test_a_smoothed_timeline_is_the_most_probable_walk(loud_files: Path) -> None:
    """Of the log-odds, Σ (x − y)² over the windows with sound + Σ (Δx)² / (drift Δt) is least: a linear system."""
    clip = square_wave((0.9, 1.0), (0.1, 1.0), (0.0, 2.0), (0.7, 2.0))
    plain = klmf.Recognizer(loud_files / "model.tflite")(clip)
    answer = klmf.Recognizer(loud_files / "model.tflite", smoothing=2.0)(clip)
    loud = plain.timeline["loud"].to_numpy()
    heard, odds = ~np.isnan(loud), np.nan_to_num(np.log(loud / (1 - loud)))
    assert 0 < heard.sum() < len(heard)
    changes = np.diff(np.eye(len(loud)), axis=0)  # windows are .5 s apart, and whole
    walk = changes.T @ changes / (4 * np.sinh(0.5 / 4.0) ** 2)
    course = np.linalg.solve(np.diag(heard.astype(float)) + walk, heard * odds)
    found = answer.timeline["loud"].to_numpy()
    np.testing.assert_allclose(found[heard], 1 / (1 + np.exp(-course[heard])), atol=1e-5)
    assert np.isnan(found[~heard]).all()
    assert np.abs(np.diff(found[heard])).max() < np.abs(np.diff(loud[heard])).max()
    assert (answer.probabilities, answer.emotion) == (plain.probabilities, plain.emotion)
    np.testing.assert_allclose(
        answer.timeline["loud"] + answer.timeline["quiet"], np.where(heard, 1, np.nan), atol=1e-9
    )


@pytest.mark.parametrize("seconds", [0, -1.0, 0.01, 1e9, float("nan"), "2"])
def test_seconds_of_smoothing_are_refused_out_of_range(loud_files: Path, seconds: object) -> None:
    with pytest.raises(LMFError, match="smoothing"):
        klmf.Recognizer(loud_files / "model.tflite", smoothing=seconds)


def test_what_can_not_be_judged(recognizer, tmp_path: Path) -> None:
    write(tmp_path / "mute.mp4", frames=[numbered(number) for number in range(5)])
    write_wave(tmp_path / "silent.wav", (0.0, 1.5))
    (tmp_path / "text.mp4").write_text("not a film")
    (tmp_path / "empty.wav").write_bytes(b"")
    write(tmp_path / "film.mp4", sound=tone(2.0, 48000))
    content = (tmp_path / "film.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    for name, message in {
        "mute.mp4": "no sound that can be decoded",
        "silent.wav": r"nothing to judge by: no voice \(silent",
        "text.mp4": "no media file",
        "empty.wav": "no media file",
        "cut.mp4": "truncated",
        "missing.mp4": "no such file",
    }.items():
        with pytest.raises(LMFError, match=rf"{name}: .*{message}"):
            recognizer(tmp_path / name)
    with pytest.raises(LMFError, match="nothing to judge by"):
        recognizer(np.zeros(SAMPLES))


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        ({"voic": np.ones(9)}, "Did you mean 'voice'"),
        (np.ones((9, 2)), r"received \(9, 2\).*take the mean"),
        (np.ones(0), r"received \(0,\)"),
        (np.ones(9, "int16"), "received dtype int16.*32768"),
        (np.full(9, 1.5), r"outside \[-1, 1\]"),
        (np.array([0.5, np.nan]), "NaN"),
        (7, "received int"),
        ({"voice": [0.5]}, "received list"),
    ],
)
def test_arrays_that_do_not_fit(recognizer, clip, message: str) -> None:
    with pytest.raises(LMFError, match=message):
        recognizer(clip)


def test_the_sound_in_steps(recognizer) -> None:
    sound = recognizer(square_wave((0.25, 1.0), (0.75, 0.51))).sound
    assert sound["start"].to_numpy() == pytest.approx(np.arange(76) * 0.02)
    for column in ("peak", "rms"):
        assert sound[column].to_numpy() == pytest.approx(np.repeat([0.25, 0.75], [50, 26]))


@pytest.mark.slow
def test_a_long_file_takes_no_more_memory_than_some_windows(recognizer, tmp_path: Path) -> None:
    seconds = 240
    write_wave(tmp_path / "long.wav", *[(0.5, 1.0)] * seconds)
    recognizer(square_wave((0.5, 1.0)))
    tracemalloc.start()
    try:
        answer = recognizer(tmp_path / "long.wav")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(answer.timeline) == 2 * seconds - 1
    assert peak < seconds * RATE * 4 / 2  # half of the waveform alone


def test_it_says_what_it_is(recognizer) -> None:
    assert "voice → loud, quiet; windows of 1 s every 0.5 s, 16000 Hz, temperature 2" in repr(recognizer)
    quiet = 1 - expected(0.01)
    assert str(recognizer(square_wave((0.1, 1.0)))) == f"quiet {quiet:.2f} (loud {1 - quiet:.2f})"
