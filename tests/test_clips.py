"""A folder of one's own clips: what becomes of it, how it is split, and what is refused."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from clips import SPEAKERS, lines_of, make_clips, write_table
from media_files import numbered, write
from media_files import tone as columns

from keras_lmf.data import decode, load
from keras_lmf.data.corpora import clips
from keras_lmf.errors import LMFError
from keras_lmf.media.sound import decode_sound

pytestmark = pytest.mark.usefixtures("cache")

SPLITS = ("train", "valid", "test")


def speakers(data) -> dict[str, set[str]]:
    return {name: set(data[name].groups) for name in data.split_names}


def test_a_folder_is_a_dataset(folder: Path):
    data = load(folder, seconds=0.6)
    assert data.name == "my_clips"
    assert data.target.name == "emotion"
    assert data.target.classes == ("calm", "excited")
    assert data.ids.tolist() == [line[0] for line in lines_of(folder)]
    assert data.groups.tolist() == [line[2] for line in lines_of(folder)]
    assert [data.target.classes[label] for label in data.labels] == [line[1] for line in lines_of(folder)]
    assert list(data.inputs) == ["voice"]
    assert data.masks == {}
    voice = data.inputs["voice"]
    assert (voice.shape, voice.dtype) == ((30, 9600), np.float32)
    for row in (0, 3, 29):
        expected, _ = soundfile.read(folder / data.ids[row], dtype="float32")
        # Sound is kept in 16 bits, of which 32767 is 1.
        np.testing.assert_allclose(voice[row, :8000], expected, atol=2**-15)
        assert not voice[row, 8000:].any()
    cut = load(folder, seconds=0.25).inputs["voice"]
    np.testing.assert_array_equal(cut, voice[:, :4000])


def test_every_way_to_name_it(folder: Path, monkeypatch: pytest.MonkeyPatch):
    data = load(str(folder), seconds=0.1)
    assert load("clips", folder, seconds=0.1).fingerprint == data.fingerprint
    assert load("my_clips", folder.parent, seconds=0.1).fingerprint == data.fingerprint
    monkeypatch.setenv("KERAS_LMF_DATA", str(folder))
    assert load("clips", seconds=0.1).fingerprint == data.fingerprint
    assert load("clips", seconds=0.1, target="mood").target.name == "mood"


def test_where_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KERAS_LMF_DATA", raising=False)
    with pytest.raises(
        LMFError,
        match=r"where are your clips\? Pass root=… \(or --data\), or run `export KERAS_LMF_DATA",
    ):
        load("clips")
    with pytest.raises(LMFError, match=r"labels\.csv does not exist\. It is a table with the columns file"):
        load("clips", tmp_path)
    with pytest.raises(LMFError, match=r"Unknown corpus .*or of a folder of clips that holds labels\.csv"):
        load(tmp_path)
    write_table(tmp_path, [])
    with pytest.raises(LMFError, match=r"It is a folder of clips .*, the corpus 'clips'"):
        load("cmu_mosi", tmp_path)
    with pytest.raises(LMFError, match=r"Unknown clips option 'second'\. Did you mean 'seconds'"):
        load("clips", tmp_path, second=1)


@pytest.mark.parametrize("count", [3, 4, 5, 10, 21])
def test_speakers_are_drawn_sixty_twenty_twenty(tmp_path: Path, count: int):
    names = [f"speaker {number}" for number in range(count)]
    lines = make_clips(tmp_path / "clips", names, takes=1)
    drawn = speakers(load(tmp_path / "clips", seconds=0.01))
    assert {name: len(group) for name, group in drawn.items()} == {
        "train": count - 2 * max(1, round(count / 5)),
        "valid": max(1, round(count / 5)),
        "test": max(1, round(count / 5)),
    }
    assert drawn["train"] | drawn["valid"] | drawn["test"] == set(names)
    write_table(tmp_path / "clips", lines[::-1])
    assert speakers(load(tmp_path / "clips", seconds=0.01)) == drawn, "the table's order says nothing"


def test_the_seed_draws_other_speakers(folder: Path):
    tested = {tuple(speakers(load(folder, seconds=0.01, seed=seed))["test"]) for seed in range(40)}
    assert tested == {(name,) for name in SPEAKERS}


def test_a_split_column_decides(folder: Path):
    wanted = dict(zip(SPEAKERS, ["test", "train", "train", "valid", "test"]))
    write_table(folder, [[*line, wanted[line[2]]] for line in lines_of(folder)], "file,label,speaker,split")
    data = load(folder, seconds=0.01)
    assert dict(zip(data.groups.tolist(), data.splits.tolist())) == wanted


@pytest.mark.parametrize("names", [("anna",), ("anna", "bert")])
def test_too_few_speakers(tmp_path: Path, names: tuple[str, ...]):
    make_clips(tmp_path / "clips", names)
    with pytest.raises(LMFError, match=rf"{len(names)} speakers? \({', '.join(names)}\)\. .* three at least"):
        load(tmp_path / "clips")


def test_two_speakers_do_with_a_split_column(tmp_path: Path):
    lines = make_clips(tmp_path, ("anna", "bert"))
    split = {"anna": "train", "bert": "test"}
    write_table(tmp_path, [[*line, split[line[2]]] for line in lines], "file,label,speaker,split")
    assert load(tmp_path, seconds=0.1).split_names == ("train", "test")


def class_folder(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def test_folders_of_splits_and_classes(tmp_path: Path):
    places = [f"{split}/{label}" for split in SPLITS for label in ("happy", "sad")]
    found = clips.recordings(class_folder(tmp_path, *(f"{place}/a.wav" for place in places)))
    assert found.target.classes == ("happy", "sad")
    assert {f"{row.split}/{row.label}/a.wav" for row in found.rows} == {row.id for row in found.rows}
    assert sorted(row.id for row in found.rows) == sorted(f"{place}/a.wav" for place in places)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["train/happy/a.wav", "dev/sad/b.wav"], r"'dev/sad/b\.wav'.*class/file"),
        (["happy/a.wav", "sad/anna/b.wav"], r"'sad/anna/b\.wav'.*class/file"),
        (["train/a.wav", "test/b.wav"], r"'test/b\.wav'.*split/class/file"),
        (["happy/a.wav", "Happy/b.wav", "sad/c.wav"], "'Happy' is also written 'happy'"),
    ],
)
def test_folders_that_are_neither(tmp_path: Path, files: list[str], words: str):
    with pytest.raises(LMFError, match=words):
        clips.recordings(class_folder(tmp_path, *files))


def test_accents_of_folders_are_one_letter_or_two(tmp_path: Path):
    names = [unicodedata.normalize(form, "gelöst") for form in ("NFC", "NFD")]
    files = [f"{name}/{number}.wav" for number, name in enumerate(names)]
    found = clips.recordings(class_folder(tmp_path, *files, "a/1.wav", "a/2.wav", "a/3.wav"), seed=1)
    assert found.target.classes == ("a", names[0])


def test_a_speaker_in_two_splits(folder: Path):
    lines = [[*line, "test" if line[2] == "emil" else "train"] for line in lines_of(folder)]
    lines[7][3] = "test"
    write_table(folder, lines, "file,label,speaker,split")
    with pytest.raises(LMFError, match=r"'bert' is in two splits, 'train' .*line 8.* and 'test' .*line 9"):
        load(folder)


@pytest.mark.parametrize(
    ("split", "words"),
    [("", "line 5: the split is empty"), ("trian", r"line 5.*'trian'\. Did you mean 'train'")],
)
def test_a_wrong_split(folder: Path, split: str, words: str):
    lines = [[*line, "train"] for line in lines_of(folder)]
    lines[3][3] = split
    write_table(folder, lines, "file,label,speaker,split")
    with pytest.raises(LMFError, match=words):
        load(folder)


def test_one_label(folder: Path):
    write_table(folder, [[file, "calm", speaker] for file, _, speaker in lines_of(folder)])
    with pytest.raises(LMFError, match="every label is 'calm'"):
        load(folder)


def test_a_label_that_no_training_clip_has(folder: Path, monkeypatch: pytest.MonkeyPatch):
    tested = next(iter(speakers(load(folder, seconds=0.01))["test"]))
    lines = lines_of(folder)
    next(line for line in lines if line[2] == tested)[1] = "bored"
    write_table(folder, lines)
    monkeypatch.setattr(clips, "dataset", lambda *given: pytest.fail("something was decoded"))
    with pytest.raises(LMFError, match=rf"no training clip has the label 'bored'.* {tested} \(test\)\. Try"):
        load(folder)


def test_sound_alone_is_the_sound_of_decode(tmp_path: Path):
    path = write(
        tmp_path / "late.mp4",
        sound=columns(1.0, 48000),
        sound_start=0.4,
        frames=[numbered(n) for n in range(40)],
    )
    alone, whole = decode_sound(path), decode(path)
    late = np.flatnonzero(whole.waveform)[0] - np.flatnonzero(alone)[0]
    assert late == pytest.approx(0.4 * 16000, abs=0.03 * 16000)
    common = min(len(alone), len(whole.waveform) - late)
    assert common > 15000
    np.testing.assert_allclose(alone[:common], whole.waveform[late : late + common], atol=1e-6)
    wave = tmp_path / "voice.wav"
    soundfile.write(wave, columns(0.7, 22050), 22050)
    np.testing.assert_array_equal(decode_sound(wave), decode(wave).waveform)


@pytest.mark.parametrize("option", [{"seconds": 0}, {"seconds": 61}, {"seed": -1}, {"seed": 0.5}])
def test_options_out_of_their_range(folder: Path, option: dict):
    with pytest.raises(LMFError, match=f"Corpus 'clips': {next(iter(option))}(:| must be)"):
        load(folder, **option)


def test_without_pyav_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(LMFError, match=r"keras-lmf\[media\]"):
        load(folder)
