"""Choose a stream of an open media file, and decode it frame by frame; what is wrong with it is said here."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.media import containers

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.frame import VideoFrame

    Frame = av.AudioFrame | VideoFrame

THREADS = 2  # that decode pictures
MAX_PIXELS = 2**26  # photos of phones have a quarter
_BACKWARD = Fraction(1, 10)  # seconds; a smaller step back of the timestamps is jitter
_INDEXED = {"mov", "matroska", "wav", "flac", "ogg"}
_RUN_UP = 1  # second
_REORDERED = 16  # frames that a codec may show before one that comes before them in the file


class Timed(NamedTuple):
    """A decoded frame, the seconds at which it starts and ends by the file's timestamps, and half their step.

    `aspect` is the width of a picture's pixel over its height.
    """

    start: Fraction
    end: Fraction
    rounding: Fraction
    frame: Frame
    aspect: Fraction = Fraction(1)


def choose(path: Path, container: InputContainer, kind: Literal["audio", "video"]) -> Stream | None:
    """The stream with the speaker's own voice or face; None if there is none of the kind.

    Comments, descriptions and the like come last, dubs before them, the original first; of equals the one marked as
    default, else the first. Cover pictures don't count. The container then reads no other stream.
    """
    av_stream = import_extra("av.stream", "media")
    marks = av_stream.Disposition
    covers = marks.attached_pic | marks.timed_thumbnails
    aside = marks.comment | marks.descriptions | marks.visual_impaired | marks.hearing_impaired
    aside |= marks.clean_effects | marks.non_diegetic | marks.karaoke | marks.dependent

    def rank(stream: Stream) -> tuple[bool, ...]:
        has = stream.disposition
        return bool(has & aside), bool(has & marks.dub), not has & marks.original, not has & marks.default

    streams = [
        stream for stream in container.streams if stream.type == kind and not stream.disposition & covers
    ]
    chosen = min(streams, key=rank, default=None)
    tiles = sum(bool(stream.disposition & marks.dependent) for stream in streams)
    if kind == "video" and tiles and not chosen.disposition & marks.default:
        raise LMFError(
            f"{path}: a photo in {tiles} tiles, as phones write HEIC; here they can't be put together. Convert it: "
            f"heif-convert {path.name} {path.stem}.jpg"
        )
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
    path: Path,
    container: InputContainer,
    kind: Literal["audio", "video"],
    max_pixels: float = MAX_PIXELS,
    threads: int = THREADS,
) -> tuple[Fraction, Iterator[Timed]] | None:
    """Of the container's stream of that kind, as of `choose`: the first frame's seconds, and the frames as of
    `decoded`, at least one; None: has none.

    Raises:
        LMFError: as of these; a frame of more than `max_pixels`.
    """
    stream = choose(path, container, kind)
    frames = decoded(path, container, stream, max_pixels, threads) if stream else iter(())
    first = next(frames, None)
    return None if first is None else (first.start, itertools.chain([first], frames))


def sought(
    path: Path,
    container: InputContainer,
    kind: Literal["audio", "video"],
    time: Fraction,
    max_pixels: float,
    threads: int,
) -> Iterator[Timed] | None:
    """As `started`, in a container that nothing was read of: the frames from at most `time` seconds on, by the file's
    timestamps; None where the format has no exact index, or it doesn't lead there.

    Before `time` a second more is decoded, which some codecs of sound need to come to themselves.
    """
    if not set(container.format.name.split(",")) & _INDEXED:
        return None
    stream = choose(path, container, kind)
    container.seek(round((time - _RUN_UP) / stream.time_base), stream=stream)
    frames = decoded(path, container, stream, max_pixels, threads)
    first = next(frames, None)
    return None if first is None or first.start > time else itertools.chain([first], frames)


def decoded(
    path: Path,
    container: InputContainer,
    stream: Stream,
    max_pixels: float = MAX_PIXELS,
    threads: int = THREADS,
) -> Iterator[Timed]:
    """The stream's frames in order of time, without interlace; of a photo the first alone.

    What can't be decoded before the first good frame is skipped, as where a recording was cut out of a
    longer one. Damage after it is an error. A gap between timestamps is none: such files are common.

    Raises:
        LMFError: a packet that is damaged, cut off or can't be decoded; timestamps that go back; a picture of more than
            `max_pixels`; a second file behind the first.
    """
    photo = container.format.name.endswith("_pipe")
    aspect = Fraction(1)  # of photos too, whose resolution is one of print
    frames = _frames(path, container, stream, max_pixels)
    if stream.type == "video":
        aspect = aspect if photo else stream.sample_aspect_ratio or aspect
        _check_pixels(path, stream.codec_context, max_pixels, aspect)
        # So many frames at a time, where the codec can; each thread holds some.
        stream.thread_type, stream.codec_context.thread_count = "AUTO", threads
        frames = _progressive(frames)
    last = None
    for frame in itertools.islice(frames, 1 if photo else None):
        last = _timed(path, stream, frame, aspect, last)
        yield last


def _frames(path: Path, container: InputContainer, stream: Stream, max_pixels: float) -> Iterator[Frame]:
    """As of `decoded`, as they are stored.

    AVI, ASF and their like count packets in the file's order. Where a codec shows frames in another one, each gets the
    time of another: they are right once they are sorted.
    """
    av = import_extra("av", "media")
    held: deque[Frame] = deque()
    times: list[int] = []
    last, end, latest, packet = None, 0, -math.inf, True
    packets = container.demux(stream)
    while packet is not None:
        frames, reason = [], ""
        try:
            if (packet := next(packets, None)) is not None:
                end = max(end, (packet.pos or 0) + packet.size)
                if packet.pts is not None:  # times that fall show that they are right
                    latest = packet.pts if packet.pts > latest else math.inf
                frames = packet.decode()
                # WAV says how long it is, which is checked apart: its last packet may be short.
                if packet.is_corrupt and container.format.name != "wav":
                    reason = "a packet is cut off or marked as corrupt"
        except av.FFmpegError as error:
            # Where MP3 files were joined, a tag stands between them.
            reason = "" if bytes(packet)[:3] in (b"ID3", b"TAG") else error.strerror
        for frame in frames:
            if frame.is_corrupt:
                reason = "a frame misses some of its data"
            elif not reason:
                if stream.type == "video":
                    _check_pixels(path, frame, max_pixels)
                last = frame
                held.append(frame)
                if frame.pts is not None:
                    heapq.heappush(times, frame.pts)
        unsure = latest < math.inf and stream.type == "video" and stream.codec_context.has_b_frames
        while len(held) > (_REORDERED if unsure and packet is not None and not reason else 0):
            frame = held.popleft()
            if frame.pts is not None:
                frame.pts = heapq.heappop(times)
            yield frame
        if reason and last:
            after = float(_timed(path, stream, last).end)
            raise LMFError(
                f"{path}: damaged or truncated: after {after:.2f} s the {stream.type} stream can't be decoded "
                f"({reason}); or files were joined byte by byte. Copy the file again, or keep what can be played: "
                f"ffmpeg -i {path.name} repaired{path.suffix}"
            )
    containers.check_alone(path, end)


def _progressive(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Frames whose lines are of two times, by FFmpeg's filter bwdif as pictures of one; the others as they are."""
    graph = kind = None
    for frame in itertools.chain(frames, [None]):
        now = frame and {"width": frame.width, "height": frame.height, "format": frame.format.name}
        if graph and frame and now != kind:
            graph = None
        if frame and frame.interlaced_frame and not graph:
            graph, kind = import_extra("av.filter", "media").Graph(), now
            source = graph.add_buffer(**now, time_base=frame.time_base)
            graph.link_nodes(
                source, graph.add("bwdif", "send_frame:deint=interlaced"), graph.add("buffersink")
            )
            graph.configure()
        if graph:
            graph.push(frame)
            with contextlib.suppress(BlockingIOError, EOFError):
                while True:
                    yield graph.pull()
        elif frame:
            yield frame


def _check_pixels(
    path: Path, frame: av.CodecContext | VideoFrame, most: float, aspect: Fraction = Fraction(1)
) -> None:
    width = round(frame.width * max(aspect, 1))
    if width * frame.height > most:
        raise LMFError(
            f"{path}: its picture has {width} × {frame.height} pixels, the limit is "
            f"max_pixels={most}. Raise max_pixels."
        )


def _timed(
    path: Path, stream: Stream, frame: Frame, aspect: Fraction = Fraction(1), last: Timed | None = None
) -> Timed:
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
    return Timed(start, start + duration, min(tick / 2, Fraction(1, 1000)), frame, aspect)
