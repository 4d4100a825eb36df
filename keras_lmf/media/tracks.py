"""The sound and the picture of a file, read forward as far as is asked, and held no longer than is asked."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from keras_lmf.errors import import_extra
from keras_lmf.media.streams import Timed

if TYPE_CHECKING:
    import av

# Less than one frame of a codec, so that a lost one shows; more than the jitter of rounded timestamps.
_GAP = Fraction(20, 1000)
# How long a picture's first frame stands before it, and its last one after it: tracks seldom begin and end together.
_STANDS = Fraction(1, 2)


class Sound:
    """The samples of one stream: resampled, mixed to mono, and placed by timestamps.

    Args:
        frames: the decoded frames, at least one.
        rate: samples a second that are asked.

    Attributes:
        first: seconds of the first sample, by the file's timestamps.
        end: seconds at which the samples read so far end.
        exhausted: whether all are read.
    """

    def __init__(self, frames: Iterator[Timed], rate: int) -> None:
        self.rate = rate
        self.exhausted = False
        self._pieces = _resampled(frames, rate)
        self._held: deque[tuple[Fraction, np.ndarray]] = deque()
        self.first = self.end = Fraction(0)
        self._pull()
        if self._held:
            self.first = self._held[0][0]

    def read(self, until: Fraction) -> None:
        """Decode until the samples reach `until` seconds or end."""
        while not self.exhausted and self.end < until:
            self._pull()

    def take(self, zero: Fraction, start: int, stop: int) -> np.ndarray:
        """Samples number `start` to `stop`, counted from `zero` seconds: (stop − start,) float32 in [-1, 1].

        Where the stream has none, they are 0. Samples before `start` are forgotten.
        """
        taken = np.zeros(stop - start, np.float32)
        held: deque[tuple[Fraction, np.ndarray]] = deque()
        for time, samples in self._held:
            at = round((time - zero) * self.rate) - start
            if at + len(samples) > 0:
                held.append((time, samples))
                inside = samples[max(0, -at) : max(0, len(taken) - at)]
                taken[max(0, at) : max(0, at) + len(inside)] = inside
        self._held = held
        # Lossy codecs and the resampler overshoot at peaks, and files of floats may hold any number.
        return np.clip(np.nan_to_num(taken, copy=False), -1, 1, out=taken)

    def _pull(self) -> None:
        time, samples = next(self._pieces, (self.end, None))
        if samples is None:
            self.exhausted = True
        else:
            self._held.append((time, samples))
            self.end = max(self.end, time + Fraction(len(samples), self.rate))


def _resampled(frames: Iterator[Timed], rate: int) -> Iterator[tuple[Fraction, np.ndarray]]:
    """Mono float32 samples with the seconds at which they start.

    Frames that follow one another are resampled as one signal, whose samples are counted from its first
    timestamp. After a gap, and where rate or channels change, a new signal begins.
    """
    av = import_extra("av", "media")
    resampler = kind = start = end = None
    count = 0

    def resample(frame: av.AudioFrame | None) -> Iterator[tuple[Fraction, np.ndarray]]:
        nonlocal count
        for piece in resampler.resample(frame):
            if piece.samples:
                yield start + Fraction(count, rate), piece.to_ndarray().reshape(-1)
                count += piece.samples

    for timed in frames:
        frame = timed.frame
        now = frame.format.name, frame.layout.name, frame.sample_rate
        if kind != now or abs(timed.start - end) > _GAP:
            if resampler:
                yield from resample(None)
            # Weights of the mix that add up to at most 1: it can't clip.
            resampler = av.AudioResampler("flt", "mono", rate, options={"rematrix_maxval": "1"})
            kind, start, count = now, timed.start, 0
            end = start
        yield from resample(frame)
        end += timed.end - timed.start
    if resampler:
        yield from resample(None)


class Picture:
    """The frames of one stream, of which the one shown at a given time can be had, later and later.

    Args:
        frames: the decoded frames, at least one.
        size: (height, width) to which frames are scaled; None: that of the first one.

    Attributes:
        first: seconds of the first frame, by the file's timestamps.
    """

    def __init__(self, frames: Iterator[Timed], size: tuple[int, int] | None) -> None:
        self._frames = frames
        self._shown = next(frames)
        self._coming = next(frames, None)
        self._still = self._coming is None
        self._array: np.ndarray | None = None
        self._upright = Upright(self._shown.frame, size)
        self.first = self._shown.start

    @property
    def exhausted(self) -> bool:
        """Whether all frames are read."""
        return self._coming is None

    @property
    def end(self) -> Fraction:
        """Seconds at which the frames read so far end."""
        return (self._coming or self._shown).end

    def advance(self, time: Fraction) -> None:
        """Show the last frame whose timestamp is at most `time`; before the first one, the first."""
        while self._coming and self._coming.start <= time + self._coming.rounding:
            self._shown, self._coming, self._array = self._coming, next(self._frames, None), None

    def array(self, time: Fraction) -> np.ndarray:
        """The shown frame: (height, width, 3) uint8, upright; black while there is no picture."""
        if self._array is None:
            self._array = self._upright(self._shown.frame)
        over = self.exhausted and time - self._shown.end > _STANDS
        none = not self._still and (over or self.first - time > _STANDS)
        return np.zeros_like(self._array) if none else self._array


class Upright:
    """Frames of one stream as upright arrays of one size.

    Args:
        first: the stream's first frame, whose display matrix counts for all.
        size: (height, width) of the arrays; None: that of the first one.
    """

    def __init__(self, first: av.VideoFrame, size: tuple[int, int] | None) -> None:
        self._reformatter = import_extra("av.video.reformatter", "media").VideoReformatter()
        # Asked of the first frame only: a PyAV frame that was asked is freed by the garbage collector, late.
        self._transposed, self._flips = _orientation(first)
        self.size = size

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """(height, width, 3) uint8, RGB; a new array."""
        height, width = self.size or (None, None)
        if self._transposed:
            height, width = width, height
        pixels = self._reformatter.reformat(frame, width, height, format="rgb24").to_ndarray()
        pixels = pixels.transpose(1, 0, 2) if self._transposed else pixels
        upright = np.ascontiguousarray(pixels[self._flips])
        self.size = upright.shape[:2]
        return upright


def _orientation(frame: av.VideoFrame) -> tuple[bool, tuple[slice, slice]]:
    """How a stored frame becomes upright: whether to transpose it, and then how to flip rows and columns.

    The display matrix maps stored (x, y) to (a x + c y, b x + d y); it is taken to the nearest quarter turn.
    """
    try:
        side_data = list(frame.side_data)
    except ValueError:  # PyAV 18 does not know what FFmpeg 8 says of a photo; the turn it does
        quarters = round(frame.rotation / 90) % 4  # to the left
        forward, backward = slice(None), slice(None, None, -1)
        return quarters % 2 == 1, (
            backward if quarters in (1, 2) else forward,
            backward if quarters in (2, 3) else forward,
        )
    for data in side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = struct.unpack("=5i", bytes(data)[:20])
            transposed = abs(b) + abs(c) > abs(a) + abs(d)
            across, down = (c, b) if transposed else (a, d)
            return transposed, (
                slice(None, None, -1 if down < 0 else 1),
                slice(None, None, -1 if across < 0 else 1),
            )
    return False, (slice(None), slice(None))
