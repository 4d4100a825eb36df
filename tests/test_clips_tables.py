"""The table of a folder of clips: every way to write it, and every mistake."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
import soundfile
from clips import lines_of, make_clips, tone, write_table

from keras_lmf.data import load
from keras_lmf.data.corpora import clips
from keras_lmf.errors import LMFError

pytestmark = pytest.mark.usefixtures("cache")


def test_columns_in_any_order_with_blanks_bom_and_quotes(folder: Path):
    plain = load(folder, seconds=0.01)
    text = "\ufeffspeaker, label ,file\r\n" + "".join(
        f'"{speaker}" , {label},"{file}"\r\n\r\n' for file, label, speaker in lines_of(folder)
    ).replace('" ,', '",')
    (folder / "labels.csv").write_text(text, encoding="utf-8", newline="")
    assert load(folder, seconds=0.01).fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("\n", "the column 'file' is missing"),
        (
            "file|label|speaker\na.wav|calm|anna",
            r"column 'file' is missing.*: file\|label\|speaker.*with commas .* between",
        ),
        ("file,label,speaker,spilt\n", r"Unknown column 'spilt'\. Did you mean 'split'\?"),
        ("file,label,speakr\n", r"Unknown column 'speakr'\. Did you mean 'speaker'\?"),
        ("file,label,Start\n", r"Unknown column 'Start'\. Did you mean 'start'\?"),
        ("file,speaker\na.wav,anna", "the column 'label' is missing"),
        ("file,label,speaker,file\n", "a column is there twice"),
        ("file,label,speaker\n", "no clips, only a header"),
        ("file,label,speaker\na.wav,calm", "line 2: 2 values, must be 3"),
        ("file,label,speaker\n\na,b.wav,calm,anna", "line 3: 4 values, must be 3.*double quotes"),
        ('file,label,speaker\n"a.wav,calm,anna', "not a table of comma-separated values"),
        (
            "file,label,speaker\na.wav,calm,anna\nb.wav,calm,anna\n./a.wav,calm,anna",
            r"lines 2 and 4: both name",
        ),
    ],
)
def test_a_wrong_table(tmp_path: Path, text: str, words: str):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(LMFError, match=rf"(?s)labels\.csv.*{words}"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["late.wav", "calm", "Anna"], "speaker 'anna' is also written 'Anna'"),
        (["late.wav", "CALM", "zoe"], "label 'calm' is also written 'CALM'"),
    ],
)
def test_one_spelling_of_a_name(folder: Path, line: list[str], words: str):
    write_table(folder, [*lines_of(folder), line])
    with pytest.raises(LMFError, match=f"lines 2 and 32: the {words}. Write it in one way"):
        load(folder)


def test_accents_are_one_letter_or_two(tmp_path: Path):
    """'é' of one code point or of two looks the same; the speaker must not count as two."""
    lines = make_clips(tmp_path / "clips", speakers=("anna", "bert", "carl"))
    for number, line in enumerate(lines):
        if line[2] == "anna":
            line[2] = "ren\u00e9" if number % 2 else "rene\u0301"
    write_table(tmp_path / "clips", lines)
    assert set(load(tmp_path / "clips", seconds=0.1).groups) == {"ren\u00e9", "bert", "carl"}


def test_a_table_that_is_not_utf8(tmp_path: Path):
    (tmp_path / "labels.csv").write_bytes("file,label,speaker\nmüller.wav,calm,anna".encode("latin-1"))
    with pytest.raises(LMFError, match="in UTF-8"):
        load(tmp_path)


@pytest.mark.parametrize(
    "file",
    [
        "../secret.wav",
        "anna/../../secret.wav",
        "/etc/passwd",
        "C:\\secret.wav",
        "..\\secret.wav",
        "\\\\host\\x",
    ],
)
def test_paths_stay_in_the_folder(folder: Path, file: str, monkeypatch: pytest.MonkeyPatch):
    soundfile.write(folder.parent / "secret.wav", tone("calm"), 16000)
    write_table(folder, [*lines_of(folder), [file, "calm", "anna"]])
    monkeypatch.setattr(clips, "dataset", lambda *given: pytest.fail("something was decoded"))
    with pytest.raises(LMFError, match=r"labels\.csv, line 32: .* may lie outside the folder"):
        load(folder)


def test_columns_of_other_names_are_kept(folder: Path):
    lines = [[*line, "1", "2", "3", "0.5"] for line in lines_of(folder)]
    write_table(folder, lines, "file,label,speaker,state,stars,trend,ends")
    found = clips.recordings(folder)
    assert found.rows[0].columns == {"state": "1", "stars": "2", "trend": "3", "ends": "0.5"}
    write_table(folder, lines, "file,mood,speaker,a,b,c,starts")
    named = clips.recordings(folder, labels="starts", range=[0, 1])
    assert named.rows[0].label == (0.5,)


def foreign(text: str) -> dict[str, bytes]:
    """The table as other systems and spreadsheets write it."""
    return {
        "semicolons": text.replace(",", ";").encode(),
        "Excel's first line": ("sep=;\r\n" + text.replace(",", ";")).encode(),
        "tabs in UTF-16": text.replace(",", "\t").encode("utf-16"),
        "a byte order mark": text.encode("utf-8-sig"),
        "old line ends": text.replace("\n", "\r").encode(),
        "backslashes": text.replace("/", "\\").encode(),
        "accents apart": unicodedata.normalize("NFD", text).encode(),
    }


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_tables_of_other_systems(tmp_path: Path, form: str):
    """Whatever the form in which this system keeps the names of files."""
    speakers = ("anna", "bert", "rené")
    lines = make_clips(tmp_path, [unicodedata.normalize(form, name) for name in speakers], takes=1)
    plain = load(tmp_path, seconds=0.2)
    assert set(plain.groups) == set(speakers)
    text = (tmp_path / "labels.csv").read_text(encoding="utf-8")
    for name, content in foreign(unicodedata.normalize("NFC", text)).items():
        (tmp_path / "labels.csv").write_bytes(content)
        assert load(tmp_path, seconds=0.2).fingerprint == plain.fingerprint, name
    double = lines[0][0].replace("/", "\\")
    write_table(tmp_path, [*lines, [double, *lines[0][1:]]])
    with pytest.raises(LMFError, match="lines 2 and 8: both name"):
        load(tmp_path)
