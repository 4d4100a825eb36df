"""The sound and the picture of a file, read forward as far as is asked, and held no longer than is asked."""

from __future__ import annotations

import struct
import warnings
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_lmf.errors import import_extra
from keras_lmf.media.streams import Timed

if TYPE_CHECKING:
    import av

# Less than one frame of a codec, so that a lost one shows; more than the jitter of rounded timestamps.
_GAP = Fraction(20, 1000)
# How long a picture's first frame stands before it: tracks seldom begin together.
_STANDS = Fraction(1, 2)
# Channels cancel where their mix has less than this share of the energy that the loudest one alone has in their mean.
_CANCELLED = 0.1


class Sound:
    """The samples of one stream: resampled, mixed to mono, and placed by timestamps.

    Args:
        path: names the file in a warning.
        frames: the decoded frames, at least one.
        rate: samples a second that are asked.

    Attributes:
        first: seconds of the first sample, by the file's timestamps.
        end: seconds at which the samples read so far end.
        exhausted: whether all are read.
    """

    def __init__(self, path: Path, frames: Iterator[Timed], rate: int) -> None:
        self.rate = rate
        self.exhausted = False
        self._pieces = _resampled(path, frames, rate)
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


def _resampled(path: Path, frames: Iterator[Timed], rate: int) -> Iterator[tuple[Fraction, np.ndarray]]:
    """Mono float32 samples with the seconds at which they start.

    Frames that follow one another are resampled as one signal, whose samples are counted from its first
    timestamp. After a gap, and where rate or channels change, a new signal begins.
    """
    av = import_extra("av", "media")
    resamplers = kind = start = end = taken = None
    count, channels, held = 0, 1, ([], [])

    def resample(frame: av.AudioFrame | None) -> Iterator[tuple[Fraction, np.ndarray]]:
        nonlocal count, held, taken
        for resampler, pieces, width in zip(resamplers, held, (1, channels)):
            pieces += [piece.to_ndarray().reshape(-1, width) for piece in resampler.resample(frame)]
        ready = sum(map(len, held[0]))
        # Of several channels a second at a time, in which they are compared.
        if not ready or (channels > 1 and frame and ready < rate):
            return
        samples = np.concatenate(held[0])[:, 0]
        if channels > 1:
            each = np.concatenate(held[1])
            with np.errstate(all="ignore"):  # files of floats may hold any number
                energies = np.square(each).mean(axis=0)
                cancelled = np.square(samples).mean() * channels**2 < _CANCELLED * energies.max()
            if cancelled and taken is None:
                taken = int(energies.argmax())
                warnings.warn(
                    f"{path}: its channels cancel one another; channel {taken + 1} alone is taken there.",
                    stacklevel=2,
                )
            samples = each[:, min(taken, channels - 1)] if cancelled else samples
        yield start + Fraction(count, rate), samples
        count, held = count + ready, ([], [])

    for timed in frames:
        frame = timed.frame
        now = frame.format.name, frame.layout.name, frame.sample_rate
        if kind != now or abs(timed.start - end) > _GAP:
            if resamplers:
                yield from resample(None)
            channels = frame.layout.nb_channels
            # Weights of the mix that add up to at most 1: it can't clip.
            mono = av.AudioResampler("flt", "mono", rate, options={"rematrix_maxval": "1"})
            resamplers = (
                (mono, av.AudioResampler("flt", frame.layout.name, rate)) if channels > 1 else (mono,)
            )
            kind, start, count = now, timed.start, 0
            end = start
        yield from resample(frame)
        end += timed.end - timed.start
    if resamplers:
        yield from resample(None)


class Picture:
    """The frames of one stream, of which the one shown at a given time can be had, later and later.

    Args:
        frames: the decoded frames, at least one.
        size: (height, width) to which frames are scaled; None: that of the first one.

    Attributes:
        first: seconds of the first frame, by the file's timestamps.
        still: whether it is a single frame, as a photo; it stands all the time.
    """

    def __init__(self, frames: Iterator[Timed], size: tuple[int, int] | None) -> None:
        self._frames = frames
        self._shown = next(frames)
        self._coming = next(frames, None)
        self.still = self._coming is None
        self._array: np.ndarray | None = None
        self._upright = Upright(self._shown, size)
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
        """The shown frame: (height, width, 3) uint8, upright; black before there is a picture. The last one stands."""
        if self._array is None:
            self._array = self._upright(self._shown.frame)
        early = not self.still and self.first - time > _STANDS
        return np.zeros_like(self._array) if early else self._array


class Upright:
    """Frames of one stream as upright arrays of one size, whose pixels are square.

    Args:
        first: the stream's first frame, whose display matrix and pixels' shape count for all.
        size: (height, width) of the arrays; None: that of the first one.
    """

    def __init__(self, first: Timed, size: tuple[int, int] | None) -> None:
        self._reformatter = import_extra("av.video.reformatter", "media").VideoReformatter()
        # Asked of the first frame only: a PyAV frame that was asked is freed by the garbage collector, late.
        self._transposed, self._flips = _orientation(first.frame)
        stored = first.frame.height, max(1, round(first.frame.width * first.aspect))
        self._stored = stored if size is None else size[::-1] if self._transposed else size

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """(height, width, 3) uint8, RGB; a new array."""
        height, width = self._stored
        pixels = self._reformatter.reformat(frame, width, height, format="rgb24").to_ndarray()
        pixels = pixels.transpose(1, 0, 2) if self._transposed else pixels
        return np.ascontiguousarray(pixels[self._flips])


def _orientation(frame: av.VideoFrame) -> tuple[bool, tuple[slice, slice]]:
    """How a stored frame becomes upright: whether to transpose it, and then how to flip rows and columns.

    The display matrix maps stored (x, y) to (a x + c y, b x + d y); it is taken to the nearest quarter turn.
    """
    types = import_extra("av.sidedata.sidedata", "media").Type
    # PyAV 18 lists no side data where it doesn't know the type of one, such as the EXIF data of photos.
    types._missing_ = classmethod(lambda cls, value: cls.SEI_UNREGISTERED)
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = struct.unpack("=5i", bytes(data)[:20])
            transposed = abs(b) + abs(c) > abs(a) + abs(d)
            across, down = (c, b) if transposed else (a, d)
            return transposed, (
                slice(None, None, -1 if down < 0 else 1),
                slice(None, None, -1 if across < 0 else 1),
            )
    return False, (slice(None), slice(None))
