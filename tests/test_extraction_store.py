"""Folders of shards: the same bytes whoever works and however often it was killed."""

from __future__ import annotations

import csv
import dataclasses
import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from clips import damage, lines_of, make_clips, tone
from command_line import command
from media_files import write

from keras_lmf.data import load
from keras_lmf.data.corpora import clips
from keras_lmf.data.extraction import cache, chunks, store, stored
from keras_lmf.data.recordings import Recording
from keras_lmf.errors import LMFError
from keras_lmf.executors import Beam, Executor, Pool
from keras_lmf.sources import Face, RecordedInput, Sound

pytestmark = pytest.mark.usefixtures("cache")


INPUTS = {"voice": RecordedInput(shape=(4000,), rate=16000, source=Sound())}


BEAM = ("--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2")


def content(folder: Path) -> dict[str, str]:
    """File → digest."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def own(folder: Path) -> Path:
    """Thirty clips, one of them damaged, one line without a label."""
    return damage(folder)


def test_a_folder_holds_what_a_dataset_in_memory_does(own: Path, tmp_path: Path):
    out = store.extract(clips.recordings(own), INPUTS, tmp_path / "arrays")
    with pytest.warns(UserWarning, match="2 of 31 clips can't be used"):
        data = load(out)
    with pytest.warns(UserWarning, match="2 of 31 clips can't be used"):
        whole = load(own, inputs=INPUTS)
    for column in ("ids", "groups", "splits", "labels"):
        np.testing.assert_array_equal(getattr(data, column), getattr(whole, column))
    assert data.target == whole.target
    rows = np.arange(len(data))
    np.testing.assert_array_equal(data.inputs["voice"][rows], whole.inputs["voice"])
    parts = [np.load(path, mmap_mode="r", allow_pickle=False) for path in sorted(out.glob("0*/voice.npy"))]
    assert [part.dtype.name for part in parts] == ["int16"] * 4
    assert [len(part) for part in parts] == [8, 7, 8, 6], (
        "eight rows of the table each, without the damaged one"
    )
    np.testing.assert_array_equal(np.concatenate(parts) / np.float32(32767), whole.inputs["voice"])
    with (out / "table.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [row["id"] for row in table] == data.ids.tolist()
    assert table[9]["column.note"] == "take 10"
    with (out / "errors.csv").open(newline="") as stream:
        wrong = list(csv.DictReader(stream))
    assert [(row["where"], row["file"]) for row in wrong] == [
        ("labels.csv, line 32", "none.wav"),
        ("labels.csv, line 11", lines_of(own)[9][0]),
    ]
    described = json.loads((out / "arrays.json").read_text())
    assert (described["rows"], described["recordings"]) == (29, 31)


@pytest.mark.slow
@pytest.mark.parametrize("work", [Pool(2), Beam(BEAM)], ids=["pool", "beam"])
def test_the_same_bytes_whoever_works(
    own: Path, tmp_path: Path, work: Executor, monkeypatch: pytest.MonkeyPatch
):
    found = clips.recordings(own)
    alone = store.extract(found, INPUTS, tmp_path / "alone")
    monkeypatch.setenv("KERAS_LMF_HOME", str(tmp_path / "another cache"))
    assert content(store.extract(found, INPUTS, tmp_path / "many", work)) == content(alone)


@pytest.mark.long
def test_the_same_bytes_after_kills(tmp_path: Path):
    lines = make_clips(tmp_path / "clips", takes=40)
    for number in (3, 77, 200):
        (tmp_path / "clips" / lines[number][0]).write_bytes(b"")
    found = clips.recordings(tmp_path / "clips")
    inputs = {"voice": INPUTS["voice"].model_copy(update={"media": "waveform"})}
    whole = store.extract(found, inputs, tmp_path / "whole")
    out = tmp_path / "killed"
    words = [
        "extract",
        tmp_path / "clips",
        "--out",
        out,
        "--workers",
        "2",
        "--recipe",
        tmp_path / "tones.toml",
    ]
    (tmp_path / "tones.toml").write_text(
        """name = "tones"
corpus = { name = "clips" }
target = { name = "emotion", classes = ["calm", "excited"] }
fusion = { name = "none" }
training = { loss = "cross_entropy" }
[inputs.voice]
shape = [4000]
front_end = { name = "mfcc" }
backbone = { name = "gru", units = 4 }
"""
    )
    environment = {**os.environ, "KERAS_LMF_HOME": str(tmp_path / "another cache")}
    command = [sys.executable, "-m", "keras_lmf", *map(str, words)]
    for shards in (4, 12):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(out.glob("0*"))) < shards:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    if not (out / "table.csv").is_file():
        with pytest.raises(LMFError, match="not complete"):
            load(out)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "397 of 400 recordings" in done.stdout
    assert "3 of 400" in done.stderr
    assert content(out) == content(whole)


def test_what_is_there_is_not_made_again(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found, out = clips.recordings(own), tmp_path / "arrays"
    whole = content(store.extract(found, INPUTS, out))
    shutil.rmtree(out / "00001")
    (out / ".partial-1").mkdir()
    (out / ".partial-1" / "voice.npy").write_bytes(b"half")
    made = []
    before = cache.arrays
    monkeypatch.setattr(store, "extracted", lambda chunk: made.append(chunk.first) or extracted(chunk))
    from keras_lmf.data.extraction.chunks import extracted

    store.extract(found, INPUTS, out)
    assert made == [8]
    assert content(out) == whole
    assert cache.arrays is before


def test_a_clip_that_was_mended_or_changed_is_read_again(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found, out = clips.recordings(own), tmp_path / "arrays"
    store.extract(found, INPUTS, out)
    soundfile.write(own / lines_of(own)[9][0], tone("calm"), 16000)
    soundfile.write(own / lines_of(own)[25][0], tone("excited", seconds=0.4), 16000)
    made = []
    monkeypatch.setattr(store, "extracted", lambda chunk: made.append(chunk.first) or chunks.extracted(chunk))
    again = content(store.extract(found, INPUTS, out))
    assert made == [8, 24]
    assert stored.described(out).rows == 30
    assert again == content(store.extract(found, INPUTS, tmp_path / "new"))


def test_another_table_or_other_inputs_are_refused(own: Path, tmp_path: Path):
    found, out = clips.recordings(own), tmp_path / "arrays"
    store.extract(found, INPUTS, out)
    shorter = {"voice": RecordedInput(shape=(3000,), rate=16000, source=Sound())}
    for recordings, inputs in ((found, shorter), (clips.recordings(own, seed=1), INPUTS)):
        with pytest.raises(LMFError, match="holds 'my_clips' with other inputs or another table"):
            store.extract(recordings, inputs, out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    with pytest.raises(LMFError, match=r"full holds 'a\.txt' already"):
        store.extract(found, INPUTS, tmp_path / "full")
    assert not (tmp_path / "full" / ".lock").exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError(errno.EACCES, "Permission denied", "/tmp/elsewhere"),
    ],
    ids=["memory", "disk", "rights"],
)
def test_a_failing_machine_ends_the_run(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    found = clips.recordings(own)
    before = chunks.cached_arrays

    def failing(recording: Recording, inputs: dict) -> dict[str, np.ndarray]:
        if recording.id == found.rows[9].id:
            if getattr(error, "errno", None) == errno.ENOSPC:
                raise LMFError("what reads it says so") from error
            raise error
        return before(recording, inputs)

    monkeypatch.setattr(chunks, "cached_arrays", failing)
    with pytest.raises(LMFError, match=r"line 11: .*goes on"):
        store.extract(found, INPUTS, tmp_path / "arrays")
    assert [path.name for path in sorted((tmp_path / "arrays").glob("0*"))] == ["00000"]


@pytest.mark.filterwarnings("ignore:.*can't be used")
def test_arrays_of_other_settings_are_not_taken(own: Path, tmp_path: Path):
    out = store.extract(clips.recordings(own), INPUTS, tmp_path / "arrays")
    same = {"voice": RecordedInput(shape=(4000,), rate=16000), "face": RecordedInput(shape=(2,))}
    assert len(load(out, inputs=same)) == 29
    for other in ({"rate": 8000.0}, {"source": Sound(trim_decibels=30)}):
        asked = {"voice": INPUTS["voice"].model_copy(update=other)}
        with pytest.raises(
            LMFError, match=r"'voice' was extracted with the (rate 16000.* 8000|source .* trim_d.*30)"
        ):
            load(out, inputs=asked)


@pytest.mark.filterwarnings("ignore:.*can't be used")
def test_what_was_changed_by_hand_is_told(own: Path, tmp_path: Path):
    out = store.extract(clips.recordings(own), INPUTS, tmp_path / "arrays")
    table = (out / "table.csv").read_text()
    header, first, second, *rest = table.splitlines(keepends=True)
    (out / "table.csv").write_text("".join([header, second, first, *rest]))
    with pytest.raises(LMFError, match=r"table\.csv"):
        load(out)
    (out / "table.csv").write_text(table)
    with (out / "00001" / "voice.npy").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(LMFError, match=r"00001.voice\.npy: \d+ bytes"):
        load(out)


@pytest.mark.filterwarnings("ignore:.*can't be used")
def test_an_input_that_is_absent_is_told(own: Path, tmp_path: Path):
    seen = RecordedInput(shape=(1, 8, 8, 1), rate=2, source=Face(detector="none"))
    found, both = clips.recordings(own), {**INPUTS, "face": seen}
    training = int((load(own, inputs=INPUTS).splits == "train").sum())
    for make in (
        lambda: store.extract(found, both, tmp_path / "arrays"),
        lambda: load(own, inputs=both),
        lambda: load(tmp_path / "arrays"),
    ):
        with pytest.raises(LMFError, match=rf"no face was found in any of the {training} training"):
            make()
    assert len(load(tmp_path / "arrays", inputs=INPUTS)) == 29
    told = stored.described(tmp_path / "arrays")
    assert (told.absent, told.training) == ({"voice": 0, "face": 29}, training)
    films = [row for row in found.rows if row.id != lines_of(own)[9][0]]
    first = next(row for row, split in zip(films, load(own, inputs=INPUTS).splits) if split == "train")
    write(first.path.with_suffix(".mp4"), frames=[np.full((32, 48, 3), 90, np.uint8)] * 10)
    told = [
        dataclasses.replace(row, companions={"face": row.path.with_suffix(".mp4")} if row is first else {})
        for row in found.rows
    ]
    with pytest.warns(UserWarning, match="'face' is absent in 28 of 29 recordings"):
        store.extract(dataclasses.replace(found, rows=tuple(told)), both, tmp_path / "one")


@pytest.mark.parametrize("file", ["table.csv", "errors.csv", "arrays.json", "00000/voice.npy"])
def test_a_damaged_folder_is_told_with_its_file(own: Path, tmp_path: Path, file: str):
    out = store.extract(clips.recordings(own), INPUTS, tmp_path / "arrays")
    place = out / file
    place.write_bytes(place.read_bytes()[:150])
    with pytest.raises(LMFError, match=Path(file).stem):
        load(out)


def test_the_command(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = command("extract", own, "--out", "arrays", "--worker", "2")
    assert result.exit_code == 2
    assert "No such option '--worker'" in result.stderr or "No such option: --worker" in result.stderr
    result = command("extract", own, "--out", "arrays", "--workers", "2", "--runner", "DirectRunner")
    assert result.exit_code == 2
    assert "exclude one another" in result.stderr
    result = command("extract", own / "anna", own, "--out", "arrays")
    assert result.exit_code == 2
    result = command("extract", "no_such_corpus", "--out", "arrays")
    assert result.exit_code == 1
    assert "Unknown corpus of recordings 'no_such_corpus'" in result.stderr
    assert "ravdess" in result.stderr
    assert "ferplus" not in result.stderr
    for corpus in ("fer2013", "ferplus"):
        result = command("extract", corpus, "--out", "arrays", "--data", tmp_path)
        assert result.exit_code == 1
        assert f"Unknown corpus of recordings '{corpus}'" in result.stderr
