"""The examples run from start to end and say what they promise."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from real_corpora import ROOT, needs_data

import keras_lmf as klmf
from keras_lmf.export.metadata import with_document
from keras_lmf.media.sound import decode_sound
from keras_lmf.sidecar import Sidecar

EXAMPLES = Path(__file__).parent.parent / "examples"
ENTRY = EXAMPLES.parent / "zoo" / "lmf-synthetic-av"
# Runs an example as a program, then says what got imported.
RUN_ON_DEVICE = """
import runpy
import sys

sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print("imported:", *{name.partition(".")[0] for name in sys.modules} & {"tensorflow", "keras", "keras_lmf"})
"""


def run(folder: Path, *arguments: str | Path) -> str:
    """What a fresh interpreter prints, run in `folder`."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_compose_learns_and_loads_in_a_fresh_process(own_folders):
    printed = run(own_folders, EXAMPLES / "compose.py")
    accuracy = float(re.search(r"test accuracy: ([\d.]+)", printed)[1])
    difference = float(re.search(r"fresh process: (\S+)", printed)[1])
    assert accuracy > 0.9
    assert difference < 1e-5
    assert not list(own_folders.rglob("model.keras")), "the temporary folder was left behind"


@pytest.mark.long
def test_download_and_convert_writes_and_measures_every_format(own_folders):
    printed = run(
        own_folders, EXAMPLES / "download_and_convert.py", "lmf-synthetic-av", "--folder", "converted"
    )
    report = {
        record["file"]: record for record in json.loads((own_folders / "converted/report.json").read_text())
    }
    assert len(report) == 6
    for file, record in report.items():
        row = re.search(rf"^ *{re.escape(file)} +(\d+) +([\d.]+) +([\d.]+)$", printed, flags=re.MULTILINE)
        assert row, f"{file} has no row in\n{printed}"
        assert int(row[1]) == record["bytes"]
        # The entry's card says .98 for float32 and .97 for int8.
        assert float(row[2]) > 0.95
        assert (own_folders / "converted" / file).exists()
    assert str(own_folders / "converted") in printed


def test_download_and_convert_names_an_unknown_entry(own_folders):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "download_and_convert.py", "lmf-sinthetic-av"],
        cwd=own_folders,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "lmf-synthetic-av" in done.stderr


@pytest.mark.long
def test_own_clips_learns_and_answers(own_folders, monkeypatch):
    monkeypatch.setenv("KERAS_LMF_HOME", str(own_folders / "home"))
    printed = run(own_folders, EXAMPLES / "own_clips.py")
    table = (own_folders / "clips" / "labels.csv").read_text().splitlines()[1:]
    labels = {line.split(",")[0]: line.split(",")[1] for line in table}
    # A third by chance; the held-out speaker has ten clips.
    assert float(re.search(r"never met: ([\d.]+)", printed)[1]) >= 0.6
    answers = re.findall(r"^clips/(\S+): (\w+) [\d.]+ \(.*; labelled (\w+)$", printed, flags=re.MULTILINE)
    assert len(answers) == 5
    for file, emotion, label in answers:
        assert emotion in {"happy", "neutral", "sad"}
        assert label == labels[file]


def voices(seconds: float, channels: int, rate: int) -> np.ndarray:
    """(samples, channels) of 16 bits: gliding harmonics in faint noise, which is alone for 1 s at the ends, with true
    zeros in two fifths of the clip between them."""
    random = np.random.default_rng(3)
    times = np.arange(round(seconds * rate)) / rate
    pitch = 2 * np.pi * np.cumsum(140 + 40 * np.sin(5 * times)) / rate
    sound = 0.1 * sum(np.sin(k * pitch) / k for k in range(1, 12)) * np.abs(np.sin(9 * times))
    sound[(times < 1) | (times > seconds - 1)] = 0
    sound += 1e-4 * random.standard_normal(len(times))
    sound[np.abs(times - seconds / 2) < seconds / 5] = 0
    gains = np.linspace(1, 0.5, channels)
    return np.round(32767 * sound[:, None] * gains).astype("<i2")


def write_wave(path: Path, frames: np.ndarray, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(frames.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(frames.tobytes())
    return path


def shares(printed: str) -> dict[str, float]:
    return {label: float(share) for label, share in re.findall(r"^(\w+) ([\d.]+)$", printed, re.MULTILINE)}


def run_on_device(folder: Path, *arguments: str | Path) -> dict[str, float]:
    printed = run(folder, "-c", RUN_ON_DEVICE, EXAMPLES / "on_device.py", *arguments)
    assert "imported:\n" in printed
    return shares(printed)


@pytest.mark.parametrize(("seconds", "channels"), [(13.3, 1), (5.9, 2)])
def test_on_device_answers_as_the_recognizer(own_folders, seconds, channels):
    clip = write_wave(own_folders / "clip.wav", voices(seconds, channels, 16000), 16000)
    answered = run_on_device(own_folders, clip)
    assert answered == pytest.approx(
        klmf.Recognizer("whisper-voice", runtime="tflite")(clip).probabilities, abs=1e-3
    )


@needs_data
def test_on_device_answers_about_a_real_clip_as_the_recognizer(own_folders):
    source = sorted((Path(ROOT) / "clips" / "ravdess_wav_48k").glob("*.wav"))[0]
    frames = np.round(32768 * decode_sound(source)).clip(-32768, 32767).astype("<i2")
    clip = write_wave(own_folders / "clip.wav", frames[:, None], 16000)
    recognizer = klmf.Recognizer("ge2e-ravdess-voice", runtime="tflite")
    answered = run_on_device(own_folders, clip, recognizer.file)
    assert answered == pytest.approx(recognizer(clip).probabilities, abs=1e-3)


@pytest.mark.slow
def test_on_device_needs_no_sidecar_where_the_file_describes_itself(own_folders):
    entry = EXAMPLES.parent / "zoo" / "ge2e-ravdess-voice"
    clip = write_wave(own_folders / "clip.wav", voices(4.0, 1, 16000), 16000)
    beside = run_on_device(own_folders, clip, entry / "model-dynamic.tflite")
    content = (entry / "model-dynamic.tflite").read_bytes()
    alone = own_folders / "alone.tflite"
    alone.write_bytes(with_document(content, Sidecar.read(entry / "model-dynamic.tflite")))
    assert run_on_device(own_folders, clip, alone) == beside


def without_a_voice(folder: Path) -> dict[str, Path]:
    """By what is wrong: bytes that are no sound, too little of it, silence, and samples of 8 bits."""
    silent = write_wave(folder / "silent.wav", np.zeros((16000, 1), "<i2"), 16000)
    content = silent.read_bytes()
    files = {"silent": silent, "short": write_wave(folder / "short.wav", np.zeros((0, 2), "<i2"), 48000)}
    for name, wrong in {
        "empty": b"",
        "cut": content[:30],
        "text": b"no sound at all",
        "missing": None,
    }.items():
        files[name] = folder / f"{name}.wav"
        if wrong is not None:
            files[name].write_bytes(wrong)
    with wave.open(str(folder / "8_bits.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(16000)
        file.writeframes(bytes(16000))
    return files | {"8 bits": folder / "8_bits.wav"}


@pytest.mark.parametrize("wrong", ["silent", "short", "empty", "cut", "text", "missing", "8 bits"])
def test_on_device_names_a_clip_without_a_voice(own_folders, wrong):
    clip = without_a_voice(own_folders)[wrong]
    done = subprocess.run(
        [sys.executable, EXAMPLES / "on_device.py", clip], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert clip.name in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("zoo/distilled-ferplus-face/model-dynamic.tflite", "takes face"),
        ("zoo/lmf-small-av/model-int8-integer.tflite", "takes face, voice"),
        ("zoo/lmf-synthetic-av/model.tflite", "takes audio, video"),
        ("missing.tflite", "missing.tflite"),
        ("README.md", "README.md"),
        ("zoo", "zoo"),
    ],
)
def test_on_device_names_a_model_that_no_voice_can_ask(own_folders, model, named):
    clip = write_wave(own_folders / "clip.wav", voices(4.0, 1, 16000), 16000)
    command = [sys.executable, EXAMPLES / "on_device.py", clip, EXAMPLES.parent / model]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert named in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_skin_finds_the_responses_and_learns_which_of_them_follow_an_event(own_folders):
    printed = run(own_folders, EXAMPLES / "skin.py")
    assert float(re.search(r"of their times: ([\d.]+)", printed)[1]) > 0.9
    assert float(re.search(r"test accuracy: ([\d.]+)", printed)[1]) > 0.85  # half by chance
    shares = dict(re.findall(r"^(\S.*\S) +([\d.]+) +[\d.]+$", printed, flags=re.MULTILINE))
    together = sum(float(share) for subset, share in shares.items() if "skin" in subset and "×" in subset)
    assert together > 0.4  # of what speaks for "moved"
