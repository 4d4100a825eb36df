"""Folders of drawn clips: files, formats, determinism, interruption, refusals."""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from pathlib import Path

import av
import pytest

from keras_lmf.data import decode
from keras_lmf.data.corpora import synthetic_clips
from keras_lmf.data.corpora.synthetic_clips import EMOTIONS, LABELS, write
from keras_lmf.errors import LMFError


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_labels_list_exactly_the_files(tmp_path: Path) -> None:
    folder = write(tmp_path / "made", clips=20, speakers=2, seconds=0.5, size=(32, 32))
    with (folder / LABELS).open(newline="", encoding="utf-8") as stream:
        listed = list(csv.DictReader(stream))
    assert list(listed[0]) == ["file", "label", "speaker"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [LABELS, *(row["file"] for row in listed)]
    )
    assert all(row["file"].endswith(".mp4") for row in listed)
    cells = Counter((row["speaker"], row["label"]) for row in listed)
    assert len(cells) == 2 * len(EMOTIONS)
    assert set(cells.values()) == {2}


def test_codecs_and_options(tmp_path: Path) -> None:
    write(tmp_path, clips=1, speakers=1, emotions=["sad"], seconds=1.26, size=(48, 64), frame_rate=10,
          sample_rate=22050)  # fmt: skip
    with av.open(tmp_path / "00000.mp4") as container:
        picture, voice = container.streams.video[0], container.streams.audio[0]
        assert (picture.codec_context.name, picture.height, picture.width) == ("h264", 48, 64)
        assert (picture.frames, picture.average_rate) == (13, 10)
        assert (voice.codec_context.name, voice.rate, voice.layout.name) == ("aac", 22050, "mono")
    clip = decode(tmp_path / "00000.mp4", frame_rate=10)
    assert clip.frames.shape == (13, 48, 64, 3)
    assert clip.duration == 1.3


def test_without_libx264(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    for name in ("a", "b"):
        write(tmp_path / name, clips=1, speakers=1)
    with av.open(tmp_path / "a" / "00000.mp4") as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert len(decode(tmp_path / "a" / "00000.mp4").frames) == 50
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    first, again, other = (
        contents(write(tmp_path / name, clips=3, speakers=2, seconds=0.6, seed=seed))
        for name, seed in (("first", 5), ("again", 5), ("other", 6))
    )
    assert first == again
    media = [name for name in first if name != LABELS]
    assert all(first[name] != other[name] for name in media)
    assert len({first[name] for name in media}) == 3
    more = contents(write(tmp_path / "more", clips=5, speakers=2, seconds=0.6, seed=5))
    assert all(more[name] == first[name] for name in media)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_is_interrupted_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    options = {"clips": 3, "speakers": 1, "seconds": 1.2}
    draw, pieces = synthetic_clips.frames, []

    def interrupted(*arguments: object):
        for piece in draw(*arguments):
            pieces.append(piece)
            if len(pieces) == 4:  # the second clip's second piece
                raise error
            yield piece

    monkeypatch.setattr(synthetic_clips, "frames", interrupted)
    with pytest.raises(error):
        write(tmp_path / "a", **options)
    monkeypatch.setattr(synthetic_clips, "frames", draw)
    assert os.listdir(tmp_path / "a") == ["00000.mp4"]
    assert len(decode(tmp_path / "a" / "00000.mp4").frames) == 30
    # The same call then does it all.
    (tmp_path / "a" / ".partial-x.mp4").write_bytes(b"of a killed process")
    assert contents(write(tmp_path / "a", **options)) == contents(write(tmp_path / "b", **options))


@pytest.mark.parametrize("name", [LABELS, "holiday.mp4", "00002.mp4"])
def test_no_other_folder_is_written_into(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(LMFError, match=f"holds '{name}' already; give a new or empty folder"):
        write(tmp_path, clips=2, speakers=1)
    assert contents(tmp_path) == {name: b"mine"}
    with pytest.raises(LMFError, match="this is a file"):
        write(tmp_path / name, clips=2, speakers=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": 0}, "clips must be a whole number 1 … 100000, received 0"),
        ({"clips": 2.0}, "clips must be .* received 2.0"),
        ({"clips": True}, "clips must be .* received True"),
        ({"clips": 5}, "speakers must be a whole number 1 … 5, received 10"),
        ({"speakers": 0}, "speakers must be .* received 0"),
        ({"seed": -1}, "seed must be .* received -1"),
        ({"frame_rate": 4}, "frame_rate must be a whole number 5 … 60, received 4"),
        ({"frame_rate": 29.97}, "frame_rate must be .* received 29.97"),
        ({"seconds": 0.4}, "seconds=0.4: it must be a number from 0.5 to 60"),
        ({"seconds": float("nan")}, "seconds=nan"),
        ({"seconds": "2"}, "seconds='2'"),
        ({"sample_rate": 16001}, "sample_rate=16001: .*16000"),
        ({"size": (96, 97)}, r"size=\(96, 97\): .*even numbers of pixels from 32 to 512"),
        ({"size": 96}, "size=96"),
        ({"size": (96, 96, 3)}, r"size=\(96, 96, 3\)"),
        ({"size": (1024, 1024)}, r"size=\(1024, 1024\)"),
        ({"emotions": ["hapy"]}, "Unknown emotion 'hapy'. Did you mean 'happy'"),
        ({"emotions": "happy"}, "emotions='happy': it must be one or more different names"),
        ({"emotions": ()}, r"emotions=\(\)"),
        ({"emotions": ("sad", "sad")}, r"emotions=\('sad', 'sad'\)"),
    ],
)
def test_arguments_out_of_range(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(LMFError, match=message):
        write(tmp_path / "a", **options)
    assert not (tmp_path / "a").exists()


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(LMFError, match=r"keras-lmf\[media\]"):
        write(tmp_path / "a")
    assert not (tmp_path / "a").exists()
