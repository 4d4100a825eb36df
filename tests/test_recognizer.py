"""Recognizer on sounds of known energy and a model of known answer, on every runtime; and what it can't judge."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from face_model import Model
from loud_model import RATE, SAMPLES, expected, export, loud_model, square_wave, write_wave
from matplotlib.patches import StepPatch
from media_files import numbered, tone, write

import keras_lmf as klmf
from keras_lmf.errors import LMFError
from keras_lmf.recognition import windows
from keras_lmf.spec import InputSpec


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    return export(loud_model(), folder, ("saved_model", "tflite", "onnx"), temperature=2.0)


@pytest.fixture(scope="module")
def recognizer(exported: Path) -> klmf.Recognizer:
    return klmf.Recognizer(exported / "model.tflite")


@pytest.fixture(scope="module")
def exported_mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of voice and words, either of which may be absent; not calibrated."""
    folder = tmp_path_factory.mktemp("mixed")
    return export(loud_model(with_words=True), folder, ("tflite",), presence="derived")


@pytest.fixture(scope="module")
def mixed(exported_mixed: Path) -> klmf.Recognizer:
    return klmf.Recognizer(exported_mixed / "model.tflite")


def copied(source: Path, folder: Path, **facts) -> Path:
    """model.tflite, with a sidecar in which some facts are changed; None leaves a key out."""
    sidecar = json.loads((source / "model.tflite.json").read_text()) | {"seal": ""} | facts
    sidecar = {key: value for key, value in sidecar.items() if value is not None}
    (folder / "model.tflite.json").write_text(json.dumps(sidecar))
    return Path(shutil.copy(source / "model.tflite", folder))


@pytest.mark.parametrize("file", ["saved_model", "model.tflite", "model.onnx"])
def test_the_timeline_follows_the_loudness(exported: Path, tmp_path: Path, file: str) -> None:
    clip = write_wave(tmp_path / "step.wav", (0.1, 2.0), (0.8, 1.3))
    answer = klmf.Recognizer(exported / file)(str(clip))
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


def test_hop(exported: Path) -> None:
    sparse = klmf.Recognizer(exported / "model.tflite", hop=1.0)(square_wave((0.5, 3.3)))
    assert sparse.timeline["start"].tolist() == [0, 1, 2, 3]
    assert sparse.timeline["end"].tolist() == pytest.approx([1, 2, 3, 3.3])
    for hop in (0.01, 1.01, float("nan"), -1, "0.5"):
        with pytest.raises(LMFError, match=rf"'hop' takes 0.04 to 1 seconds.*received {hop!r}"):
            klmf.Recognizer(exported / "model.tflite", hop=hop)


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


def test_a_smoothed_timeline_is_the_most_probable_walk(exported: Path) -> None:
    """Of the log-odds, Σ (x − y)² over the windows with sound + Σ (Δx)² / (drift Δt) is least: a linear system."""
    clip = square_wave((0.9, 1.0), (0.1, 1.0), (0.0, 2.0), (0.7, 2.0))
    plain = klmf.Recognizer(exported / "model.tflite")(clip)
    answer = klmf.Recognizer(exported / "model.tflite", smoothing=2.0)(clip)
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
def test_seconds_of_smoothing_are_refused_out_of_range(exported: Path, seconds: object) -> None:
    with pytest.raises(LMFError, match="smoothing"):
        klmf.Recognizer(exported / "model.tflite", smoothing=seconds)


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


def test_an_absent_modality_is_told(mixed, tmp_path: Path) -> None:
    words = np.array([1.0, 0.5, -1.0])
    said = 1.5 - 1.0 - 0.5
    both = mixed({"voice": square_wave((0.8, 1.0)), "words": words})
    assert both.presence == {"voice": True, "words": True}
    assert both.probabilities["loud"] == pytest.approx(expected(0.64, said, temperature=1), abs=1e-5)
    alone = mixed(write_wave(tmp_path / "a.wav", (0.8, 1.0)))
    assert alone.presence == {"voice": True, "words": False}
    assert alone.probabilities["loud"] == pytest.approx(expected(0.64, 0, temperature=1), abs=1e-5)
    assert "without words" in str(alone)
    for clip in ({"words": 3 * words}, {"words": 3 * words, "voice": np.zeros(2 * SAMPLES)}):
        mute = mixed(clip)
        assert mute.presence == {"voice": False, "words": True}
        assert mute.probabilities["loud"] == pytest.approx(expected(0, 3 * said, temperature=1), abs=1e-5)
    silent = {"voice": np.zeros(SAMPLES)}
    for clip, why in ({"words": 0 * words}, "no sound"), (silent, "silent from beginning"), ({}, "no sound"):
        with pytest.raises(LMFError, match=rf"nothing to judge by: no voice \(.*{why}.*\), no words"):
            mixed(clip)
    with pytest.raises(LMFError, match=r"input 'words': received float64 of shape \(2,\)"):
        mixed({"words": np.ones(2)})


@pytest.mark.parametrize("presence", ["assumed", None])
def test_a_model_that_needs_all_modalities_says_what_is_missing(
    exported_mixed: Path, tmp_path: Path, presence: str | None
) -> None:
    needs_both = klmf.Recognizer(copied(exported_mixed, tmp_path, presence=presence))
    with pytest.raises(LMFError, match="needs words too, features that no media file gives"):
        needs_both(write_wave(tmp_path / "a.wav", (0.8, 1.0)))
    with pytest.raises(LMFError, match="nothing to judge by: no voice"):
        needs_both({"voice": np.zeros(SAMPLES), "words": np.ones(3)})
    answer = needs_both({"voice": square_wave((0.8, 1.0)), "words": np.zeros(3)})
    assert answer.probabilities["loud"] == pytest.approx(expected(0.64, temperature=1), abs=1e-5)


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


def test_a_tflite_needs_neither_tensorflow_nor_keras(exported: Path, tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav", (0.8, 1.0))
    code = (
        "import json, sys, keras_lmf as klmf\n"
        "answer = klmf.Recognizer(sys.argv[1])(sys.argv[2])\n"
        "others = {'keras', 'tensorflow', 'ai_edge_litert.schema_py_generated'} & set(sys.modules)\n"
        "print(json.dumps([answer.probabilities['loud'], sorted(others)]))\n"
    )
    alone = shutil.copy(exported / "model.tflite", tmp_path / "alone.tflite")
    done = subprocess.run(
        [sys.executable, "-c", code, alone, tmp_path / "a.wav"],
        capture_output=True,
        text=True,
        check=True,
    )
    loud, frameworks = json.loads(done.stdout)
    assert loud == pytest.approx(expected(0.64), abs=1e-5)
    assert frameworks == []


@pytest.mark.parametrize("file", ["saved_model", "model.tflite"])
def test_of_a_file_no_embedding_can_be_had(exported: Path, file: str) -> None:
    recognizer = klmf.Recognizer(exported / file)
    for ask in (lambda: recognizer.embed(square_wave((0.5, 1.0))), lambda: recognizer.embedding_width):
        with pytest.raises(LMFError, match=f"{file} gives its answers alone.*need Keras.*entry or the run"):
            ask()


VOICE = {"media": "waveform", "rate": 16000}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"sha256": "0" * 64}, "describes another model.tflite"),
        ({"sha256": None}, "'sha256' is missing"),
        ({"temperature": 0}, r"temperature: .*greater than or equal to 0\.01"),
        ({"presence": "guessed"}, "presence: "),
        ({"target": None}, "does not say what its output means"),
        ({"target": {"name": "emotion", "range": [0, 1]}}, "gives a number for 'emotion'"),
        ({"target": {"name": "mood", "classes": ["a", "b"]}}, "no output 'mood' of 2 classes"),
        ({"target": {"name": "emotion", "classes": ["a", "b", "c"]}}, "no output 'emotion' of 3 classes"),
        ({"inputs": {"voice": {}}}, r"takes features \(voice\).*Zoo entries that take media files: "),
        (
            {"inputs": {"voice": {"media": "frames", "rate": 25}}},
            r"faces have the shape.*received \(16000,\)",
        ),
        ({"inputs": {"voice": {"media": "waveform"}}}, r"input 'voice'.*received \(16000,\) at None"),
        ({"inputs": {"voice": {"media": "waveform", "rate": 0.5}}}, "at 0.5 Hz"),
        (
            {"inputs": {"voice": VOICE, "words": {}}},
            "its inputs are voice, its description says voice, words",
        ),
    ],
)
def test_sidecars_that_do_not_fit(exported: Path, tmp_path: Path, facts: dict, message: str) -> None:
    with pytest.raises(LMFError, match=message):
        klmf.Recognizer(copied(exported, tmp_path, **facts))


def test_a_file_without_its_sidecar(exported: Path, tmp_path: Path) -> None:
    path = copied(exported, tmp_path)
    (tmp_path / "model.tflite.json").write_text("[1")
    with pytest.raises(LMFError, match=r"model\.tflite\.json is not plain JSON"):
        klmf.Recognizer(path)
    (tmp_path / "model.tflite.json").write_bytes(b" " * (2**20 + 1))
    with pytest.raises(LMFError, match="larger than 1048576 bytes"):
        klmf.Recognizer(path)
    (tmp_path / "model.tflite.json").unlink()
    clip = square_wave((0.5, 1.0))
    alone = klmf.Recognizer(path.rename(tmp_path / "renamed.tflite"))(clip)
    assert alone.probabilities == klmf.Recognizer(exported / "model.tflite")(clip).probabilities
    saved = shutil.copytree(exported / "saved_model", tmp_path / "saved_model")
    with pytest.raises(LMFError, match=r"has no sidecar saved_model\.json beside it"):
        klmf.Recognizer(saved)


def test_what_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(LMFError, match="Received a Functional"):
        klmf.Recognizer(loud_model())
    with pytest.raises(LMFError, match=r"saved_model\.pb"):
        klmf.Recognizer(tmp_path)
    with pytest.raises(LMFError, match="no file or folder"):
        klmf.Recognizer("nowhere/model.tflite")
    with pytest.raises(LMFError, match="Unknown zoo entry 'lmf-mosi-atv'"):
        klmf.Recognizer("lmf-mosi-atv")
