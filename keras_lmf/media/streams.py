"""Open a media file, choose a stream, and decode it frame by frame; what is wrong with the file is said here."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from keras_lmf.errors import LMFError, import_extra

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.stream import Stream

# FFmpeg draws text files as pictures, and follows lists of other files, which may wait for more without end.
_NO_MEDIA = {"tty", "bin", "xbin", "adf", "idf", "hls", "dash", "concat", "imf"}
MAX_PIXELS = 2**26  # photos of phones have a quarter
_BACKWARD = 1  # seconds; a smaller step back of the timestamps is jitter
_MISSING = Fraction(1, 4)  # seconds that the end may lie before the length in the file's header


class Timed(NamedTuple):
    """A decoded frame, the seconds at which it starts and ends by the file's timestamps, and half their step."""

    start: Fraction
    end: Fraction
    rounding: Fraction
    frame: av.AudioFrame | av.VideoFrame


@contextlib.contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The file as a PyAV container, closed on leaving. Only this file is read, never the network.

    Raises:
        LMFError: no such file, a folder, no media file, a truncated one, or PyAV isn't installed.
    """
    av = import_extra("av", "media")
    if not path.is_file():
        kind = "this is a folder; give a file in it" if path.is_dir() else "no such file"
        raise LMFError(f"{path}: {kind}.")
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(sorted(av.formats_available - _NO_MEDIA)),
    }
    try:
        # Tags in another encoding than UTF-8 are no reason to fail.
        container = av.open(str(path.absolute()), options=options, metadata_errors="ignore")
    except (av.FFmpegError, OSError) as error:
        refused = isinstance(error, av.ArgumentError)
        reason = "FFmpeg takes it for text or a list of other files" if refused else error.strerror
        raise LMFError(
            f"{path}: no media file, or a truncated one ({reason}; {path.stat().st_size} bytes). "
            "Any container that FFmpeg reads is allowed; copy the file again."
        ) from error
    with container:
        _check_index(path, container)
        yield container


def choose(path: Path, container: InputContainer, kind: Literal["audio", "video"]) -> Stream | None:
    """The stream marked as default, else the first one, of those that are no cover picture; None if none is.

    The container then reads no other stream.
    """
    av_stream = import_extra("av.stream", "media")
    marks = av_stream.Disposition
    covers = marks.attached_pic | marks.timed_thumbnails
    streams = [
        stream for stream in container.streams if stream.type == kind and not stream.disposition & covers
    ]
    chosen = min(streams, key=lambda stream: not stream.disposition & marks.default, default=None)
    if chosen is not None and chosen.codec_context is None:
        raise LMFError(
            f"{path}: this FFmpeg has no decoder for the {kind} stream. Convert the file: "
            f"ffmpeg -i {path.name} -c:v libx264 -c:a aac converted.mp4"
        )
    for stream in container.streams:
        if stream is not chosen:
            stream.discard = av_stream.Discard.all
    return chosen


def started(
    path: Path, container: InputContainer, kind: Literal["audio", "video"], max_pixels: float = MAX_PIXELS
) -> Iterator[Timed] | None:
    """The frames of the container's stream of that kind, as of `choose` and `decoded`, at least one; None: has none.

    Raises:
        LMFError: as of these; a frame of more than `max_pixels`.
    """
    stream = choose(path, container, kind)
    frames = decoded(path, container, stream, max_pixels) if stream else iter(())
    first = next(frames, None)
    return None if first is None else itertools.chain([first], frames)


def decoded(
    path: Path, container: InputContainer, stream: Stream, max_pixels: float = MAX_PIXELS
) -> Iterator[Timed]:
    """The stream's frames in order of time.

    What can't be decoded before the first good frame is skipped, as where a recording was cut out of a
    longer one. Damage after it is an error. A gap between timestamps is none: such files are common.

    Raises:
        LMFError: a packet that is damaged, cut off or can't be decoded; timestamps that go back; a picture of more than
            `max_pixels`.
    """
    av = import_extra("av", "media")
    last = None
    if stream.type == "video":
        _check_pixels(path, stream.codec_context, max_pixels)
        # Two frames at a time, where the codec can; each thread holds some.
        stream.thread_type, stream.codec_context.thread_count = "AUTO", 2
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            frames = packet.decode()
            reason = "a packet is cut off or marked as corrupt" if packet.is_corrupt else ""
        except av.FFmpegError as error:
            frames, reason = [], error.strerror
        for frame in frames:
            if frame.is_corrupt:
                reason = "a frame misses some of its data"
            elif not reason:
                if stream.type == "video":
                    _check_pixels(path, frame, max_pixels)
                last = _timed(path, stream, frame, last)
                yield last
        if reason and last:
            raise LMFError(
                f"{path}: damaged or truncated: after {float(last.end):.2f} s the {stream.type} stream can't be "
                f"decoded ({reason}). Copy the file again, or keep what can be played: "
                f"ffmpeg -i {path.name} repaired{path.suffix}"
            )


def _check_pixels(path: Path, frame: av.CodecContext | av.VideoFrame, most: float) -> None:
    if frame.width * frame.height > most:
        raise LMFError(
            f"{path}: its picture has {frame.width} × {frame.height} pixels, the limit is "
            f"max_pixels={most}. Raise max_pixels."
        )


def _timed(path: Path, stream: Stream, frame: av.AudioFrame | av.VideoFrame, last: Timed | None) -> Timed:
    tick = frame.time_base
    if stream.type == "audio":
        duration = Fraction(frame.samples, frame.sample_rate)
    else:
        duration = frame.duration * tick or 1 / (stream.guessed_rate or stream.average_rate or Fraction(25))
    start = frame.pts * tick if frame.pts is not None else (last.end if last else Fraction(0))
    if last and start < last.start:
        if last.start - start > _BACKWARD:
            raise LMFError(
                f"{path}: the clock of the {stream.type} stream goes back from {float(last.start):.2f} s to "
                f"{float(start):.2f} s, as in files joined byte by byte. Join them with ffmpeg's concat filter."
            )
        start = last.start
    # Timestamps are rounded to ticks; a tick that is as long as a frame is no rounding.
    return Timed(start, start + duration, min(tick / 2, Fraction(1, 1000)), frame)


def _check_index(path: Path, container: InputContainer) -> None:
    size = path.stat().st_size
    for stream in container.streams:
        entries = stream.index_entries
        if len(entries) and (needed := entries[-1].pos + entries[-1].size) > size:
            raise LMFError(
                f"{path}: truncated: its index reaches to byte {needed}, the file has {size}. Copy it again, "
                f"or keep what can be played: ffmpeg -i {path.name} repaired{path.suffix}"
            )


def check_end(path: Path, container: InputContainer, tracks: int, end: Fraction) -> None:
    """Raise an LMFError if the last of the file's `tracks` ends, at `end` seconds, before the header says.

    Matroska alone needs this: it has no index of every packet, and its length is that of the longest stream,
    which may be one that isn't read.
    """
    declared = Fraction(container.duration or 0, 1_000_000)
    if "matroska" in container.format.name and len(container.streams) == tracks and end + _MISSING < declared:
        raise LMFError(
            f"{path}: truncated: its header says {float(declared):.2f} s, its streams end at {float(end):.2f} s. "
            "Copy the file again."
        )
