"""keras-lmf predict on a folder of good and bad files: a row for each, an error for each bad one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from click.testing import CliRunner
from face_model import RATE, Model, film
from media_files import tone, write

from keras_lmf import recognition
from keras_lmf.cli import main


def make_good(folder: Path) -> int:
    film(folder / "film.mkv", 1, sound=tone(1, RATE), rate=RATE)
    film(folder / "mute.mp4", 1)
    names = {
        "a.wav": "pcm_s16le",
        "b.flac": "flac",
        "c.mp3": "mp3",
        "d.m4a": "aac",
        "e.ogg": "libopus",
        "f.mka": "aac",
    }
    for name, codec in names.items():
        write(folder / "deep" / name, sound=tone(1, 48000), sound_codec=codec)
    whole = (folder / "deep" / "a.wav").read_bytes()
    (folder / "piped.wav").write_bytes(whole.replace(b"data" + whole[74:78], b"data\xff\xff\xff\xff"))
    (folder / "joined.mp3").write_bytes(2 * (folder / "deep" / "c.mp3").read_bytes())
    (folder / "notes.txt").write_text("no media, and not looked at")
    return 4 + len(names)


def make_bad(folder: Path) -> int:
    whole = (folder / "deep" / "a.wav").read_bytes()
    contents = {
        "empty.mp4": b"",
        "text.mov": b"not a film\n" * 99,
        "cut.wav": whole[: len(whole) // 2],
        "noise.mp3": np.random.default_rng(0).bytes(9999),
        "joined.wav": whole + whole,
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    soundfile.write(folder / "hum.wav", 0.3 * np.sin(2 * np.pi * 50 * np.arange(RATE) / RATE), RATE)
    return len(contents) + 1


def test_each_file_has_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mixed"
    (folder / "deep").mkdir(parents=True)
    good, bad = make_good(folder), make_bad(folder)
    monkeypatch.setattr(recognition, "Recognizer", lambda *_, **__: Model().recognizer())
    done = CliRunner().invoke(main, ["predict", str(folder), "--json", "--csv", str(tmp_path / "a.csv")])
    assert done.exit_code == 1
    rows = json.loads(done.stdout)
    wrong = {Path(row["file"]).name: row["error"] for row in rows if "error" in row}
    assert wrong.keys() == {"empty.mp4", "text.mov", "cut.wav", "noise.mp3", "joined.wav", "hum.wav"}
    assert not [words for words in wrong.values() if re.match(r"\w+(Error|Exception)", words)]
    assert (len(rows), len(wrong)) == (good + bad, bad)
    table = pd.read_csv(tmp_path / "a.csv")
    assert table["error"].notna().sum() == bad
    assert table["emotion"].notna().sum() == good
