"""What a media file or a caller does wrong is one error that says what, where, what is allowed and how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from media_files import numbered, numbers, open_files, tone, write

from keras_lmf.data import decode, windows
from keras_lmf.errors import LMFError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whole files of 4 s, to be damaged."""
    folder = tmp_path_factory.mktemp("whole")
    frames = [numbered(i) for i in range(100)]
    sound = tone(4, 48000)
    first = {"movflags": "faststart"}
    write(folder / "index_first.mp4", sound=sound, frames=frames, options=first)
    write(folder / "index_last.mp4", sound=sound, frames=frames)
    write(folder / "a.mkv", sound=sound, frames=frames)
    write(folder / "a.ts", sound=sound, frames=frames)
    write(folder / "picture.mp4", frames=frames, options=first)
    write(folder / "a.wav", sound=sound, sound_codec="pcm_s16le")
    write(folder / "a.flac", sound=sound, sound_codec="flac")
    write(folder / "a.mp3", sound=sound, sound_codec="mp3")
    return folder


def damaged(path: Path, to: Path, change: Callable[[bytes], bytes]) -> Path:
    copy = to / path.name
    copy.write_bytes(change(path.read_bytes()))
    return copy


def test_what_is_no_media_file(tmp_path: Path) -> None:
    text = "An ordinary line of text.\n" * 200
    cases = {
        "notes.txt": (text, "no media file.*FFmpeg takes it for text or a list of other files"),
        "notes.mp4": (text, r"no media file, or a truncated one \(Invalid data found .*; 5200 bytes\)"),
        "empty.mp4": ("", "no media file, or a truncated one"),
        "list.m3u8": (
            "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:4,\nhttp://127.0.0.1:9/a.ts\n",
            "no media file",
        ),
        "a.srt": ("1\n00:00:00,000 --> 00:00:02,000\nHello\n", "no sound and no picture.*streams: subtitle"),
        "a.ffconcat": ("ffconcat version 1.0\nfile notes.mp4\n", "no media file"),
    }
    before = open_files()
    for name, (content, message) in cases.items():
        path = tmp_path / name
        path.write_text(content)
        with pytest.raises(LMFError, match=message) as error:
            decode(path)
        assert str(path) in str(error.value)
    with pytest.raises(LMFError, match=r"none\.mp4: no such file"):
        decode(tmp_path / "none.mp4")
    with pytest.raises(LMFError, match="this is a folder; give a file in it"):
        next(windows(tmp_path))
    assert open_files() == before


@pytest.mark.parametrize(
    ("name", "part", "message"),
    [
        ("index_first.mp4", 0.4, r"truncated: its index reaches to byte \d+, the file has \d+"),
        ("index_first.mp4", 0.98, "truncated: its index"),
        ("index_last.mp4", 0.4, "no media file, or a truncated one"),
        ("index_last.mp4", 0.98, "no media file, or a truncated one"),
        ("a.mkv", 0.4, r"truncated: its header says 4\.\d\d s, its streams end at [12]\.\d\d s"),
        ("a.wav", 0.4, r"truncated: its index reaches to byte \d+, the file has \d+"),
        ("a.flac", 0.4, "the audio stream can't be decoded"),
    ],
)
def test_truncated(folder: Path, tmp_path: Path, name: str, part: float, message: str) -> None:
    path = damaged(folder / name, tmp_path, lambda content: content[: int(part * len(content))])
    before = open_files()
    with pytest.raises(LMFError, match=message) as error:
        decode(path)
    assert str(path) in str(error.value)
    assert open_files() == before


@pytest.mark.parametrize("name", ["index_first.mp4", "picture.mp4", "a.mp3", "a.mkv"])
def test_damage_in_the_middle(folder: Path, tmp_path: Path, name: str) -> None:
    """The windows before the damage come; the one that it lies in is an error that says when."""

    def noise(content: bytes) -> bytes:
        middle = int(0.7 * len(content))
        wild = np.random.default_rng(0).bytes(500)
        return content[:middle] + wild + content[middle + len(wild) :]

    path = damaged(folder / name, tmp_path, noise)
    with pytest.raises(LMFError, match=r"damaged or truncated: after \d\.\d\d s") as error:
        decode(path)
    assert str(path) in str(error.value)
    assert "ffmpeg -i" in str(error.value)
    parts = windows(path, 0.2)
    whole = list(zip(range(5), parts))
    assert len(whole) == 5
    with pytest.raises(LMFError, match="damaged or truncated"):
        list(parts)


def test_a_cut_that_a_format_without_a_length_hides(folder: Path, tmp_path: Path) -> None:
    """The documented limit: such a file is as good as a shorter one."""
    path = damaged(folder / "a.ts", tmp_path, lambda content: content[: 188 * 300])
    clip = decode(path)
    assert 1 < clip.duration < 3
    assert numbers(clip.frames[2:30]) == list(range(1, 29))


def test_damage_before_the_first_frame_is_skipped(folder: Path, tmp_path: Path) -> None:
    """A stretch cut out of a recording begins within a frame."""
    path = damaged(folder / "a.ts", tmp_path, lambda content: content[188 * 200 :])
    clip = decode(path)
    assert clip.has_sound
    assert 1 < clip.duration < 4


def test_joined_bytes(folder: Path, tmp_path: Path) -> None:
    path = damaged(folder / "a.ts", tmp_path, lambda content: content + content)
    with pytest.raises(LMFError, match=r"the clock of the \w+ stream goes back from .* concat"):
        decode(path)


def test_limits(folder: Path) -> None:
    path = folder / "index_first.mp4"
    whole = decode(path, max_seconds=4.1, max_frames=101, max_pixels=48 * 64, max_bytes=101 * 48 * 64 * 3)
    assert len(whole.frames) in (100, 101)
    with pytest.raises(
        LMFError, match=r"longer than 3\.5 s, the limit max_seconds\. .*raise the limit; .*windows"
    ):
        decode(path, max_seconds=3.5)
    with pytest.raises(LMFError, match="longer than 2 s"):
        decode(folder / "a.wav", max_seconds=2)
    with pytest.raises(LMFError, match=r"more frames than max_frames=99\. Raise max_frames"):
        decode(path, max_frames=99)
    assert decode(folder / "a.wav", max_frames=1).duration == 4
    with pytest.raises(LMFError, match=r"64 × 48 pixels, the limit is max_pixels=3000\. Raise max_pixels"):
        decode(path, max_pixels=3000)
    with pytest.raises(
        LMFError, match=r"11 frames of 64 × 48 pixels take more than max_bytes=100000\. .*size="
    ):
        decode(path, max_bytes=100_000)
    assert len(list(windows(path, 0.4, max_bytes=100_000))) >= 10
    with pytest.raises(LMFError, match="shorter windows"):
        next(windows(path, 0.5, max_bytes=100_000))
    with pytest.raises(LMFError, match=r"longer than 2\.5 s"):
        next(windows(path, 1.0, max_seconds=2.5))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sample_rate", 0, "above 0"),
        ("sample_rate", 16000.5, "whole number"),
        ("frame_rate", -1, "above 0"),
        ("frame_rate", float("nan"), "above 0"),
        ("size", (0, 3), "height, width"),
        ("size", (3,), "height, width"),
        ("max_seconds", float("inf"), "finite"),
        ("max_pixels", 0, "above 0"),
        ("seconds", 0, "above 0"),
        ("hop", -2, "above 0"),
        ("hop", 0.001, "at least one frame, 0.04 s"),
    ],
)
def test_arguments(folder: Path, name: str, value: object, message: str) -> None:
    with pytest.raises(LMFError, match=f"{name}=.*{message}"):
        next(windows(folder / "a.wav", **{name: value}))
    if name not in ("seconds", "hop"):
        with pytest.raises(LMFError, match=f"{name}=.*{message}"):
            decode(folder / "a.wav", **{name: value})


def test_without_pyav(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(LMFError, match=r'This needs av.*pip install "keras-lmf\[media\]"'):
        decode(folder / "a.wav")
