"""The files of a folder of clips: those that can't be used, what is kept of the others, and every container."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from clips import lines_of, tone, write_table
from media_files import numbered, write
from media_files import tone as columns

from keras_lmf.data import load
from keras_lmf.data.extraction import cache as cached
from keras_lmf.errors import LMFError

pytestmark = pytest.mark.usefixtures("cache")


BAD = {
    "missing": "no such file",
    "corrupt": "no media file, or a truncated one",
    "silent": "its sound is silent",
    "picture": "it has no sound that can be decoded",
    "long": "longer than 60 s",
    "folder": "this is a folder",
    "label": "label empty",
}


def add_bad(folder: Path, kind: str) -> list[str]:
    """A line for the table, whose clip can't be used."""
    path = folder / f"{kind}.wav"
    if kind == "corrupt":
        path.write_bytes(b"RIFF no more")
    elif kind == "silent":
        soundfile.write(path, np.zeros(8000), 16000)
    elif kind == "picture":
        path = write(folder / "picture.mp4", frames=[numbered(1)] * 3)
    elif kind == "long":
        soundfile.write(path, np.ones(61 * 1000), 1000)
    elif kind == "folder":
        path.mkdir()
    return [path.name, "" if kind == "label" else "calm", "anna"]


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_clip_is_left_out_and_named(folder: Path, kind: str):
    whole = load(folder, seconds=0.1)
    write_table(folder, [add_bad(folder, kind), *lines_of(folder)])
    with pytest.warns(
        UserWarning, match=f"1 of 31 clips can't be used:\n  labels.csv, line 2, {kind}.*: .*{BAD[kind]}"
    ):
        data = load(folder, seconds=0.1)
    assert data.fingerprint == whole.fingerprint


def test_more_than_a_tenth_bad_is_an_error(folder: Path):
    missing = [[f"none{number}.wav", "calm", "anna"] for number in range(12)]
    lines = lines_of(folder)
    write_table(folder, lines + missing[:3])
    with pytest.warns(UserWarning, match="3 of 33 clips"):
        load(folder, seconds=0.1)
    write_table(folder, lines + missing)
    with pytest.raises(LMFError) as error:
        load(folder, seconds=0.1)
    text = str(error.value)
    assert "12 of 42 clips can't be used" in text
    assert "more than 10%" in text
    assert "line 41, none9.wav: no such file" in text, "the tenth"
    assert "none10.wav" not in text
    assert "and 2 more" in text


def test_a_split_that_is_all_bad_is_an_error(folder: Path):
    """Otherwise a training would go on without validation."""
    lines = [[*line, "train" if line[2] in ("anna", "bert") else "test"] for line in lines_of(folder)]
    lines.append([add_bad(folder, "silent")[0], "calm", "zoe", "valid"])
    write_table(folder, lines, header="file,label,speaker,split")
    with pytest.raises(LMFError, match=r"nothing is left of the split 'valid'. 1 of 31 clips can't be used"):
        load(folder, seconds=0.1)


def test_good_clips_raise_no_warning(folder: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(folder, seconds=0.1)


def test_what_is_decoded_is_not_decoded_again(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    data = load(folder, seconds=0.5)
    assert len(list(cache.iterdir())) == 30
    monkeypatch.setattr(cached, "arrays", lambda *given: pytest.fail("decoded again"))
    assert load(folder, seconds=0.5).fingerprint == data.fingerprint
    moved = folder.rename(folder.with_name("elsewhere"))
    assert load(moved, seconds=0.5).inputs["voice"].shape == (30, 8000)


def test_a_changed_file_is_decoded_again(folder: Path):
    before = load(folder, seconds=0.5).inputs["voice"]
    changed = folder / lines_of(folder)[0][0]
    times = changed.stat()
    soundfile.write(changed, -tone("calm", phase=1), 16000)
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = load(folder, seconds=0.5).inputs["voice"]
    np.testing.assert_allclose(after[0], -before[0], atol=2**-14)
    np.testing.assert_array_equal(after[1:], before[1:])


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "other"])
def test_a_damaged_cache_is_made_again(folder: Path, cache: Path, damage: str):
    data = load(folder, seconds=0.5)
    place = sorted(cache.iterdir())[0]
    content = place.read_bytes()
    middle = len(content) // 2
    if damage == "other":
        np.savez(place, voice=np.zeros((2, 2)))
    else:
        place.write_bytes(
            {
                "truncated": content[:middle],
                "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
                "text": b"",
            }[damage]
        )
    assert load(folder, seconds=0.5).fingerprint == data.fingerprint
    assert place.read_bytes() == content


def test_a_folder_that_can_not_be_written(folder: Path, cache: Path):
    listing = sorted(folder.rglob("*"))
    for path in (folder, *listing):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        data = load(folder, seconds=0.1)
    finally:
        for path in (folder, *listing):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert len(data) == 30
    assert sorted(folder.rglob("*")) == listing, "nothing is written beside the clips"
    assert len(list(cache.iterdir())) == 30


def test_a_cache_that_can_not_be_written_is_a_warning(folder: Path, cache: Path):
    cache.parent.write_text("a file where the cache should be")
    with pytest.warns(UserWarning, match=f"{cache} can't be written.*KERAS_LMF_HOME"):
        data = load(folder, seconds=0.1)
    assert len(data) == 30


def test_any_container_and_rate(folder: Path):
    lines = lines_of(folder)
    write(
        folder / "film.mp4",
        sound=columns(1.0, 44100, 2),
        rate=44100,
        layout="stereo",
        frames=[numbered(1)] * 25,
    )
    write(folder / "phone.ogg", sound=columns(0.5, 48000), rate=48000, sound_codec="libopus")
    soundfile.write(folder / "narrow.wav", columns(0.5, 8000), 8000)
    write_table(folder, [[name, "calm", "anna"] for name in ("film.mp4", "phone.ogg", "narrow.wav")] + lines)
    voice = load(folder, seconds=2.0).inputs["voice"]
    for row, seconds in enumerate((1.0, 0.5, 0.5)):
        last = np.flatnonzero(voice[row])[-1] + 1
        assert last / 16000 == pytest.approx(seconds, abs=0.06)
        middle = voice[row, 2000:6000]
        spectrum = np.abs(np.fft.rfft(middle * np.hanning(4000), 40000))
        assert np.argmax(spectrum) * 0.4 == pytest.approx(440, abs=1)
        assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.5, rel=0.05)
