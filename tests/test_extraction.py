"""One recording → arrays: what fills which input, on one clock; what is absent; what is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from clips import SPEAKERS, lines_of, tone, write_table
from media_files import numbered, write

from keras_lmf import media
from keras_lmf.data import extraction, load
from keras_lmf.data.corpora import clips
from keras_lmf.data.corpora.published import listing
from keras_lmf.data.extraction.cache import cached_arrays
from keras_lmf.data.extraction.clip import scaled
from keras_lmf.data.openface import ACTION_UNITS, COLUMNS
from keras_lmf.data.recordings import Recording, Recordings
from keras_lmf.errors import LMFError
from keras_lmf.sources import ActionUnits, Face, Landmarks, RecordedInput, Sensor, Sound
from keras_lmf.target import Target

pytestmark = pytest.mark.usefixtures("cache")
RATE = 16000


def sound(samples: int, trim: float | None = None) -> RecordedInput:
    return RecordedInput(shape=(samples,), rate=RATE, source=Sound(trim_decibels=trim))


def pictures(*shape: int, rate: float | None = 2.0) -> RecordedInput:
    return RecordedInput(shape=shape, rate=rate, source=Face(detector="none"))


def extracted(path: Path, inputs: dict[str, RecordedInput], **given: object) -> dict[str, np.ndarray]:
    return cached_arrays(Recording("one", path, "calm", "anna", **given), inputs)


def bursts(path: Path, seconds: int, suffix_codec: str | None = None) -> Path:
    """Sound and pictures that say which second it is: a tone of 300 Hz · (second + 1), a grey of 15 · (second + 1)."""
    times = np.arange(seconds * RATE) / RATE
    wave = (0.4 * np.sin(2 * np.pi * 300 * (np.floor(times) + 1) * times)).astype(np.float32)
    frames = [np.full((32, 48, 3), 15 * (n // 10 + 1), np.uint8) for n in range(10 * seconds)]
    options = {"sound_codec": suffix_codec} if suffix_codec else {}
    return write(path, sound=wave[:, None], rate=RATE, frames=frames, frame_rate=10, **options)


def second_heard(waveform: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.argmax(spectrum) * RATE / len(waveform) / 300 - 1)


def second_seen(picture: np.ndarray) -> float:
    return float(picture.mean() / 15 - 1)


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
@pytest.mark.parametrize("start", [None, 0.0, 3.0, 12.0])
def test_sound_and_pictures_are_of_the_same_time(tmp_path: Path, name: str, start: float | None):
    path = bursts(tmp_path / name, 15)
    given = {} if start is None else {"start": start, "end": start + 3}
    found = extracted(path, {"voice": sound(3 * RATE), "face": pictures(6, 8, 8, 1)}, **given)
    assert {key: values.dtype.name for key, values in found.items()} == {"voice": "int16", "face": "uint8"}
    for second in range(3):
        heard = found["voice"][second * RATE + 3200 : (second + 1) * RATE - 3200]
        assert second_heard(scaled(heard)) == pytest.approx((start or 0) + second, abs=0.05)
        for picture in found["face"][2 * second : 2 * second + 2]:
            assert second_seen(picture) == pytest.approx((start or 0) + second, abs=0.3)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mkv", "avi"])
def test_a_stretch_is_what_the_whole_has_there(tmp_path: Path, suffix: str):
    path = tmp_path / f"sound.{suffix}"
    wave = np.random.default_rng(0).normal(0, 0.1, 20 * RATE).astype(np.float32)
    if suffix in ("wav", "flac"):
        soundfile.write(path, wave, RATE)
    else:
        write(path, sound=wave[:, None], rate=RATE, sound_codec="pcm_s16le")
    whole = media.decode(path, tracks=("sound",)).waveform
    part = next(media.windows(path, 2.0, tracks=("sound",), start=11.5)).waveform
    np.testing.assert_allclose(part, whole[round(11.5 * RATE) : round(13.5 * RATE)], atol=1e-4)
    with pytest.raises(LMFError, match=r"it ends after 20\.00 s; asked from 25 s on"):
        next(media.windows(path, 2.0, tracks=("sound",), start=25.0))


def test_sound_is_kept_in_sixteen_bits(tmp_path: Path):
    wave = np.random.default_rng(0).uniform(-1, 1, RATE).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    found = extracted(tmp_path / "a.wav", {"voice": sound(RATE + 100)})["voice"]
    np.testing.assert_array_equal(found[:RATE], np.rint(wave * 32767).astype(np.int16))
    assert not found[RATE:].any()


def test_silence_at_the_ends_is_cut_off_for_all(tmp_path: Path):
    wave = np.concatenate([np.zeros(RATE), tone("calm", 1.0), np.zeros(RATE)]).astype(np.float32)
    frames = [np.full((32, 48, 3), 15 * (n // 10 + 1), np.uint8) for n in range(30)]
    path = write(
        tmp_path / "a.mkv",
        sound=wave[:, None],
        rate=RATE,
        sound_codec="pcm_s16le",
        frames=frames,
        frame_rate=10,
    )
    found = extracted(path, {"face": pictures(4, 8, 8, 1), "voice": sound(2 * RATE, 40)})
    voice = found["voice"]
    assert np.flatnonzero(voice)[0] < 0.03 * RATE
    assert np.flatnonzero(voice)[-1] == pytest.approx(RATE, abs=0.03 * RATE)
    assert [round(second_seen(picture)) for picture in found["face"][:2]] == [1, 1]
    assert not found["face"][2:].any(), "the stretch ends with the sound"


def test_what_a_recording_lacks_is_absent(tmp_path: Path):
    inputs = {"voice": sound(RATE), "face": pictures(2, 8, 8, 3)}
    soundfile.write(tmp_path / "a.wav", tone("calm", 1.0), RATE)
    heard = extracted(tmp_path / "a.wav", inputs)
    assert heard["voice"].any()
    assert heard["face"].shape == (2, 8, 8, 3)
    assert not heard["face"].any()
    mute = write(tmp_path / "mute.mp4", frames=[numbered(200)] * 25)
    seen = extracted(mute, inputs)
    assert seen["face"].any()
    assert not seen["voice"].any()
    with pytest.raises(LMFError, match="no sound that can be decoded"):
        extracted(mute, {"voice": sound(RATE)})
    soundfile.write(tmp_path / "still.wav", np.zeros(RATE), RATE)
    with pytest.raises(LMFError, match=r"its sound is silent; .*no picture that can be decoded"):
        extracted(tmp_path / "still.wav", inputs)
    looked = RecordedInput(shape=(2, 8, 8, 1), rate=2, source=Face())
    with pytest.raises(LMFError, match="no face was found in it"):
        extracted(mute, {"face": looked})


def test_one_picture_is_that_of_the_middle(tmp_path: Path):
    path = bursts(tmp_path / "film.mkv", 3, "pcm_s16le")
    found = extracted(path, {"face": pictures(8, 8, 1, rate=None)})["face"]
    assert found.shape == (8, 8, 1)
    assert second_seen(found) == pytest.approx(1, abs=0.3)


def openface(path: Path, values: list[float], rate: float = 10.0) -> None:
    """A table whose features are all `values[frame]`; where that is negative, no face was followed."""
    lines = [",".join(COLUMNS)]
    for frame, value in enumerate(values):
        told = [frame + 1, frame / rate, 1.0, int(value >= 0), *[value] * (len(COLUMNS) - 4)]
        lines.append(",".join(map(str, told)))
    path.write_text("\n".join(lines))


def test_openface_tables_fill_landmarks_and_action_units(tmp_path: Path):
    clip = tmp_path / "a.wav"
    soundfile.write(clip, tone("calm", 1.0), RATE)
    openface(tmp_path / "a.csv", [1, 1, 1, 1, 1, 3, 3, -1, 3, 3])
    width = len(ACTION_UNITS)
    inputs = {
        "mean": RecordedInput(shape=(width,), source=ActionUnits(name="action_units")),
        "steps": RecordedInput(shape=(4, width), rate=4, source=ActionUnits(name="action_units", rate=4)),
        "points": RecordedInput(shape=(12, 68, 2), rate=10, source=Landmarks(name="landmarks", rate=10)),
    }
    found = extracted(clip, inputs)
    np.testing.assert_allclose(found["mean"], (5 + 4 * 3) / 9, rtol=1e-6)
    np.testing.assert_array_equal(found["steps"][:, 0], [1, 1, 3, 0])  # at 0, 0.25, 0.5 and 0.75 s
    np.testing.assert_array_equal(found["points"][:, 5, 1], [1, 1, 1, 1, 1, 3, 3, 0, 3, 3, 0, 0])
    later = extracted(clip, inputs, start=0.5, end=0.7)
    np.testing.assert_array_equal(later["mean"], 3)
    np.testing.assert_array_equal(later["points"][:3, 0, 0], [3, 3, 0])
    (tmp_path / "a.csv").unlink()
    with pytest.raises(LMFError, match="no table of action units beside it; no table of landmarks"):
        extracted(clip, inputs)
    with_voice = extracted(clip, {"voice": sound(RATE), **inputs})
    assert with_voice["voice"].any()
    assert not with_voice["mean"].any()
    (tmp_path / "a.csv").write_text("frame,timestamp\n1,0\n")
    with pytest.raises(LMFError, match="column 'confidence' is missing"):
        extracted(clip, inputs)


def test_a_sensors_table_fills_steps(tmp_path: Path):
    source = Sensor(name="sensor", columns=("eda", "pulse"), rate=2)
    inputs = {"body": RecordedInput(shape=(5, 2), rate=2, source=source)}
    (tmp_path / "a.sensor.csv").write_text("time,pulse,eda\n0,60,1\n0.25,80,3\n0.5,70,4\n1.5,90,8\n")
    found = extracted(tmp_path / "a.wav", inputs)["body"]
    # Means of what is in a step of half a second; between 0.5 and 1.5 s a line; nothing after the last.
    np.testing.assert_allclose(found, [[2, 70], [4, 70], [6, 80], [8, 90], [0, 0]])
    for text, words in (
        ("time,pulse,eda\n0,60,x\n", "line 2: eda must be a finite number, received 'x'"),
        ("time,pulse,eda\n1,60,1\n0,60,1\n", "line 3: time 0 follows 1"),
        ("time,eda\n0,1\n", "column 'pulse' is missing"),
    ):
        (tmp_path / "a.sensor.csv").write_text(text)
        with pytest.raises(LMFError, match=words):
            extracted(tmp_path / "a.wav", inputs)


def test_a_file_in_a_zip(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", tone("calm", 1.0), RATE)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("deep/../../a.wav", (tmp_path / "a.wav").read_bytes())
    inputs, archive = {"voice": sound(RATE)}, tmp_path / "all.zip"
    alone = extracted(tmp_path / "a.wav", inputs)["voice"]
    np.testing.assert_array_equal(extracted(archive, inputs, member="deep/../../a.wav")["voice"], alone)
    content = archive.read_bytes()
    with pytest.raises(LMFError, match=r"Unknown file in all\.zip"):
        extracted(archive, inputs, member="b.wav")
    for packed in (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(archive, "w", packed) as written:
            written.writestr("a.wav", (tmp_path / "a.wav").read_bytes())
        whole = archive.read_bytes()
        archive.write_bytes(whole[:50] + bytes(range(200, 250)) + whole[100:])
        with pytest.raises(LMFError, match=r"a\.wav can't be read from all\.zip .*Copy it again"):
            extracted(archive, inputs, member="a.wav")
        found = listing.files(tmp_path)
        with pytest.raises(LMFError, match=r"all\.zip, a\.wav: it can't be read .*Copy it again"):
            listing.content(found[-1], 10**6)
    archive.write_bytes(content)
    archive.write_bytes(content.replace(content[200:220], bytes(20)))
    with pytest.raises(LMFError, match=r"can't be read from all\.zip"):
        extracted(archive, inputs, member="deep/../../a.wav")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"shape": (2, 3), "source": {"name": "sound"}}, r"sound fills \(samples,\)"),
        ({"shape": (2, 8, 9, 1), "rate": 2, "source": {"name": "face"}}, "face fills"),
        ({"shape": (34,), "source": {"name": "action_units"}}, "action_units fills"),
        (
            {"shape": (4, 2), "rate": 1, "source": {"name": "sensor", "columns": ["eda"], "rate": 1}},
            r"sensor fills \(steps, 1\)",
        ),
    ],
)
def test_what_recordings_can_not_fill(tmp_path: Path, given: dict, words: str):
    target = Target(name="emotion", classes=("calm", "sad"))
    with pytest.raises(LMFError, match=f"input 'x': {words}"):
        extraction.dataset(Recordings("none", target, ()), {"x": RecordedInput(**given)})


def test_numbers_and_stretches_from_labels_csv(tmp_path: Path):
    times = np.arange(9 * RATE) / RATE
    soundfile.write(tmp_path / "film.wav", 0.05 * (np.floor(times) + 1) * np.sin(2000 * times), RATE)
    lines = [["film.wav", f"{n / 10}", f"{-n / 10}", f"{n}", f"{n + 1}", f"s{n}", "dull"] for n in range(9)]
    lines[4][1] = "2"
    write_table(tmp_path, lines, "file,arousal,valence,start,end,speaker,mood")
    told = r"1 of 9 .*\n.*line 6, film.wav: arousal must be a number in \[-1, 1\]"
    with pytest.raises(LMFError, match=told):
        load(tmp_path, seconds=0.5, labels=["arousal", "valence"], range=[-1, 1])
    lines[4][1] = "0.4"
    write_table(tmp_path, lines, "file,arousal,valence,start,end,speaker,mood")
    options = {"labels": ["arousal", "valence"], "range": [-1, 1]}
    data = load(tmp_path, seconds=0.5, **options)
    assert data.target.dimensions == ("arousal", "valence")
    np.testing.assert_allclose(data.labels, [[n / 10, -n / 10] for n in range(9)], atol=1e-6)
    loud = np.abs(data.inputs["voice"]).max(axis=1)
    np.testing.assert_allclose(loud, 0.05 * np.arange(1, 10), rtol=0.02)
    found = clips.recordings(tmp_path, **options)
    assert [row.columns for row in found.rows] == [{"mood": "dull"}] * 9
    assert found.rows[3].id == "film.wav@3-4"


def test_folders_named_by_class_and_no_speakers(tmp_path: Path):
    for label in ("calm", "excited"):
        (tmp_path / "own" / label).mkdir(parents=True)
        for take in range(12):
            soundfile.write(tmp_path / "own" / label / f"{take}.wav", tone(label, 0.2, phase=take), RATE)
    with pytest.warns(UserWarning, match="no speakers are given"):
        data = load(tmp_path / "own", seconds=0.2)
    assert data.target.classes == ("calm", "excited")
    assert sorted(data.ids) == sorted(f"{label}/{n}.wav" for label in data.target.classes for n in range(12))
    assert set(data.split_names) == {"train", "valid", "test"}
    np.testing.assert_array_equal(data.groups, data.ids)


def test_the_recipes_inputs_decide(folder: Path):
    inputs = {"tone": sound(800), "mouth": pictures(1, 8, 8, 1)}
    for line in lines_of(folder):
        write(
            (folder / line[0]).with_suffix(".mkv"),
            sound=tone(line[1])[:, None].astype(np.float32),
            rate=RATE,
            sound_codec="pcm_s16le",
            frames=[numbered(200)] * 13,
        )
    write_table(folder, [[line[0].replace(".wav", ".mkv"), *line[1:]] for line in lines_of(folder)])
    data = load(folder, inputs=inputs)
    assert {name: values.shape[1:] for name, values in data.inputs.items()} == {
        "tone": (800,),
        "mouth": (1, 8, 8, 1),
    }
    assert set(data.groups) == set(SPEAKERS)
    assert len(data) == len(lines_of(folder))
    with pytest.raises(LMFError, match=r"seconds=3, but the input 'tone' takes 0\.05 s"):
        load(folder, inputs=inputs, seconds=3)
