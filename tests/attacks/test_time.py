"""Small files that declare hours: they are refused before anything of them is judged."""

from __future__ import annotations

import struct
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from face_model import Model
from media_files import numbered

from keras_lmf.errors import LMFError
from keras_lmf.media import decode, windows


def slow_wav(path: Path) -> Path:
    """86,000 samples, one a second."""
    sound = np.random.default_rng(0).integers(-9999, 9999, 86_000).astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 1, 2, 2, 16)
    path.write_bytes(struct.pack("<4sI4s", b"RIFF", 36 + len(sound), b"WAVE") + form
                     + struct.pack("<4sI", b"data", len(sound)) + sound)  # fmt: skip
    return path


def gaps(path: Path, count: int = 100) -> Path:
    """A frame each 300 s."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered(number))
            frame.pts, frame.time_base = 300_000 * number, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def without_duration(path: Path) -> Path:
    """As a browser records it: Matroska's element "Duration" becomes one to be passed over."""
    content = path.read_bytes()
    assert content.count(b"\x44\x89\x88") == 1
    path.write_bytes(content.replace(b"\x44\x89\x88", b"\xec\x40\x08"))
    return path


MAKERS = {
    "slow.wav": slow_wav,
    "gaps.mkv": gaps,
    "gaps.mp4": gaps,
    "live.mkv": lambda p: without_duration(gaps(p)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_hours_in_a_few_bytes(tmp_path: Path, name: str) -> None:
    path = MAKERS[name](tmp_path / name)
    assert path.stat().st_size < 200_000
    model = Model()
    begin = time.perf_counter()
    for read in (decode, model.recognizer(), lambda path: next(windows(path, 3.0, max_seconds=9999))):
        with pytest.raises(LMFError, match=r"longer than \d+ s, the limit max_seconds"):
            read(path)
    assert not model.seen
    assert time.perf_counter() - begin < 5


def test_the_limit_can_be_raised(tmp_path: Path) -> None:
    path = gaps(tmp_path / "film.mkv", 2)
    model = Model()
    with pytest.raises(LMFError, match="longer than 60 s"):
        model.recognizer(max_seconds=60)(path)
    with pytest.raises(LMFError, match="no face"):
        model.recognizer(max_seconds=301)(path)
