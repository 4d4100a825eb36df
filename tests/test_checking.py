"""`keras-lmf check`: what a folder of clips holds, and what training would refuse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import soundfile
from clips import damage, lines_of, make_clips, tone, write_table
from command_line import command

from keras_lmf.data.checking import check_clips
from keras_lmf.data.corpora import clips
from keras_lmf.errors import LMFError

pytestmark = pytest.mark.usefixtures("cache")


def test_a_folder_is_checked(folder: Path):
    own = damage(folder)
    soundfile.write(own / "emil" / "twice.wav", tone("calm", phase=1), 16000)
    lines = [[*line[:3], "train"] for line in lines_of(own)[:-1]]
    lines += [["emil/twice.wav", "calm", "emil", "test"], ["bert/calm-1.wav", "calm", "", "train"]]
    write_table(own, lines[:9] + lines[10:], "file,label,speaker,split")
    with pytest.raises(LMFError, match=r"lines .* both name"):
        check_clips(own)
    write_table(own, [*lines[:-1], ["anna/none.wav", "calm", "anna", "train"]], "file,label,speaker,split")
    report = check_clips(own)
    assert (report.rows, report.files) == (32, 32)
    assert report.classes == {"calm": 17, "excited": 15}
    assert report.speakers == {"anna": 7, "bert": 6, "carl": 6, "dora": 6, "emil": 7}
    assert report.splits == {"train": 31, "test": 1}
    assert report.sample_rates == {"16000 Hz": 30}
    assert report.seconds == (0.5, 0.5, 0.5)
    assert len(report.no_picture) == 30
    assert report.no_face == []
    assert report.duplicates == [["anna/calm-0.wav", "emil/twice.wav"]]
    assert report.split_speakers == {"emil": ["train", "test"]}
    assert set(report.unreadable) == {"anna/none.wav", lines[9][0]}
    assert "'emil' is in two splits" in report.refused
    assert len(report.problems) == 5
    assert max(map(len, str(report).splitlines())) <= 80


@pytest.mark.parametrize(
    ("header", "more", "options", "words"),
    [
        ("split", lambda line: "dev", [], "'dev'"),
        ("split", lambda line: "test" if line[2] == "emil" else "train", [], None),
        ("arousal", lambda line: "7", ["labels=arousal", "range=[0, 1]"], r"a number in \[0, 1\]"),
        ("arousal", lambda line: "0.5", ["labels=arousal", "range=[0, 1]"], None),
        ("mood", lambda line: "good", ["labels=mood"], "every label is 'good'"),
        (
            "mood",
            lambda line: line[2],
            ["labels=mood", "seed=0"],
            "no training clip",
        ),
        ("mood", lambda line: "x", ["lables=mood"], "Unknown field 'lables'"),
    ],
)
def test_check_tells_what_training_refuses(tmp_path: Path, monkeypatch, header, more, options, words):
    lines = make_clips(tmp_path / "own", takes=1)
    write_table(tmp_path / "own", [[*line, more(line)] for line in lines], f"file,label,speaker,{header}")
    monkeypatch.chdir(tmp_path)
    result = command("check", "own", *(word for option in options for word in ("--option", option)))
    assert result.exit_code == (words is not None), result.output
    assert re.search(words or "no problems", " ".join(result.output.split()))


def test_stretches_that_overlap_are_told(tmp_path: Path):
    own = tmp_path / "own"
    lines = [[*line, "", "", "train"] for line in make_clips(own, takes=1)]
    film = "anna/calm-0.wav"
    stretches = [("zoe", "0", "0.2", "train"), ("yan", "0.2", "0.4", "test"), ("xu", "0.3", "0.5", "test")]
    lines[0:1] = [[film, "calm", *stretch] for stretch in stretches]
    header = "file,label,speaker,start,end,split"
    write_table(own, lines, header)
    clips.recordings(own)
    assert check_clips(own).overlaps == [
        [f"{film}@0.2-0.4 (labels.csv, line 3)", f"{film}@0.3-0.5 (labels.csv, line 4)"]
    ]
    lines[0][4] = "0.25"
    write_table(own, lines, header)
    with pytest.raises(LMFError, match=r"lines 2 and 3: the stretches .* overlap"):
        clips.recordings(own)
