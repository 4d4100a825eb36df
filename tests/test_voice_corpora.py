"""RAVDESS's and EmoDB's voices against their files, whose names say speaker and emotion."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from real_corpora import ROOT, needs_data

from keras_lmf.data import Dataset, load
from keras_lmf.data.corpora import describe, published
from keras_lmf.errors import LMFError

EMODB_WORDS = dict(zip("WLEAFTN", ["angry", "bored", "disgust", "fearful", "happy", "sad", "neutral"]))


def agrees_with_file(data: Dataset, folder: Path, row: int) -> None:
    """The row of `voice` is the file of that id, cut or padded at the end."""
    expected, rate = soundfile.read(folder / f"{data.ids[row]}.flac", dtype="float32")
    voice = data.inputs["voice"][row]
    length = min(len(expected), len(voice))
    assert rate == 16000
    np.testing.assert_array_equal(voice[:length], expected[:length])
    assert not voice[length:].any()


@pytest.mark.long
@needs_data
def test_ravdess_voice_is_the_take():
    data = load("ravdess", seconds=2.5)
    folder = Path(ROOT) / "ravdess" / "flac16k"
    assert data.inputs["voice"].shape == (1440, 40000)
    assert data.inputs["voice"].dtype == np.float32
    assert "voice" not in data.masks
    lengths = np.array([soundfile.info(folder / f"{name}.flac").frames for name in data.ids])
    for row in (0, 777, 1439, int(lengths.argmin()), int(lengths.argmax())):
        agrees_with_file(data, folder, row)
    assert lengths.min() < 40000 < lengths.max(), "some are padded, some are cut"
    assert [int(name.split("-")[2]) - 1 for name in data.ids] == data.labels.tolist()
    without = load("ravdess")
    assert list(without.inputs) == ["audio", "audio_statistics", "video"]
    assert data.select(list(without.inputs)).fingerprint == without.fingerprint
    assert set(data.inputs) == set(describe("ravdess", Path(), ()).inputs)


@needs_data
def test_emodb_is_its_files():
    data = load("emodb")
    folder = Path(ROOT) / "emodb" / "flac16k"
    names = sorted(path.stem for path in folder.iterdir())
    assert data.ids.tolist() == names
    assert data.inputs["voice"].shape == (535, 32000)
    assert list(data.inputs) == list(describe("emodb", Path(), ()).inputs)
    for row in (0, 100, 534):
        agrees_with_file(data, folder, row)
    words = [data.target.classes[label] for label in data.labels]
    assert words == [EMODB_WORDS[name[5]] for name in names]
    # The counts that the field's papers report.
    published = {
        "angry": 127,
        "bored": 81,
        "disgust": 46,
        "fearful": 69,
        "happy": 71,
        "neutral": 79,
        "sad": 62,
    }
    assert Counter(words) == published
    assert data.groups.tolist() == [f"speaker_{name[:2]}" for name in names]


@pytest.mark.long
@needs_data
def test_emodb_leaves_one_speaker_out():
    tested, validated = [], []
    for fold in range(10):
        data = load("emodb", fold=fold, seconds=0.01)
        train, valid, test = (set(data[name].groups) for name in ("train", "valid", "test"))
        assert (len(train), len(valid), len(test)) == (8, 1, 1)
        assert len(train | valid | test) == 10
        tested += test
        validated += valid
    assert tested == sorted(set(data.groups))
    assert validated == tested[1:] + tested[:1]


@pytest.mark.parametrize("name", ["ravdess", "emodb"])
@pytest.mark.parametrize("seconds", [0, -1, 61, float("nan"), "2", True])
def test_seconds_out_of_their_range(name, seconds):
    with pytest.raises(LMFError, match=f"Corpus '{name}': seconds(:| must be a number above 0 and up to 60)"):
        load(name, seconds=seconds)


@pytest.fixture
def short_recordings(tmp_path: Path) -> Path:
    """The folder of an EmoDB whose 535 recordings are very short."""
    folder = tmp_path / "emodb" / "flac16k"
    folder.mkdir(parents=True)
    soundfile.write(folder / "03a01Fa.flac", np.full(800, 0.25), 16000)
    content = (folder / "03a01Fa.flac").read_bytes()
    for name in published.read("emodb").files[0].values["id"]:
        (folder / f"{name}.flac").write_bytes(content)
    return folder


def test_emodb_short_recordings_are_padded(short_recordings: Path):
    voice = load("emodb", short_recordings.parents[1], seconds=0.1).inputs["voice"]
    np.testing.assert_array_equal(voice, np.tile([0.25] * 800 + [0] * 800, (535, 1)).astype(np.float32))


def test_emodb_with_a_wrong_file(short_recordings: Path):
    root = short_recordings.parents[1]
    (short_recordings / "03a01Fa.flac").write_bytes(b"fLaC and no more")
    with pytest.raises(LMFError, match=r"03a01Fa\.flac: no media file, or a truncated one"):
        load("emodb", root)
    (short_recordings / "03a01Xa.flac").write_bytes(b"")
    with pytest.raises(LMFError, match=r"03a01Xa\.flac: no file of emodb has this name"):
        load("emodb", root)
    (short_recordings / "03a01Xa.flac").unlink()
    (short_recordings / "03a01Fa.flac").unlink()
    with pytest.raises(LMFError, match=r"534 files \(\.flac\), emodb has 535"):
        load("emodb", root)


@needs_data
def test_ravdess_without_a_sound_file(tmp_path: Path):
    (tmp_path / "ravdess" / "flac16k").mkdir(parents=True)
    (tmp_path / "ravdess" / "ravdess_audio_video.npz").symlink_to(
        Path(ROOT) / "ravdess" / "ravdess_audio_video.npz"
    )
    assert len(load("ravdess", tmp_path)) == 1440
    with pytest.raises(LMFError, match=r"flac16k/03-01-.*\.flac: no such file"):
        load("ravdess", tmp_path, seconds=1.0)
