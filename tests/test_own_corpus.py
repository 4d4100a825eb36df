"""A corpus of one's own: tables of values and of lines, numbers, stretches, and mistakes told where they stand."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from keras_lmf.data.corpora.published import listing, read
from keras_lmf.data.corpora.published.loading import find_layout, recordings
from keras_lmf.data.corpora.published.options import choose
from keras_lmf.data.corpora.published.rows import Rows
from keras_lmf.errors import LMFError

BASE = {
    "title": "Mine",
    "what": "mine",
    "modalities": ["voice"],
    "licence": "mine",
    "weights_licence": "mine",
    "citation": "none",
    "folds": [["anna"], ["bert"], ["carl"]],
    "target": {"name": "emotion", "classes": ["cross", "glad"]},
    "labels": {"a": "cross", "h": "glad"},
    "layouts": {
        "files": {"file": r"(?P<speaker>\w+)/(?P<label>[a-z])(?P<id>\d+)\.wav", "example": "anna/a1.wav"}
    },
}
# As IEMOCAP's release has it.
LINES = {
    "file": r"Session\d/sentences/wav/[^/]+/(?P<id>\w+)\.wav",
    "example": "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
    "speaker": "Ses0{session}{sex}",
    "split": "{session}",
    "table": {
        "file": r"Session(?P<session>\d)/dialog/EmoEvaluation/[^/]+\.txt",
        "example": "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt",
        "line": r"\[(?P<start>[\d.]+) - (?P<end>[\d.]+)\]\t(?P<id>\w+_(?P<sex>[FM])\d+)\t(?P<label>\w+)\t"
        r"\[(?P<valence>[\d.]+), (?P<activation>[\d.]+), (?P<dominance>[\d.]+)\]",
        "words": {"session": {"1": "train", "5": "test"}},
    },
}
EVALUATION = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tang\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
[10.0100 - 11.3925]\tSes01F_impro01_M001\txxx\t[2.5000, 3.5000, 9.5000]
[14.8872 - 18.0175]\tSes01F_impro01_F002\toth\t[1.0000, 1.0000, 1.0000]
"""


def corpus(folder: Path, **changed: Any) -> Path:
    path = folder / "mine.toml"
    path.write_text(tomli_w.dumps({**BASE, **changed}), encoding="utf-8")
    return path


def found(path: Path, root: Path, **options: object) -> Rows:
    said = read(path)
    chosen = choose(said, "mine", options)
    return recordings(said, "mine", find_layout(said, "mine", root, chosen), chosen)


def written(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * 300)
    return folder


def test_names_of_files(tmp_path: Path) -> None:
    written(tmp_path / "mine", "anna/a1.wav", "bert/h2.wav", "carl/x3.wav", "dora/a4.wav", "carl/a.wav")
    rows = found(corpus(tmp_path), tmp_path, fold=1)
    assert [(row.id, row.label, row.group, row.split) for row in rows.recordings.rows] == [
        ("1", "cross", "anna", "train"),
        ("2", "glad", "bert", "test"),
    ]
    told = {row.what: row.why for row in rows.recordings.refused}
    assert list(told) == ["carl/x3.wav", "dora/a4.wav"]
    assert "'x'" in told["carl/x3.wav"]
    assert "'dora'" in told["dora/a4.wav"]
    assert rows.strangers == ["carl/a.wav"]


def test_lines_of_text(tmp_path: Path) -> None:
    place = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01"
    written(tmp_path, f"{place}_F000.wav", f"{place}_M001.wav")
    table = tmp_path / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    table.parent.mkdir(parents=True)
    table.write_text(EVALUATION)
    emotions = {"labels": {"ang": "cross"}, "dropped": ["xxx"], "folds": []}
    lines = {**LINES, "speaker": "{sex}"}
    rows = found(corpus(tmp_path, layouts={"release": lines}, **emotions), tmp_path)
    (row,) = rows.recordings.rows
    assert (row.id, row.label, row.group, row.split) == ("Ses01F_impro01_F000", "cross", "F", "train")
    assert row.columns["valence"] == "2.5000"
    assert row.where == "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt, line 3"
    assert rows.dropped == 1
    assert rows.absent == ["Ses01F_impro01_F002"]
    numbers = {
        "labels": {},
        "folds": [],
        "target": {"name": "feeling", "range": [1, 5], "dimensions": ["valence", "dominance"]},
        "layouts": {
            "release": {**lines, "label": ["{valence}", "{dominance}"], "start": "{start}", "end": "{end}"}
        },
    }
    rows = found(corpus(tmp_path, **numbers), tmp_path)
    (row,) = rows.recordings.rows
    assert row.label == (2.5, 2.5)
    assert (row.start, row.end) == (6.2901, 8.2357)
    (refused,) = rows.recordings.refused
    assert refused.where.endswith(".txt, line 5")
    assert "9.5" in refused.why


def test_stretches_of_a_film_in_a_csv(tmp_path: Path) -> None:
    """As MELD has them: hours, and a comma before the milliseconds. Two stretches are of one film."""
    layout = {
        "file": r"films/(?P<film>\w+)\.mp4",
        "example": "films/one.mp4",
        "key": "{film}",
        "id": "{film}_{Sr No.}",
        "label": "{Emotion}",
        "speaker": "{film}",
        "split": "{split}",
        "start": "{StartTime}",
        "end": "{EndTime}",
        "table": {
            "file": r"(?P<split>train|dev)_sent\.csv",
            "example": "train_sent.csv",
            "key": "{Film}",
            "words": {"split": {"dev": "valid"}},
        },
    }
    written(tmp_path, "films/one.mp4", "films/two.mp4")
    head = "Sr No.,Utterance,Emotion,Film,StartTime,EndTime\n"
    (tmp_path / "train_sent.csv").write_text(
        head + '1,"Well, yes",a,one,"0:00:01,5","0:01:02,250"\n2,No,h,one,70,71\n'
    )
    (tmp_path / "dev_sent.csv").write_text(head + "1,No,h,two,3,2\n2,No,h,two,2,soon\n3,So,h,two,1,2\n")
    rows = found(corpus(tmp_path, layouts={"films": layout}, folds=[]), tmp_path)
    assert [(row.id, row.start, row.end, row.split) for row in rows.recordings.rows] == [
        ("two_3", 1.0, 2.0, "valid"),
        ("one_1", 1.5, 62.25, "train"),
        ("one_2", 70.0, 71.0, "train"),
    ]
    assert [row.where for row in rows.recordings.refused] == ["dev_sent.csv, line 2", "dev_sent.csv, line 3"]
    (tmp_path / "dev_sent.csv").write_text("Sr No.,Emotion\n1,h\n")
    with pytest.raises(LMFError, match=r"column 'EndTime' is missing"):
        found(corpus(tmp_path, layouts={"films": layout}, folds=[]), tmp_path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"labels": {"a": "crosss"}}, "crosss"),
        ({"folds": []}, "folds"),
        ({"folds": [["anna"], ["anna"]]}, "twice"),
        ({"layouts": {}}, "layouts"),
        ({"layouts": {"files": {"file": "(?P<id>", "example": "x"}}}, "regular expression"),
        ({"layouts": {"files": {"file": r"(?P<id>\d)\.wav", "example": "x.wav"}}}, "example"),
        ({"layouts": {"files": {"file": r"(?P<id>\d)\.wav", "example": "1.wav"}}}, "speaker"),
        ({"options": {"fold": {"what": "x", "default": "a", "choices": {"a": {}}}}}, "fold"),
        ({"options": {"part": {"what": "x", "default": "b", "choices": {"a": {}}}}}, "default"),
        ({"counts": [{"options": {"part": "a"}, "recordings": 3}]}, "part"),
        ({"licences": "x"}, "licence"),
    ],
)
def test_a_wrong_toml_is_told(changed: dict, told: str, tmp_path: Path) -> None:
    with pytest.raises(LMFError, match=rf"mine\.toml: .*{told}"):
        read(corpus(tmp_path, **changed))


@pytest.mark.parametrize(
    "member", ["../anna/a1.wav", "/anna/a1.wav", "anna/../../a1.wav", "C:\\anna\\a1.wav"]
)
def test_paths_that_lead_out_of_an_archive(member: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(member, b"x")
    with pytest.raises(LMFError, match=r"a\.zip: .*outside"):
        found(corpus(tmp_path), tmp_path)


def test_archives_that_can_t_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("anna/a1.wav", b"x" * 100)
    whole = path.read_bytes()
    assert [one.name for one in listing.files(tmp_path)] == ["a/anna/a1.wav"]
    path.write_bytes(whole[:-30])
    with pytest.raises(LMFError, match=r"a\.zip: not a whole"):
        listing.files(tmp_path)
    encrypted = bytearray(whole)
    encrypted[whole.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(encrypted)
    with pytest.raises(LMFError, match=r"a\.zip is encrypted"):
        listing.files(tmp_path)


def test_a_folder_that_holds_itself(tmp_path: Path) -> None:
    written(tmp_path, "anna/a1.wav", "anna/.hidden/a2.wav")
    (tmp_path / "anna" / "again").symlink_to(tmp_path)
    assert [one.name for one in listing.files(tmp_path)] == ["anna/a1.wav"]
