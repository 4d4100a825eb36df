"""keras-lmf predict as a user meets it: tables, JSON, CSV, picture, exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from loud_model import expected, export, loud_model, write_wave

from keras_lmf.cli import main
from keras_lmf.cli.predict import DEFAULT_MODEL
from keras_lmf.locate import known_entries
from keras_lmf.recognition import Recognizer
from keras_lmf.zoo import Entry

QUIET, LOUD = expected(0.01), expected(0.81)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and recordings: two good ones, one of them in a folder below, and two bad ones."""
    folder = tmp_path_factory.mktemp("predict")
    export(loud_model(), folder, ("tflite",), temperature=2.0)
    clips = folder / "clips"
    (clips / "below").mkdir(parents=True)
    (clips / ".hidden").mkdir()
    write_wave(clips / "b.wav", (0.1, 1.0))
    write_wave(clips / "below" / "a.WAV", (0.9, 1.0))
    write_wave(clips / ".hidden" / "c.wav", (0.9, 1.0))
    write_wave(clips / "silent.wav", (0.0, 1.0))
    (clips / "text.mp4").write_text("not a film")
    (clips / "notes.txt").write_text("no media")
    (folder / "empty").mkdir()
    return folder


def predict(folder: Path, *words: str) -> Result:
    with contextlib.chdir(folder):
        return CliRunner().invoke(main, ["predict", *words, "--model", "model.tflite"])


def test_a_smoothed_timeline_leaves_the_answer(folder: Path, tmp_path: Path) -> None:
    write_wave(tmp_path / "step.wav", (0.1, 2.0), (0.8, 2.0))
    plain, smooth = (
        json.loads(predict(folder, str(tmp_path / "step.wav"), "--json", *options).stdout)[0]
        for options in ((), ("--smoothing", "1.5"))
    )
    assert smooth["probabilities"] == plain["probabilities"]
    loud = [[row["probabilities"]["loud"] for row in answer["timeline"]] for answer in (plain, smooth)]
    assert loud[1][0] > loud[0][0]
    assert loud[1][-1] < loud[0][-1]
    assert predict(folder, "--camera", "0", "--smoothing", "1.5").exit_code == 2


def test_some_emotions(folder: Path) -> None:
    done = predict(folder, "clips/b.wav", "--emotions", "quiet, loud", "--json")
    assert json.loads(done.stdout)[0]["probabilities"] == pytest.approx(
        {"loud": QUIET, "quiet": 1 - QUIET}, abs=1e-5
    )
    for emotions, told in (
        ("quiet,laud", "Did you mean 'loud'?"),
        ("quiet", "two or more labels, received quiet"),
    ):
        refused = predict(folder, "clips/b.wav", "--emotions", emotions)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert told in refused.stderr


def test_good_files_are_a_table_and_exit_code_0(folder: Path) -> None:
    done = predict(folder, "clips/b.wav", "clips/below")
    assert done.exit_code == 0, done.stderr
    header, *rows = [line.split() for line in done.stdout.splitlines()]
    assert header == ["file", "emotion", "probability", "presence", "seconds"]
    assert rows == [
        ["b.wav", "quiet", f"{1 - QUIET:.2f}", "voice", "1.0"],
        ["a.WAV", "loud", f"{LOUD:.2f}", "voice", "1.0"],
    ]


def test_which_emotion_came_when(folder: Path, tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav", (0.1, 1.0), (0.9, 1.0), (0.0, 1.0), (0.1, 1.0))
    done = predict(folder, str(tmp_path / "a.wav"), "clips/text.mp4", "--windows", "--hop", "1")
    assert done.exit_code == 1
    header, *rows, blank, error = done.stdout.splitlines()
    assert header.split() == ["file", "from", "to", "emotion", "probability"]
    assert [row.split() for row in rows] == [
        ["a.wav", "0.00", "1.00", "quiet", f"{1 - QUIET:.2f}"],
        ["a.wav", "1.00", "2.00", "loud", f"{LOUD:.2f}"],
        ["a.wav", "2.00", "3.00", "–"],
        ["a.wav", "3.00", "4.00", "quiet", f"{1 - QUIET:.2f}"],
    ]
    assert (blank, error.partition(": ")[0]) == ("", "text.mp4")
    assert predict(folder, "clips/b.wav", "--windows", "--explain").exit_code == 2


def test_bad_files_are_rows_and_the_others_go_on(folder: Path) -> None:
    done = predict(folder, "missing.mp4", "clips", "clips/b.wav", "empty", "--json")
    assert done.exit_code == 1
    assert "4 of 6 files could not be judged" in done.stderr
    rows = json.loads(done.stdout)
    assert [row["file"] for row in rows] == [
        "missing.mp4",
        "clips/b.wav",
        "clips/below/a.WAV",
        "clips/silent.wav",
        "clips/text.mp4",
        "empty",
    ]
    errors = {row["file"]: row["error"] for row in rows if "error" in row}
    assert errors["missing.mp4"] == "no such file."
    assert "no voice (silent" in errors["clips/silent.wav"]
    assert "no media file" in errors["clips/text.mp4"]
    assert errors["empty"] == "no media file in this folder."
    quiet = rows[1]
    assert quiet["emotion"] == "quiet"
    assert quiet["probabilities"] == pytest.approx({"loud": QUIET, "quiet": 1 - QUIET}, abs=1e-5)
    assert quiet["presence"] == {"voice": True}
    (window,) = quiet["timeline"]
    assert (window["start"], window["end"]) == (0, 1)
    assert window["probabilities"] == quiet["probabilities"]


def test_csv(folder: Path, tmp_path: Path) -> None:
    done = predict(folder, "clips/b.wav", "clips/text.mp4", "--csv", str(tmp_path / "new" / "a.csv"))
    assert done.exit_code == 1
    table = pd.read_csv(tmp_path / "new" / "a.csv")
    assert list(table) == [
        "file",
        "emotion",
        "probability_loud",
        "probability_quiet",
        "presence_voice",
        "error",
    ]
    assert table["emotion"].fillna("").tolist() == ["quiet", ""]
    assert table["probability_loud"][0] == pytest.approx(QUIET, abs=1e-5)
    assert bool(table["presence_voice"][0])
    assert "no media file" in table["error"][1]


@pytest.mark.skipif(sys.platform == "win32", reason="names are Unicode there")
def test_a_name_that_is_no_utf8_is_told_with_question_marks(folder: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    strange = os.fsdecode(b"b\xff.wav")
    shutil.copyfile(folder / "clips" / "b.wav", clips / strange)
    (clips / os.fsdecode(b"text\xfe.mp4")).write_text("not a film")
    for words in (("--csv", str(tmp_path / "made.csv")), ("--json",)):
        done = predict(folder, str(clips), *words)
        assert done.exit_code == 1, done.stderr
        text = (tmp_path / "made.csv").read_text(encoding="utf-8") if "--csv" in words else done.stdout
        assert "b?.wav" in text
        assert "text?.mp4" in text
        assert "quiet" in done.stdout


def test_timeline(folder: Path, tmp_path: Path) -> None:
    done = predict(folder, "clips/b.wav", "--timeline", str(tmp_path / "a.png"))
    assert done.exit_code == 0, done.stderr
    height, width, _ = matplotlib.image.imread(tmp_path / "a.png").shape
    assert width > height > 400
    failed = predict(folder, "clips/silent.wav", "--timeline", str(tmp_path / "b.png"))
    assert failed.exit_code == 1
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "FILES"),
        (["clips/b.wav", "clips/b.wav", "--timeline", "a.png"], 2, "--timeline draws one FILE"),
        (["clips", "--timeline", "a.png"], 2, "--timeline draws one FILE"),
        (["clips/b.wav", "--timeline", "a.pdf"], 2, "--timeline draws one FILE into a .png"),
        (["clips/b.wav", "--hop", "x"], 2, "--hop"),
        (["clips/b.wav", "--hop", "5"], 1, "'hop' takes 0.04 to 1 seconds"),
        (["clips/b.wav", "--csv", "clips"], 2, "--csv"),
    ],
)
def test_wrong_usage(folder: Path, words: list[str], code: int, message: str) -> None:
    done = predict(folder, *words)
    assert done.exit_code == code
    assert message in done.stderr
    assert done.stdout == ""


def test_a_model_for_features_is_refused(folder: Path) -> None:
    unknown = CliRunner().invoke(main, ["predict", __file__, "--model", "lmf-ravdess-av"])
    assert unknown.exit_code == 1
    assert "takes features (audio, audio_statistics, video)" in unknown.stderr


def test_ctrl_c_leaves_what_is_done(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Recognizer.__call__

    def interrupted(self: Recognizer, clip: Path):
        if clip.name == "silent.wav":
            raise KeyboardInterrupt
        return real(self, clip)

    monkeypatch.setattr(Recognizer, "__call__", interrupted)
    done = predict(folder, "clips", "--json", "--csv", str(tmp_path / "a.csv"))
    assert done.exit_code == 1
    assert "Interrupted: 2 of 4 files" in done.stderr
    assert [row["emotion"] for row in json.loads(done.stdout)] == ["quiet", "loud"]
    assert len(pd.read_csv(tmp_path / "a.csv")) == 2


def test_a_file_that_breaks_the_decoder_does_not_stop_the_rest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Recognizer.__call__

    def breaking(self: Recognizer, clip: Path):
        if clip.name == "b.wav":
            raise MemoryError("too much")
        return real(self, clip)

    monkeypatch.setattr(Recognizer, "__call__", breaking)
    done = predict(folder, "clips/b.wav", "clips/below", "--json")
    assert done.exit_code == 1
    rows = json.loads(done.stdout)
    assert (rows[0]["error"], rows[1]["emotion"]) == ("MemoryError: too much", "loud")


def test_a_tflite_starts_neither_tensorflow_nor_keras(folder: Path) -> None:
    code = (
        "import sys\nfrom keras_lmf.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "print(*sorted({'keras', 'tensorflow', 'matplotlib'} & set(sys.modules)), file=sys.stderr)\n"
    )
    words = ["predict", "clips/b.wav", "--model", "model.tflite", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)[0]["emotion"] == "quiet"
    assert done.stderr.splitlines() == ["Opening model.tflite", "Model: model.tflite", ""]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("missing.mp4",), "none of the files"),
        (("missing.mp4", "also.wav", "--json"), "none of the files"),
        (("clips/b.wav", "--modle", "x"), "--model"),
        (("clips/b.wav", "--timeline", "a.pdf"), ".png"),
    ],
)
def test_a_mistake_is_told_before_anything_starts(folder: Path, words: tuple[str, ...], told: str) -> None:
    code = (
        "import sys\nfrom keras_lmf.cli import main\n"
        "try:\n    main(['predict', *sys.argv[1:]])\nfinally:\n"
        "    heavy = {'keras', 'tensorflow', 'pandas', 'ai_edge_litert'}\n"
        "    print('started:', *sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode > 0
    assert done.stderr.splitlines()[-1] == "started:"
    if "--json" in words:
        assert json.loads(done.stdout) == [
            {"file": name, "error": "no such file."} for name in ("missing.mp4", "also.wav")
        ]
    elif told == "none of the files":
        assert done.stdout == "missing.mp4: no such file.\n"
    else:
        assert told in done.stderr


def test_the_default_model_is_an_entry_that_takes_media() -> None:
    entry = Entry.read(known_entries()[DEFAULT_MODEL])
    assert any(spec.media for spec in entry.inputs.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--workers", "2"),
        pytest.param(
            ("--runner", "DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"),
            marks=pytest.mark.long,
        ),
    ],
    ids=["pool", "beam"],
)
def test_several_processes_answer_as_one(folder: Path, words: tuple[str, ...]):
    told = {}
    for name, more in (("one", ()), ("several", words)):
        results = [
            predict(folder, "clips", "--csv", f"{name}.csv", *more),
            predict(folder, "clips", "--json", *more),
        ]
        assert [result.exit_code for result in results] == [1, 1]
        told[name] = [(folder / f"{name}.csv").read_bytes(), *(result.stdout for result in results)]
    assert told["several"] == told["one"]
