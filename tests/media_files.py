"""Small media files whose content is known: tones, clicks, and frames that carry their number."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

HEIGHT, WIDTH = 48, 64
BITS = 8
TICK = Fraction(1, 1000)  # of the frame times that `write` takes


def tone(seconds: float, rate: int, channels: int = 1, frequency: float = 440.0) -> np.ndarray:
    """A sine of amplitude 0.5, the same in all channels: (samples, channels)."""
    wave = 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def numbered(number: int) -> np.ndarray:
    """A frame (HEIGHT, WIDTH, 3) whose vertical bars are the bits of `number`, the lowest on the left."""
    bits = (number >> np.arange(BITS)) & 1
    row = np.repeat(bits, WIDTH // BITS)
    return np.broadcast_to((row * 255).astype(np.uint8)[None, :, None], (HEIGHT, WIDTH, 3)).copy()


def number_of(frame: np.ndarray) -> int:
    """The number that `numbered` drew."""
    bars = frame.reshape(len(frame), BITS, -1).mean(axis=(0, 2)) > 127
    return int(bars @ (1 << np.arange(BITS)))


def numbers(frames: Iterable[np.ndarray]) -> list[int]:
    return [number_of(frame) for frame in frames]


def write(
    path: Path,
    *,
    sound: np.ndarray | None = None,
    rate: int = 48000,
    layout: str = "mono",
    sound_codec: str = "aac",
    sound_start: float = 0.0,
    sound_gap: tuple[float, float] = (0, 0),
    frames: Sequence[np.ndarray] | None = None,
    times: Sequence[int] | None = None,
    picture_codec: str = "libx264",
    frame_rate: int = 25,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode `sound` (samples, channels) from `sound_start` seconds on, and `frames` at `times` milliseconds.

    Without `times`, the frames are `frame_rate` a second from 0 on. Sound within `sound_gap`, seconds of the
    array in tenths, is left out.
    """
    with av.open(path, "w", options=options or {}) as container:
        packets = []
        if frames is not None:
            picture = container.add_stream(picture_codec, rate=frame_rate)
            picture.height, picture.width = frames[0].shape[:2]
            picture.pix_fmt = "yuv420p"
            if picture_codec == "libx264":
                picture.options = {"crf": "10", "preset": "veryfast"}
            else:
                picture.bit_rate = 2_000_000
            if times is not None:
                picture.codec_context.time_base = TICK
            for index, array in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(array, format="rgb24")
                frame.time_base = Fraction(1, frame_rate) if times is None else TICK
                frame.pts = index if times is None else times[index]
                packets += picture.encode(frame)
            packets += picture.encode(None)
        if sound is not None:
            voice = container.add_stream(sound_codec, rate=rate, layout=layout)
            step = rate // 10
            for start in range(0, len(sound), step):
                if sound_gap[0] <= start / rate < sound_gap[1]:
                    continue
                piece = np.ascontiguousarray(sound[start : start + step]).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(piece, format="flt", layout=layout)
                frame.sample_rate = rate
                frame.time_base = Fraction(1, rate)
                frame.pts = start + round(sound_start * rate)
                packets += voice.encode(frame)
            packets += voice.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def with_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write a display matrix into the first track header of an .mp4: (x, y) goes to (ax + cy, bx + dy)."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # after the version 0 fields
    one = 1 << 16
    content[matrix : matrix + 36] = struct.pack(
        ">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30
    )
    path.write_bytes(content)
    return path


def open_files() -> int:
    """How many files this process holds open."""
    return len(os.listdir("/proc/self/fd"))
