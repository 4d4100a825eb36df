"""What is asked of a media file, checked; and times as whole numbers of steps."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.media.streams import THREADS

TRACKS = {"sound": "audio", "picture": "video"}  # our names, and FFmpeg's


@dataclass(frozen=True)
class Request:
    """The clips that are asked for: windows of `seconds`, one every `hop`; the rest as of `clips.decode`.

    Raises:
        LMFError: one of them is out of its range.
    """

    seconds: float
    hop: float
    sample_rate: int
    frame_rate: float
    size: tuple[int, int] | None
    tracks: tuple[str, ...]
    max_seconds: float
    max_frames: float
    max_pixels: int
    max_bytes: int
    start: float = 0.0
    clock: tuple[str, ...] | None = None
    threads: int = THREADS

    def __post_init__(self) -> None:
        # The limits first: `decode` asks for a window of max_seconds.
        limits = ("max_seconds", "max_frames", "max_pixels", "max_bytes")
        for name in (*limits, "sample_rate", "frame_rate", "seconds", "hop"):
            number = getattr(self, name)
            if not number > 0 or (number == math.inf and name != "max_frames"):
                raise LMFError(f"{name}={number!r}: it must be a finite number above 0.")
        if self.sample_rate != int(self.sample_rate):
            raise LMFError(
                f"sample_rate={self.sample_rate!r}: it must be a whole number of samples a second."
            )
        if exact(self.hop) * exact(self.frame_rate) < 1:
            raise LMFError(f"hop={self.hop!r}: it must be at least one frame, {1 / self.frame_rate:g} s.")
        for name in ("tracks", "clock"):
            words = getattr(self, name)
            if words is not None and (not words or not set(words) <= TRACKS.keys()):
                raise LMFError(f"{name}={words!r}: it must hold one or both of {', '.join(TRACKS)}.")
        if not 0 <= self.start < math.inf:
            raise LMFError(f"start={self.start!r}: it must be a number of seconds, at least 0.")
        size = self.size
        if size is not None and (len(size) != 2 or not all(side == int(side) and side > 0 for side in size)):
            raise LMFError(f"size={size!r}: it must be (height, width) in whole pixels.")

    def check_frames(self, path: Path, shown: deque[np.ndarray]) -> None:
        """Raise an LMFError if a clip of these frames is too large."""
        if len(shown) > self.max_frames:
            raise LMFError(
                f"{path}: the clip has more frames than max_frames={self.max_frames}. Raise max_frames, lower "
                "frame_rate, or read the file in parts with keras_lmf.media.windows."
            )
        if len(shown) * shown[0].nbytes > self.max_bytes:
            height, width = shown[0].shape[:2]
            raise LMFError(
                f"{path}: {len(shown)} frames of {width} × {height} pixels take more than "
                f"max_bytes={self.max_bytes}. Give a smaller size=(height, width), read shorter windows, or raise "
                "max_bytes."
            )


def exact(number: float | Fraction) -> Fraction:
    """What was meant by a number: 7/10 by 0.7, whose multiples are then exact."""
    return Fraction(number).limit_denominator(1_000_000)


def nearest(seconds: Fraction, rate: Fraction | int) -> int:
    """The number of the step nearest to a time; of two, always the later one."""
    return math.floor(seconds * rate + Fraction(1, 2))
