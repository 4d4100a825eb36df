"""Corpora whose labels stand in tables: MELD, IEMOCAP, CMU-MOSI and CMU-MOSEI, laid out by hand in small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from downloads import found, written
from media_files import numbered, tone, write

from keras_lmf.data import load
from keras_lmf.data.corpora import published
from keras_lmf.data.corpora.published.checking import compare
from keras_lmf.errors import LMFError

HEADER = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
)


def meld(folder: Path) -> Path:
    """Rows 0_0 and 0_1 of train, 0_0 of dev and of test; and the row of dev that was published without a film."""
    rows = {
        "train": '1,"Oh, no!",Joey,fear,negative,0,0,8,21,"00:16:16,059","00:16:21,731"\n'
        '2,Yes.,Ross,joy,positive,0,1,8,21,"00:16:21,940","00:16:23,442"\n',
        "dev": '1,What?,Joey,surprise,negative,0,0,4,7,"00:20:57,256","00:21:00,049"\n'
        '2,Did they?,Phoebe,neutral,neutral,110,7,6,11,"00:07:11,764","00:07:13,890"\n',
        "test": '1,So.,Mark,neutral,neutral,0,0,3,19,"00:14:38,127","00:14:40,378"\n',
    }
    for split, text in rows.items():
        written(folder, f"{split}_sent_emo.csv", content=(HEADER + text).encode())
    return written(
        folder,
        "train_splits/dia0_utt0.mp4",
        "train_splits/dia0_utt1.mp4",
        "train_splits/._dia0_utt1.mp4",
        "dev_splits_complete/dia0_utt0.mp4",
        "dev_splits_complete/dia66_utt9.mp4",
        "output_repeated_splits_test/dia0_utt0.mp4",
        "output_repeated_splits_test/final_videos_testdia0_utt0.mp4",
    )


def test_meld(tmp_path: Path) -> None:
    rows = found("meld", meld(tmp_path / "MELD.Raw"))
    said = {row.id: (row.label, row.group, row.split, row.start) for row in rows.recordings.rows}
    assert said == {
        "train_dia0_utt0": ("fearful", "Joey (train)", "train", None),
        "train_dia0_utt1": ("happy", "Ross (train)", "train", None),
        "valid_dia0_utt0": ("surprised", "Joey (valid)", "valid", None),
        "test_dia0_utt0": ("neutral", "Mark (test)", "test", None),
    }
    assert rows.absent == []
    assert sorted(Path(name).name for name in rows.strangers) == [
        "dia66_utt9.mp4",
        "final_videos_testdia0_utt0.mp4",
    ]
    first = rows.recordings.rows[0]
    assert first.columns["Utterance"] in ("Oh, no!", "What?")
    assert first.path.parent.name in ("train_splits", "dev_splits_complete")
    sentiment = {row.id: row.label for row in found("meld", tmp_path, label="sentiment").recordings.rows}
    assert sentiment == {
        "train_dia0_utt0": "negative",
        "train_dia0_utt1": "positive",
        "valid_dia0_utt0": "negative",
        "test_dia0_utt0": "neutral",
    }


def test_meld_counts_are_those_of_its_readme() -> None:
    """The README's table for train, dev and test, less one neutral row of dev that has no film."""
    readme = {
        "angry": 1109 + 153 + 345,
        "disgust": 271 + 22 + 68,
        "fearful": 268 + 40 + 50,
        "happy": 1743 + 163 + 402,
        "neutral": 4710 + 470 + 1256 - 1,
        "sad": 683 + 111 + 208,
        "surprised": 1205 + 150 + 281,
    }
    for counts in published.read("meld").counts:
        assert counts.recordings == sum(counts.classes.values()) == 9989 + 1109 + 2610 - 1
    assert published.read("meld").counts[0].classes == readme


def test_meld_that_is_not_whole_is_told(tmp_path: Path) -> None:
    folder = meld(tmp_path / "meld")
    (folder / "train_splits" / "dia0_utt1.mp4").unlink()
    told = compare("meld", tmp_path, {})
    assert told.missing == ["train_dia0_utt1"]
    assert told.published == 13707
    assert told.classes["fearful"] == (1, 358)
    assert told.splits == {"train": 1, "valid": 1, "test": 1}
    assert told.problems


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (HEADER + "1,a,Joey,joy\n", r"train_sent_emo\.csv, line 2: 4 values, must be 11"),
        (HEADER.replace("Emotion", "Feeling"), r"train_sent_emo\.csv: the column 'Emotion' is missing"),
        (HEADER + '1,"a,Joey', r"train_sent_emo\.csv: not a table"),
    ],
)
def test_a_damaged_table_is_told_with_file_and_line(table: str, words: str, tmp_path: Path) -> None:
    folder = meld(tmp_path / "meld")
    (folder / "train_sent_emo.csv").write_text(table, encoding="utf-8")
    with pytest.raises(LMFError, match=words):
        load("meld", tmp_path)


def test_a_label_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    folder = meld(tmp_path / "meld")
    text = (folder / "train_sent_emo.csv").read_text().replace("joy", "bliss")
    (folder / "train_sent_emo.csv").write_text(text)
    (refused,) = found("meld", tmp_path).recordings.refused
    assert refused.where == "train_sent_emo.csv, line 3"
    assert "'bliss'" in refused.why


def test_without_its_table_a_corpus_says_where_it_lies(tmp_path: Path) -> None:
    written(tmp_path / "meld", "train_splits/dia0_utt0.mp4")
    with pytest.raises(LMFError, match=r"train_sent_emo\.csv"):
        load("meld", tmp_path)


EVALUATION = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[0.2000 - 0.6000]\tSes01F_impro01_F000\tneu\t[2.5000, 2.0000, 3.0000]
C-E2:\tNeutral;\t()
A-E3:\tval 3; act 2; dom  2;\t()

[0.7000 - 1.1000]\tSes01F_impro01_M000\texc\t[4.0000, 4.5000, 3.5000]
C-E2:\tExcited;\t()

[1.1000 - 1.4000]\tSes01F_impro01_F001\txxx\t[2.0000, 2.5000, 6.0000]
"""


def iemocap(folder: Path) -> Path:
    """Session 1 with three utterances, of which one has no majority; session 4 and 5 with one each; and a film."""
    others = {4: "hap", 5: "fru"}
    for session, text in {
        1: EVALUATION,
        **{
            number: f"[0.0000 - 0.5000]\tSes0{number}M_script03_2_F000\t{word}\t[1.5000, 2.0000, 3.0000]\n"
            for number, word in others.items()
        },
    }.items():
        dialogue = "Ses01F_impro01" if session == 1 else f"Ses0{session}M_script03_2"
        place = f"IEMOCAP_full_release/Session{session}"
        written(folder, f"{place}/dialog/EmoEvaluation/{dialogue}.txt", content=text.encode())
        written(
            folder, f"{place}/dialog/EmoEvaluation/Categorical/{dialogue}_e2_cat.txt", content=text.encode()
        )
        for name in ("F000", "M000", "F001") if session == 1 else ("F000",):
            path = folder / place / "sentences" / "wav" / dialogue / f"{dialogue}_{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone(0.4, 16000, frequency=300 if name[0] == "F" else 600)[:, 0], 16000)
    return folder


def test_iemocap(tmp_path: Path) -> None:
    iemocap(tmp_path / "iemocap")
    rows = found("iemocap", tmp_path, label="merged")
    said = [(row.id, row.label, row.group, row.split) for row in rows.recordings.rows]
    assert said == [
        ("Ses01F_impro01_F000", "neutral", "Ses01F", "train"),
        ("Ses01F_impro01_M000", "happy", "Ses01M", "train"),
        ("Ses04M_script03_2_F000", "happy", "Ses04F", "valid"),
    ]
    assert rows.dropped == 2
    assert rows.strangers == []
    assert len(found("iemocap", tmp_path, label="strict").recordings.rows) == 2
    every = found("iemocap", tmp_path, label="all", fold=4)
    assert [(row.label, row.split) for row in every.recordings.rows] == [
        ("neutral", "test"),
        ("excited", "test"),
        ("happy", "train"),
        ("frustrated", "valid"),
    ]


def test_iemocaps_dimensions(tmp_path: Path) -> None:
    iemocap(tmp_path / "iemocap")
    rows = found("iemocap", tmp_path, label="dimensions").recordings
    assert rows.target.dimensions == ("valence", "activation", "dominance")
    assert [row.label for row in rows.rows] == [
        (2.5, 2, 3),
        (4, 4.5, 3.5),
        (1.5, 2, 3),
        (1.5, 2, 3),
    ]
    (refused,) = rows.refused
    assert refused.where.endswith("Ses01F_impro01.txt, line 10")


def test_iemocaps_sound_is_the_utterances(tmp_path: Path) -> None:
    folder = iemocap(tmp_path / "iemocap")
    data = load("iemocap", tmp_path, label="all", seconds=0.5)
    assert data.ids[1] == "Ses01F_impro01_M000"
    assert data.target.classes[data.labels[1]] == "excited"
    expected, _ = soundfile.read(next(folder.rglob("Ses01F_impro01_M000.wav")), dtype="float32")
    np.testing.assert_allclose(data.inputs["voice"][1, :6400], expected, atol=1e-4)
    assert not data.inputs["voice"][1, 6400:].any()


def test_iemocaps_films_give_the_stretch_of_an_utterance(tmp_path: Path) -> None:
    folder = iemocap(tmp_path / "iemocap")
    film = folder / "Session1" / "dialog" / "avi" / "DivX" / "Ses01F_impro01.avi"
    film.parent.mkdir(parents=True)
    sound = np.concatenate([tone(0.65, 16000, frequency=300), tone(0.85, 16000, frequency=1200)])
    frames = [numbered(n) for n in range(38)]
    write(film, sound=sound, rate=16000, sound_codec="pcm_s16le", frames=frames, picture_codec="mpeg4")
    rows = found("iemocap", tmp_path, layout="films")
    (first, second) = rows.recordings.rows
    assert (first.start, first.end, second.start, second.end) == (0.2, 0.6, 0.7, 1.1)
    assert first.path == second.path == film
    with pytest.warns(UserWarning, match="2 recordings are missing"):  # the films of the other dialogues
        data = load("iemocap", tmp_path, layout="films", seconds=0.3)
    loudest = [np.abs(np.fft.rfft(voice)).argmax() / 0.3 for voice in data.inputs["voice"]]
    np.testing.assert_allclose(loudest, [300, 1200], atol=5)


def test_a_layout_that_isnt_there_is_told(tmp_path: Path) -> None:
    iemocap(tmp_path / "iemocap")
    with pytest.raises(LMFError, match=r"layout 'films'.*there is sentences"):
        load("iemocap", tmp_path, layout="films")
    with pytest.raises(LMFError, match=r"Unknown iemocap layout 'film'\. Did you mean 'films'"):
        load("iemocap", tmp_path, layout="film")


def test_iemocap_counts() -> None:
    """The sizes that the field's papers name: 5531 with excited as happy, 4490 without."""
    counts = {row.options["label"]: row for row in published.read("iemocap").counts}
    assert {name: row.recordings for name, row in counts.items()} == {
        "merged": 5531,
        "strict": 4490,
        "all": 10039 - 2507 - 3,
        "dimensions": 10039,
    }
    for name in ("merged", "strict", "all"):
        assert sum(counts[name].classes.values()) == counts[name].recordings


@pytest.mark.parametrize("name", ["cmu_mosi", "cmu_mosei"])
def test_clips_with_label_csv(name: str, tmp_path: Path) -> None:
    table = "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"
    table += '2iD-tVS8NPw,1,"Well, fine.",2.4,,,,Positive,train\nx9,01,No.,-3.0,,,,Negative,valid\n'
    table += "_b,7,Hm,0,,,,Neutral,test\n_b,8,Huh,3.5,,,,Positive,test\n"
    folder = written(tmp_path / name, "label.csv", content=table.encode())
    written(folder, "Raw/2iD-tVS8NPw/1.mp4", "Raw/x9/01.mp4", "Raw/_b/7.mp4", "Raw/_b/8.mp4", "Raw/x9/2.mp4")
    rows = found(name, tmp_path)
    assert [(row.id, row.label, row.group, row.split) for row in rows.recordings.rows] == [
        ("2iD-tVS8NPw$_$1", (2.4,), "2iD-tVS8NPw", "train"),
        ("x9$_$01", (-3.0,), "x9", "valid"),
        ("_b$_$7", (0.0,), "_b", "test"),
    ]
    (refused,) = rows.recordings.refused
    assert refused.where == "label.csv, line 5"
    assert rows.strangers == ["Raw/x9/2.mp4"]


def test_a_table_says_no_emotions(tmp_path: Path) -> None:
    folder = written(tmp_path / "cmu_mosei", "Raw/a/1.mp4")
    written(folder, "label.csv", content=b"video_id,clip_id,label,mode\na,1,1,train\n")
    with pytest.raises(LMFError, match=r"label\.csv: the column 'anger' is missing"):
        load("cmu_mosei", tmp_path, label="emotions")
