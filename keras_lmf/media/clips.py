"""`decode` and `windows`: a media file as clips of sound and pictures on one clock."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.media.containers import check_end, failures_told, is_longer, opened
from keras_lmf.media.request import TRACKS, Request, exact, nearest
from keras_lmf.media.streams import MAX_PIXELS, THREADS, Timed, sought, started
from keras_lmf.media.tracks import Picture, Sound

if TYPE_CHECKING:
    from av.container import InputContainer

MAX_BYTES = 2**30
DAY = 24 * 60 * 60.0
SOUGHT_AFTER = 5  # seconds that are sooner decoded than looked up


class NoTrack(LMFError):
    """A file that has none of the tracks that are asked for, or none so late."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Sound and pictures of one stretch of a file, on one clock.

    The clock is 0 where the file's sound or picture begins, whichever is first.

    Attributes:
        waveform: (samples,) float32 in [-1, 1], mono; empty for a file without sound.
        frames: (T, height, width, 3) uint8, RGB, upright; T is 0 for a file without picture.
        timestamps: (T,) float64, the clock's seconds of each frame, 1 / frame_rate apart.
        start: the clock's seconds of the first sample and of the first frame.
        sample_rate: samples a second.
        frame_rate: frames a second.
    """

    waveform: np.ndarray
    frames: np.ndarray
    timestamps: np.ndarray
    start: float
    sample_rate: int
    frame_rate: float

    @property
    def has_sound(self) -> bool:
        """Whether the file has a sound track, a silent one included."""
        return len(self.waveform) > 0

    @property
    def has_picture(self) -> bool:
        """Whether the file has a picture track."""
        return len(self.frames) > 0

    @property
    def duration(self) -> float:
        """Seconds that the clip lasts."""
        if self.has_picture:
            return len(self.frames) / self.frame_rate
        return len(self.waveform) / self.sample_rate


def decode(
    path: str | Path,
    *,
    sample_rate: int = 16000,
    frame_rate: float = 25.0,
    size: tuple[int, int] | None = None,
    tracks: tuple[str, ...] = tuple(TRACKS),
    max_seconds: float = 60.0,
    max_frames: int = 1500,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> Clip:
    """A whole short file; for a long one, `windows`.

    - Clock: it starts with the sound or the picture, whichever is first, and ends with the later end of both,
      in a file with a picture rounded to whole frames. Sound and frames are cut to these ends. Where the
      file has no sound for a time, its samples are 0.
    - Frames: at a fixed rate, each the last one whose timestamp is not after its time. The first one stands up to half
      a second before the picture begins; earlier ones are black, as samples are 0. The last one stands to the end. A
      track of a single picture stands all the time; without sound, as of a photo, it is one frame.
    - Sound: resampled; several channels are mixed with the weights of ITU-R BS.775, scaled so that the mix can't
      clip. Where they cancel for a second, one of them is taken instead, and a warning says so.
    - Streams: comments, descriptions and dubs are passed over for the original; then those marked as default, else
      the first. Cover pictures and subtitles are ignored.
    - Rotation and mirroring in the metadata are applied, to the nearest quarter turn; pixels become square, and
      interlaced frames whole.
    - Damage: a packet that can't be decoded, an end before the one that the file states, and another file joined to
      its end are errors. What FFmpeg conceals inside a frame is not seen, nor is a file cut off between two packets
      in a format that states no length (MPEG, MP3, AVI); a stretch lost without a trace reads as a gap.

    Args:
        path: a local file in any container that FFmpeg reads.
        sample_rate: of the waveform, in Hz.
        frame_rate: of the frames, per second.
        size: (height, width) to which upright frames are scaled, without keeping their proportions. None: the
            size of the file's first frame.
        tracks: what is read: ("sound", "picture"), or one of them alone, as if the file had no other; then neither
            its clock nor damage in it counts.
        max_seconds: the longest file that is allowed.
        max_frames: the most frames of the clip.
        max_pixels: the most pixels of one frame as stored in the file.
        max_bytes: the most memory that the clip's frames take: 3 · T · height · width.

    Raises:
        LMFError: a missing, truncated or damaged file, no sound and no picture in it, a limit that it exceeds, an
            argument out of its range, or PyAV isn't installed.
    """
    limits = max_seconds, max_frames, max_pixels, max_bytes
    whole = Request(max_seconds, max_seconds, sample_rate, frame_rate, size, tracks, *limits)
    with contextlib.closing(_clips(Path(path), whole)) as clips:
        return next(clips)


def windows(
    path: str | Path,
    seconds: float = 3.0,
    hop: float | None = None,
    *,
    sample_rate: int = 16000,
    frame_rate: float = 25.0,
    size: tuple[int, int] | None = None,
    tracks: tuple[str, ...] = tuple(TRACKS),
    start: float = 0.0,
    clock: tuple[str, ...] | None = None,
    max_seconds: float = DAY,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    threads: int = THREADS,
) -> Iterator[Clip]:
    """Clips of `seconds`, one every `hop`, of a file of any length; what `decode` gives, window by window.

    Memory is bounded by the window: a clip's frames take 3 · T · height · width bytes, and up to three times that
    is held, the caller's last clip included. The last clip ends with the file and may be shorter; with a hop of
    `seconds`, the clips one after the other are what `decode` gives. The file stays open until the iterator
    ends, fails or is closed.

    Args:
        path, sample_rate, frame_rate, size, tracks, max_pixels: as of `decode`.
        seconds: length of a window.
        hop: seconds from one window's start to the next; None: `seconds`. Windows start and end at the nearest
            sample; with a picture, at the nearest frame, so that they may differ by one.
        start: the clock's seconds at which the first window starts. Of MP4, Matroska, WAV, FLAC and Ogg what is before
            it isn't decoded; of formats without an exact index it is.
        clock: whose first sample or frame is the clock's 0, where that isn't `tracks`; of tracks that aren't there
            the file's own.
        max_seconds: the longest file that is allowed, against false timestamps.
        max_bytes: the most memory that one window's frames take.
        threads: that decode pictures.

    Raises:
        LMFError: as of `decode`; damage is an error at the window that it lies in; a file that ends before `start`.
    """
    limits = max_seconds, math.inf, max_pixels, max_bytes
    hop = seconds if hop is None else hop
    rates = sample_rate, frame_rate
    return _clips(Path(path), Request(seconds, hop, *rates, size, tracks, *limits, start, clock, threads))


def _clips(path: Path, request: Request) -> Iterator[Clip]:
    sample_rate, frame_rate, size = request.sample_rate, request.frame_rate, request.size
    seconds, hop = exact(request.seconds), exact(request.hop)
    # Each stream is read by a container of its own, only as far as needed, however the file interleaves them.
    with contextlib.ExitStack() as stack:
        stack.enter_context(failures_told(path))
        for_sound = stack.enter_context(opened(path))
        too_long = LMFError(
            f"{path}: longer than {request.max_seconds:g} s, the limit max_seconds. Cut it into parts, or raise the "
            "limit; keras_lmf.media.windows reads long files."
        )
        if is_longer(path, for_sound, [TRACKS[name] for name in request.tracks], request.max_seconds):
            raise too_long
        zero, frames = _frames(path, request, for_sound, stack)
        sound = Sound(path, frames["sound"], sample_rate) if "sound" in frames else None
        picture = Picture(frames["picture"], size) if "picture" in frames else None
        tracks = [track for track in (sound, picture) if track]
        if not tracks:
            kinds = ", ".join(sorted({stream.type for stream in for_sound.streams})) or "none"
            raise NoTrack(
                f"{path}: it has no {' and no '.join(request.tracks)} that can be decoded. Its streams: {kinds}."
            )
        # Windows are counted in steps: frames, or samples in a file without a picture.
        rate = exact(frame_rate) if picture else Fraction(sample_rate)

        def end() -> float:
            """The file's end in steps, infinite as long as it isn't reached."""
            last = max(track.end for track in tracks)
            steps = 1 if tracks == [picture] and picture.still else max(1, round((last - zero) * rate))
            if steps > max(1, round(request.max_seconds * rate)):
                raise too_long
            if not all(track.exhausted for track in tracks):
                return math.inf
            check_end(path, for_sound, len(tracks), last)
            return steps

        shown: deque[np.ndarray] = deque()  # frames of the steps from `start` to `step`
        step, stop, begin = 0, 0, nearest(exact(request.start), rate)
        for index in itertools.count():
            start, previous = begin + nearest(index * hop, rate), stop
            stop, step = max(start + 1, begin + nearest(index * hop + seconds, rate)), max(start, step)
            if sound:
                sound.read(zero + (stop + 1) / rate)
            while picture and step < stop:
                picture.advance(zero + step / rate)
                if step >= end():
                    break
                shown.append(picture.array(zero + step / rate))
                request.check_frames(path, shown)
                step += 1
            total = int(min(stop, end()))
            if total <= start and not index:
                ends = float(end() / rate)
                raise NoTrack(f"{path}: it ends after {ends:.2f} s; asked from {request.start:g} s on.")
            if index and total <= max(start, previous):
                return
            while len(shown) > total - start:  # steps taken before the end was known
                shown.pop()
            bounds = [round(at / rate * sample_rate) for at in (start, total)]
            released = begin + nearest((index + 1) * hop, rate) - start
            yield Clip(
                sound.take(zero, *bounds) if sound else np.zeros(0, np.float32),
                _stacked(shown, released, size),
                np.array([float(at / rate) for at in range(start, total)] if picture else []),
                float(start / rate),
                sample_rate,
                frame_rate,
            )


def _frames(
    path: Path, request: Request, for_sound: InputContainer, stack: contextlib.ExitStack
) -> tuple[Fraction, dict[str, Iterator[Timed]]]:
    """Where the clock begins, and what is decoded of each track that is asked for and there."""
    read = {*request.tracks, *(request.clock or ())}
    containers = {"sound": for_sound} if "sound" in read else {}
    if "picture" in read:
        containers["picture"] = stack.enter_context(opened(path))
    frames, firsts, how = {}, {}, (request.max_pixels, request.threads)
    for name, container in containers.items():
        if track := started(path, container, TRACKS[name], *how):
            firsts[name], frames[name] = track
    clock = firsts.keys() & set(request.clock or request.tracks) or firsts.keys()
    zero = min((firsts[name] for name in clock), default=Fraction(0))
    asked = {name: frames[name] for name in request.tracks if name in frames}
    at = zero + exact(request.start)
    for name in asked if request.start else ():
        if at > firsts[name] + SOUGHT_AFTER:
            found = sought(path, stack.enter_context(opened(path)), TRACKS[name], at, *how)
            asked[name] = found or asked[name]
    return zero, asked


def _stacked(shown: deque[np.ndarray], released: int, size: tuple[int, int] | None) -> np.ndarray:
    """The frames as one array; the first `released` of them leave the deque one by one, so memory isn't doubled."""
    if not shown:
        return np.zeros((0, *(size or (0, 0)), 3), np.uint8)
    stacked = np.empty((len(shown), *shown[0].shape), np.uint8)
    for index in range(len(stacked)):
        stacked[index] = shown[0]
        if index < released:
            shown.popleft()
        else:
            shown.rotate(-1)
    return stacked
