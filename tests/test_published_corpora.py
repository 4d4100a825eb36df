"""Published corpora as they are downloaded: files laid out by hand as their documentation says, and real ones."""

from __future__ import annotations

import itertools
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from downloads import found, written
from real_corpora import ROOT, needs_data

from keras_lmf.data import load
from keras_lmf.data.corpora import CORPORA, published
from keras_lmf.data.corpora.published.counts import counted, expected
from keras_lmf.data.corpora.published.options import choose
from keras_lmf.data.corpora.published.rows import Rows
from keras_lmf.data.recordings import Recordings
from keras_lmf.errors import LMFError

# What the corpora's papers and pages say.
SIZES = {
    ("crema_d", ""): (7442, 91),
    ("crema_d", "media=film"): (7442, 91),
    ("emodb", ""): (535, 10),
    ("enterface05", ""): (1293, 44),
    ("nemo", ""): (4481, 9),
    ("ravdess", ""): (1440, 24),
    ("ravdess", "channel=song"): (1012, 24),
    ("ravdess", "channel=both media=film"): (2452, 24),
    ("savee", ""): (480, 4),
    ("tess", ""): (2800, 2),
}
# Path → what it is, by hand.
FILES = [
    ("ravdess", "Audio_Speech_Actors_01-24/Actor_12/03-01-06-01-02-01-12.wav", {}, ("fearful", "actor_12")),
    ("ravdess", "03-01-08-02-01-02-05.wav", {}, ("surprised", "actor_05")),
    (
        "ravdess",
        "Video_Speech_Actor_01/Actor_01/01-01-05-01-01-01-01.mp4",
        {"media": "film"},
        ("angry", "actor_01"),
    ),
    (
        "ravdess",
        "Video_Song_Actor_24/Actor_24/02-02-02-01-01-01-24.mp4",
        {"media": "silent_film", "channel": "song"},
        ("calm", "actor_24"),
    ),
    ("crema_d", "AudioWAV/1001_DFA_ANG_XX.wav", {}, ("angry", "actor_1001")),
    ("crema_d", "CREMA-D-master/VideoFlash/1091_IEO_SAD_MD.flv", {"media": "film"}, ("sad", "actor_1091")),
    ("savee", "AudioData/DC/a01.wav", {}, ("angry", "speaker_DC")),
    ("savee", "AudioData/KL/su15.wav", {}, ("surprised", "speaker_KL")),
    ("savee", "ALL/JE_sa10.wav", {}, ("sad", "speaker_JE")),
    ("savee", "AudioVisualClip/JK/n7.avi", {"media": "film"}, ("neutral", "speaker_JK")),
    ("tess", "OAF_Pleasant_surprise/OAF_back_ps.wav", {}, ("surprised", "speaker_OAF")),
    ("tess", "OAF_neutral/OA_bite_neutral.wav", {}, ("neutral", "speaker_OAF")),
    ("tess", "YAF_fear/YAF_youth_fear.wav", {}, ("fearful", "speaker_YAF")),
    ("emodb", "wav/03a01Fa.wav", {}, ("happy", "speaker_03")),
    ("emodb", "wav/16b10Wb.wav", {}, ("angry", "speaker_16")),
    ("enterface05", "enterface database/subject 1/anger/sentence 1/s1_an_1.avi", {}, ("angry", "subject_1")),
    ("enterface05", "subject 6/surprise/s6_su_5.avi", {}, ("surprised", "subject_6")),
]


def test_every_corpus_says_what_a_reader_asks_for() -> None:
    assert set(published.names()) <= set(CORPORA)
    for name in published.names():
        corpus = published.read(name)
        assert corpus.home, name
        assert corpus.ask, name
        assert corpus.sources, name
        assert corpus.traps, name
        assert all(source.startswith("http") for source in (corpus.home, *corpus.sources)), name


@pytest.mark.parametrize(("name", "options"), SIZES)
def test_counts_and_lists_of_files_are_the_published_ones(name: str, options: str) -> None:
    corpus = published.read(name)
    chosen = choose(corpus, name, dict(option.split("=") for option in options.split()))
    counts = counted(corpus, list(corpus.layouts)[-1], chosen)
    recordings_, people = SIZES[name, options]
    assert counts.recordings == recordings_
    assert corpus.people == people == sum(map(len, corpus.folds))
    for part in (counts.classes, counts.speakers):
        assert not part or sum(part.values()) == recordings_
    assert not counts.speakers or set(counts.speakers) == {who for fold in corpus.folds for who in fold}
    known = expected(corpus, chosen, Rows(Recordings(name, chosen.target, ()), ""))
    assert len(known) == (recordings_ if name not in ("enterface05", "nemo", "tess") else 0)


@pytest.mark.parametrize(("name", "file", "options", "said"), FILES)
@pytest.mark.parametrize("archived", [False, True])
def test_a_name_tells_label_and_speaker(name, file, options, said, archived: bool, tmp_path: Path) -> None:
    """In the corpus's folder or in the one above; unpacked, or in an archive of its first folder."""
    if archived:
        path = tmp_path / name / "some archive.zip"
        path.parent.mkdir()
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(file, b"x")
            archive.writestr(f"__MACOSX/{file}", b"x")
    else:
        path = written(tmp_path / name, file, "readme.txt") / file
    for root in (tmp_path, tmp_path / name):
        (row,) = found(name, root, **options).recordings.rows
        assert (row.label, row.group) == said
        assert row.path == path
        assert row.member == (file if archived else None)


def test_nemo_is_what_its_table_says(tmp_path: Path) -> None:
    folder = written(tmp_path / "nEMO-main", "samples/WR0_surprised_64.wav", "samples/EB0_fear_1.wav")
    table = "file_id\temotion\traw_text\tspeaker_id\nWR0_surprised_64.wav\tsurprised\t„Ród”, to.\t WR0\n"
    (folder / "data.tsv").write_text(table + "MK0_anger_2.wav\tanger\tNie.\tMK0\n", encoding="utf-8")
    rows = found("nemo", tmp_path)
    (row,) = rows.recordings.rows
    assert (row.id, row.label, row.group) == ("WR0_surprised_64", "surprised", "WR0")
    assert row.columns["raw_text"] == "„Ród”, to."
    assert row.where == "nEMO-main/data.tsv, line 2"
    assert rows.absent == ["MK0_anger_2.wav"]
    assert rows.strangers == ["nEMO-main/samples/EB0_fear_1.wav"]
    (folder / "data.tsv").unlink()
    with pytest.raises(LMFError, match=r"the table .* isn't there.*'data\.tsv'"):
        found("nemo", tmp_path)


@needs_data
def test_ravdess_wavs_under_their_original_names() -> None:
    folder = Path(ROOT) / "clips" / "ravdess_wav_48k"
    rows = found("ravdess", folder).recordings.rows
    words = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
    parts = [path.stem.split("-") for path in sorted(folder.iterdir())]
    assert [row.id for row in rows] == ["-".join(part) for part in parts]
    assert [row.label for row in rows] == [words[int(part[2]) - 1] for part in parts]
    assert [row.group for row in rows] == [f"actor_{part[6]}" for part in parts]
    with np.load(Path(ROOT) / "ravdess" / "ravdess_audio_video.npz") as arrays:
        fold_of = dict(zip(arrays["actor"].tolist(), arrays["fold"].tolist()))
    for fold in range(5):
        for row, part in zip(found("ravdess", folder, fold=fold).recordings.rows, parts):
            expected_split = {fold: "test", (fold + 1) % 5: "valid"}.get(fold_of[int(part[6])], "train")
            assert row.split == expected_split


@pytest.mark.long
@needs_data
def test_nemo_as_arrays_is_its_files() -> None:
    data = load("nemo", fold=3, seconds=0.5)
    folder = Path(ROOT) / "nemo" / "flac16k"
    names = sorted(path.stem for path in folder.iterdir())
    assert data.ids.tolist() == names
    assert [data.target.classes[label] for label in data.labels] == [name.split("_")[1] for name in names]
    assert data.groups.tolist() == [name.split("_")[0] for name in names]
    assert (set(data["test"].groups), set(data["valid"].groups)) == ({"KS0"}, {"MK0"})
    for row in (0, 700, 1264):
        sound, _ = soundfile.read(folder / f"{names[row]}.flac", dtype="float32")
        np.testing.assert_array_equal(data.inputs["voice"][row], sound[:8000])


def test_a_download_becomes_a_dataset(tmp_path: Path) -> None:
    """Two sentences of each emotion by SAVEE's four men; the rest is missing, which a warning tells."""
    tones = {}
    for who, code, number in itertools.product(
        ("DC", "JE", "JK", "KL"), ("a", "d", "f", "h", "n", "sa", "su"), (1, 2)
    ):
        tone = 0.3 * np.sin(np.arange(4000) * (0.1 + 0.002 * len(tones)))
        path = tmp_path / "AudioData" / who / f"{code}{number:02d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone, 16000)
        tones[f"{who}_{code}{number}"] = tone
    with pytest.warns(UserWarning, match=r"424 recordings are missing \(DC_a10"):
        data = load("savee", tmp_path, seconds=0.2, fold=1)
    assert data.inputs["voice"].shape == (56, 3200)
    for name, voice in zip(data.ids, data.inputs["voice"]):
        np.testing.assert_allclose(voice, tones[name][:3200], atol=1e-4)
    splits = dict(zip(data.groups.tolist(), data.splits.tolist()))
    assert splits == {
        "speaker_DC": "train",
        "speaker_JE": "test",
        "speaker_JK": "valid",
        "speaker_KL": "train",
    }
    assert Counter(data.labels.tolist()) == dict.fromkeys(range(7), 8)


def test_two_speakers_leave_none_to_validate() -> None:
    corpus = published.read("tess")
    for fold, test, train in ((0, "OAF", "YAF"), (1, "YAF", "OAF")):
        splits = choose(corpus, "tess", {"fold": fold}).split_of
        assert splits == {f"speaker_{test}": "test", f"speaker_{train}": "train"}


def test_song_has_six_classes(tmp_path: Path) -> None:
    written(tmp_path, "03-02-03-01-01-01-01.wav")
    rows = found("ravdess", tmp_path, channel="song")
    assert rows.recordings.target.classes == ("neutral", "calm", "happy", "sad", "angry", "fearful")
    with pytest.raises(LMFError, match=r"no recording of ravdess .*Other options would take 1"):
        found("ravdess", tmp_path)


def test_options_are_told(tmp_path: Path) -> None:
    with pytest.raises(LMFError, match=r"Unknown ravdess channel 'sing'\. Did you mean 'song'"):
        load("ravdess", tmp_path, channel="sing")
    with pytest.raises(LMFError, match=r"Unknown tess option 'flod'\. Did you mean 'fold'"):
        load("tess", tmp_path, flod=1)
    with pytest.raises(LMFError, match=r"'savee': fold must be a whole number 0 … 3"):
        load("savee", tmp_path, fold=4)


def test_the_arrays_serve_what_they_hold(tmp_path: Path) -> None:
    """RAVDESS's film is in no array of ours, so that the download is asked for."""
    (tmp_path / "ravdess").mkdir()
    np.savez(tmp_path / "ravdess" / "ravdess_audio_video.npz", nothing=np.zeros(1))
    with pytest.raises(LMFError, match=r"ravdess_audio_video\.npz: key 'audio' is missing"):
        load("ravdess", tmp_path)
    with pytest.raises(LMFError, match=r"Corpus 'ravdess': .*\.wav does not exist"):
        load("ravdess", tmp_path, media="film")


def test_five_hundred_files_in_a_tree(tmp_path: Path) -> None:
    """All of EmoDB's names; half of them in an archive, and a hundred twice."""
    names = published.read("emodb").files[0].values["id"]
    folder = written(tmp_path / "emodb", *(f"wav/{name}.wav" for name in names[:335]))
    with zipfile.ZipFile(folder / "rest.zip", "w") as archive:
        for name in names[235:]:
            archive.writestr(f"wav/{name}.wav", b"x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = found("emodb", tmp_path, fold=9)
    assert sorted(row.id for row in rows.recordings.rows) == sorted(names)
    assert len(rows.copies) == 100
    assert Counter(row.split for row in rows.recordings.rows) == {
        "train": 535 - 71 - 49,
        "valid": 49,
        "test": 71,
    }
    assert sum(row.member is not None for row in rows.recordings.rows) == 200
