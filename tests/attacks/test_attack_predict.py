"""predict on a folder, killed, interrupted, unheard or full: the rows that were made stay, and it goes on from them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from loud_model import export, loud_model, write_wave

from keras_lmf.cli import main
from keras_lmf.recognition import Recognizer

CLIPS = 20
# Slow enough to be killed within a clip.
SLOW = """
import sys, time
from keras_lmf.recognition import Recognizer
from keras_lmf.cli import main
real = Recognizer.__call__
def slow(self, clip):
    time.sleep(0.05)
    return real(self, clip)
Recognizer.__call__ = slow
main(sys.argv[1:])
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and clips of which every fifth is none."""
    folder = tmp_path_factory.mktemp("killed")
    export(loud_model(), folder, ("tflite",), temperature=2.0)
    (folder / "clips").mkdir()
    for number in range(CLIPS):
        path = folder / "clips" / f"{number:02d}, „clip“.wav"
        if number % 5 == 4:
            path.write_text("no clip")
        else:
            write_wave(path, (0.05 * number + 0.1, 1.0))
    return folder


@pytest.fixture(scope="module")
def whole(folder: Path) -> bytes:
    """The CSV of a call that was left alone."""
    done = CliRunner().invoke(main, words(folder, "whole.csv"))
    assert done.exit_code == 1
    assert "4 of 20 files could not be judged" in done.stderr
    table = pd.read_csv(folder / "whole.csv")
    assert len(table) == CLIPS
    assert table["error"].notna().sum() == 4
    return (folder / "whole.csv").read_bytes()


def words(folder: Path, csv: str, *more: str) -> list[str]:
    return [
        "predict",
        str(folder / "clips"),
        "--model",
        str(folder / "model.tflite"),
        "--csv",
        str(folder / csv),
        *more,
    ]


def start(folder: Path, csv: str, *more: str, out: object = subprocess.DEVNULL) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, *words(folder, csv, *more)],
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_rows(path: Path, count: int) -> None:
    end = time.monotonic() + 60
    while not path.is_file() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < end
        time.sleep(0.01)


@posix
@pytest.mark.slow
@pytest.mark.parametrize(
    "kill",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
    ],
)
def test_a_killed_call_goes_on_to_the_same_table(folder: Path, whole: bytes, kill: signal.Signals) -> None:
    csv, chance = f"{kill.name}.csv", random.Random(kill.name)
    for rows in sorted(chance.sample(range(1, CLIPS), 3)):
        process = start(folder, csv, "--resume")
        wait_for_rows(folder / csv, 1 + rows)
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(kill)
        _, errors = process.communicate(timeout=60)
        found = (folder / csv).read_bytes()
        assert whole.startswith(found)  # whole rows, in their order
        if kill is signal.SIGINT:
            assert process.returncode == 1
            done = found.count(b"\n") - 1
            if done == CLIPS and "Interrupted" not in errors:  # it ended before the signal came
                assert "4 of 20 files could not be judged" in errors
                continue
            assert f"Interrupted: {done} of 20 files are in" in errors
            assert "--resume" in errors
    done = CliRunner().invoke(main, words(folder, csv, "--resume"))
    assert done.exit_code == 1
    assert "4 of 20 files could not be judged" in done.stderr  # as of a call that was left alone
    assert (folder / csv).read_bytes() == whole


def test_a_row_that_was_cut_off_is_made_again(folder: Path, whole: bytes) -> None:
    path = folder / "cut.csv"
    for end in (1, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        if b"\n" not in whole[:end]:
            refused = CliRunner().invoke(main, words(folder, "cut.csv", "--resume"))
            assert "is no table" in refused.stderr
            continue
        CliRunner().invoke(main, words(folder, "cut.csv", "--resume"))
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n", b"\xff\xfe\n", b'file,"emotion\n', b"\0\0\0\n", b"file\n\n\n"]
)
def test_another_table_is_not_gone_on_with(folder: Path, content: bytes) -> None:
    path = folder / "other.csv"
    path.write_bytes(content)
    done = CliRunner().invoke(main, words(folder, "other.csv", "--resume"))
    assert done.exit_code == 1
    assert "is no table" in done.stderr
    assert path.read_bytes() == content


@posix
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_nobody_who_listens_costs_no_row(folder: Path, whole: bytes, more: list[str]) -> None:
    """`| head`: standard output is closed after its first line."""
    process = start(folder, "head.csv", *more, out=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(timeout=60) == 1
    assert errors.endswith("Error: 4 of 20 files could not be judged.\n")
    assert "Exception" not in errors
    assert (folder / "head.csv").read_bytes() == whole


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_standard_output_costs_no_row(folder: Path, whole: bytes) -> None:
    with open("/dev/full", "w") as full:
        process = start(folder, "full.csv", out=full)
        errors = process.communicate(timeout=60)[1]
    assert "standard output can't be written: No space left on device" in errors
    assert (folder / "full.csv").read_bytes() == whole


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_names_the_table(folder: Path, tmp_path: Path) -> None:
    os.symlink("/dev/full", tmp_path / "a.csv")
    done = CliRunner().invoke(main, [*words(folder, "x")[:-1], str(tmp_path / "a.csv")])
    assert done.exit_code == 1
    told = done.stderr.splitlines()[-1]  # after the line that names the model
    assert told == f"Error: {tmp_path / 'a.csv'} can't be written: No space left on device."


@pytest.mark.parametrize("option", [["--csv", "a.csv"], ["--timeline", "a.png"], ["--annotate", "a.mp4"]])
def test_what_cant_be_written_is_told_before_any_work(folder: Path, option: list[str], monkeypatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("work was begun")

    monkeypatch.setattr("keras_lmf.recognition.Recognizer", never)
    name, file = option
    (folder / "file").write_text("no folder")
    for target in (folder / "file" / file, Path("/proc") / file):
        done = CliRunner().invoke(
            main, ["predict", str(folder / "clips" / "00, „clip“.wav"), name, str(target)]
        )
        assert done.exit_code == 1
        assert f"{target} can't be written: " in done.stderr
        assert ".partial" not in done.stderr


@pytest.mark.parametrize("wrong", [["--resume"], ["--resume", "--csv", "a.csv", "--timeline", "a.png"]])
def test_resume_goes_with_a_table_alone(folder: Path, wrong: list[str]) -> None:
    done = CliRunner().invoke(main, ["predict", str(folder / "clips" / "00, „clip“.wav"), *wrong])
    assert done.exit_code == 2
    assert "--csv" in done.stderr


def test_each_answer_is_told_before_the_next_clip(folder: Path, monkeypatch) -> None:
    """A row is in the file when the next clip is begun, however many there are."""
    real, rows = Recognizer.__call__, []

    def counting(self: Recognizer, clip: Path):
        rows.append((folder / "each.csv").read_bytes().count(b"\n"))
        return real(self, clip)

    monkeypatch.setattr(Recognizer, "__call__", counting)
    done = CliRunner().invoke(main, words(folder, "each.csv", "--json"))
    assert rows == list(range(1, 1 + CLIPS))
    told = json.loads(done.stdout)
    table = pd.read_csv(folder / "each.csv")
    assert [row["file"] for row in told] == table["file"].tolist()
    assert [row.get("emotion") for row in told] == table["emotion"].astype(object).where(
        table["emotion"].notna(), None
    ).tolist()
