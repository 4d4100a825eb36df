"""What is allowed of a media file and of a clip, and of the arguments that ask for one."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_lmf.errors import LMFError

if TYPE_CHECKING:
    from av import CodecContext, VideoFrame


TRACKS = ("sound", "picture")
MAX_PIXELS = 2**26  # photos of phones have a quarter


@dataclass(frozen=True)
class Limits:
    """Of the file: seconds, and pixels of one stored frame. Of a clip: frames, and the bytes that they take."""

    seconds: float
    frames: float
    pixels: float
    bytes: float


def check_pixels(path: Path, frame: CodecContext | VideoFrame, limits: Limits) -> bool:
    if frame.width * frame.height > limits.pixels:
        raise LMFError(
            f"{path}: its picture has {frame.width} × {frame.height} pixels, the limit is "
            f"max_pixels={limits.pixels}. Raise max_pixels."
        )
    return True


def check_frames(path: Path, shown: deque[np.ndarray], limits: Limits) -> None:
    if len(shown) > limits.frames:
        raise LMFError(
            f"{path}: the clip has more frames than max_frames={limits.frames}. Raise max_frames, lower "
            "frame_rate, or read the file in parts with keras_lmf.data.windows."
        )
    if len(shown) * shown[0].nbytes > limits.bytes:
        height, width = shown[0].shape[:2]
        raise LMFError(
            f"{path}: {len(shown)} frames of {width} × {height} pixels take more than max_bytes={limits.bytes}. "
            "Give a smaller size=(height, width), read shorter windows, or raise max_bytes."
        )


@dataclass(frozen=True)
class Request:
    """The clips that are asked for: windows of `seconds`, one every `hop`, of these tracks, rates, size and limits.

    Raises:
        LMFError: one of them is out of its range.
    """

    seconds: float
    hop: float
    sample_rate: int
    frame_rate: float
    size: tuple[int, int] | None
    limits: Limits
    tracks: tuple[str, ...] = TRACKS

    def __post_init__(self) -> None:
        # The limits first: `decode` asks for a window of max_seconds.
        numbers = {f"max_{name}": limit for name, limit in vars(self.limits).items()}
        numbers |= {name: getattr(self, name) for name in ("sample_rate", "frame_rate", "seconds", "hop")}
        for name, number in numbers.items():
            if not number > 0 or (number == math.inf and name != "max_frames"):
                raise LMFError(f"{name}={number!r}: it must be a finite number above 0.")
        if self.sample_rate != int(self.sample_rate):
            raise LMFError(
                f"sample_rate={self.sample_rate!r}: it must be a whole number of samples a second."
            )
        if self.hop * self.frame_rate < 1:
            raise LMFError(f"hop={self.hop!r}: it must be at least one frame, {1 / self.frame_rate:g} s.")
        if not self.tracks or not set(self.tracks) <= set(TRACKS):
            raise LMFError(f"tracks={self.tracks!r}: it must hold one or both of {', '.join(TRACKS)}.")
        size = self.size
        if size is not None and (len(size) != 2 or not all(side == int(side) and side > 0 for side in size)):
            raise LMFError(f"size={size!r}: it must be (height, width) in whole pixels.")
