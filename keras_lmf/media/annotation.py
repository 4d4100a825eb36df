"""A copy of a video with the answers drawn over it, its sound kept."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.files import write_atomically
from keras_lmf.media.containers import opened
from keras_lmf.media.encoding import AAC_RATES, add_picture
from keras_lmf.media.overlay import Mark, Overlay
from keras_lmf.media.request import TRACKS
from keras_lmf.media.streams import MAX_PIXELS, choose, decoded, started
from keras_lmf.media.tracks import Upright

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

# Sound that .mp4 holds and players know; the rest becomes AAC.
COPIED = ("aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac")
_AAC_LAYOUTS = ("stereo", "3.0", "4.0", "5.0", "5.1", "7.1")
_MPEG4_TICK = Fraction(1, 60000)  # MPEG-4 Part 2 counts time in 16 bits


def annotate(
    source: str | Path,
    target: str | Path,
    marks: Iterable[Mark],
    *,
    colours: Mapping[str, str] | None = None,
    box_colour: tuple[int, int, int] = (255, 255, 255),
    tracks: tuple[str, ...] = tuple(TRACKS),
    max_pixels: int = MAX_PIXELS,
) -> Path:
    """Write `source` to the .mp4 file `target`, with the last of the marks drawn on each frame that isn't before it.

    - Picture: every frame of the source, upright, at its own time; H.264, or MPEG-4 Part 2 where FFmpeg has no
      libx264. An odd width or height gets one more pixel, a copy of the edge.
    - Sound: its packets as they are where .mp4 holds the codec (`COPIED`), else AAC of the same rate and channels.
    - Clock: it starts at 0 with the sound or the picture, whichever is first.
    - Memory: bounded, whatever the length; the marks are taken one by one as the picture proceeds. The file appears
      under its name when it is whole; on any failure or Ctrl-C nothing is left and a former file stays.

    Args:
        source: a local file in any container that FFmpeg reads.
        target: ends in .mp4; not the source.
        marks: in order of time.
        colours: label → "#rrggbb" of its bar; white where it has none.
        box_colour: red, green and blue of the box, 0 to 255.
        tracks: as of `keras_lmf.media.decode`, of the clips whose clock the marks' times are of.
        max_pixels: as of `keras_lmf.media.decode`.

    Raises:
        LMFError: as of `keras_lmf.media.decode`; a source without picture, marks out of order, another suffix, or
            PyAV isn't installed.
    """
    source, target = Path(source), Path(target)
    import_extra("av", "media")
    if target.suffix.lower() != ".mp4":
        raise LMFError(f"{target}: an annotated video is written as .mp4; give a name that ends so.")
    if target.exists() and source.exists() and target.samefile(source):
        raise LMFError(f"{target}: this is the video itself. Give the annotated one another name.")
    overlay = Overlay(colours or {}, box_colour)
    return write_atomically(
        target, lambda path: _write(source, path, iter(marks), overlay, tracks, max_pixels)
    )


def _write(
    source: Path,
    path: Path,
    marks: Iterator[Mark],
    overlay: Overlay,
    tracks: tuple[str, ...],
    max_pixels: int,
) -> None:
    av = import_extra("av", "media")
    # Each stream is read by a container of its own, as in `keras_lmf.media.clips`.
    with opened(source) as for_picture, opened(source) as for_sound, av.open(str(path), "w", "mp4") as output:
        stream, voice = choose(source, for_picture, "video"), choose(source, for_sound, "audio")
        frames = decoded(source, for_picture, stream, max_pixels) if stream else iter(())
        first = next(frames, None)
        if first is None:
            raise LMFError(
                f"{source}: it has no picture that can be decoded, so there is nothing to draw on."
            )
        heard = _first_heard(source) if voice else None
        starts = {"picture": first.start} | ({} if heard is None else {"sound": heard})
        zero = min(starts.values())
        clock = min((starts[track] for track in tracks if track in starts), default=zero)
        upright = Upright(first, None)
        picture = _picture_stream(output, stream, upright(first.frame).shape[:2])
        sound: Iterator[Packet] = iter(())
        if heard is not None:
            copied = voice.codec_context.codec.canonical_name in COPIED
            sound = (_copied if copied else _encoded)(source, for_sound, voice, output, zero)
        waiting, shown, last = next(sound, None), _Shown(marks), -1
        for timed in itertools.chain([first], frames):
            time = timed.start - zero
            # Packets leave in order of time: the muxer holds back what is ahead.
            while waiting is not None and _seconds(waiting) <= time:
                output.mux(waiting)
                waiting = next(sound, None)
            array = upright(timed.frame)
            mark = shown.at(timed.start - clock + timed.rounding)
            if mark is not None:
                overlay.draw(array, mark)
            frame = av.VideoFrame.from_ndarray(_even(array), format="rgb24").reformat(
                format="yuv420p", dst_colorspace=picture.colorspace, dst_color_range=picture.color_range
            )
            frame.time_base = picture.codec_context.time_base
            # Encoders refuse two frames at one time.
            last = frame.pts = max(round(time / frame.time_base), last + 1)
            output.mux(picture.encode(frame))
        while waiting is not None:
            output.mux(waiting)
            waiting = next(sound, None)
        output.mux(picture.encode(None))


class _Shown:
    """The mark that stands at a time, taken from an iterator as far as needed."""

    def __init__(self, marks: Iterator[Mark]) -> None:
        self._marks, self._mark = marks, None
        self._coming = next(marks, None)

    def at(self, time: Fraction) -> Mark | None:
        """The last mark whose time isn't after `time`; None before the first."""
        while self._coming is not None and self._coming.time <= time:
            self._mark, self._coming = self._coming, next(self._marks, None)
            if self._coming is not None and self._coming.time < self._mark.time:
                raise LMFError(
                    f"marks: one at {self._coming.time:g} s after one at {self._mark.time:g} s. "
                    "Give them in order of time."
                )
        return self._mark


def _even(frame: np.ndarray) -> np.ndarray:
    below, right = frame.shape[0] % 2, frame.shape[1] % 2
    return np.pad(frame, ((0, below), (0, right), (0, 0)), mode="edge") if below or right else frame


def _picture_stream(output: OutputContainer, like: Stream, size: tuple[int, int]) -> VideoStream:
    rate = like.guessed_rate or like.average_rate or Fraction(25)
    height, width = (side + side % 2 for side in size)
    stream = add_picture(output, rate, (height, width), {"crf": "20"})
    # Stated, since players guess it by the size: BT.709 of HD, else BT.601, studio range.
    stream.colorspace, stream.color_range = (1 if size[0] >= 720 else 6), 1
    counts_long = stream.codec_context.name != "mpeg4"
    stream.codec_context.time_base = like.time_base if counts_long else max(like.time_base, _MPEG4_TICK)
    return stream


def _first_heard(source: Path) -> Fraction | None:
    """Seconds of the first sound that can be decoded, by the file's timestamps."""
    with opened(source) as container:
        heard = started(source, container, "audio")
        return heard[0] if heard else None


def _copied(
    source: Path, container: InputContainer, stream: AudioStream, output: OutputContainer, zero: Fraction
) -> Iterator[Packet]:
    """The stream's packets as they are, from `zero` on. The output has its stream once the first is asked for."""
    copy = output.add_stream_from_template(stream)
    shift, last = round(zero / stream.time_base), -math.inf
    for packet in container.demux(stream):
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:  # the end
            continue
        # Packets of sound are in order of time: they are played as they are decoded. Two at one time are refused.
        packet.pts = packet.dts = last = max(time - shift, last + 1)
        packet.stream = copy
        yield packet


def _encoded(
    source: Path, container: InputContainer, stream: AudioStream, output: OutputContainer, zero: Fraction
) -> Iterator[Packet]:
    """The stream's sound as AAC of its own rate, or the next one that AAC has, and of its channels; of a layout that
    AAC lacks, in stereo. The output has its stream once the first packet is asked for."""
    av = import_extra("av", "media")
    rate = next((known for known in AAC_RATES if known >= stream.rate), AAC_RATES[-1])
    layout = stream.layout.name if stream.layout.name in _AAC_LAYOUTS else "stereo"
    layout = "mono" if stream.channels == 1 else layout
    coder = output.add_stream("aac", rate=rate, layout=layout)
    resampler = av.AudioResampler("fltp", layout, rate)
    for timed in itertools.chain(decoded(source, container, stream), [None]):
        if timed is not None:
            tick = Fraction(1, timed.frame.sample_rate)
            timed.frame.time_base, timed.frame.pts = tick, round((timed.start - zero) / tick)
        for frame in resampler.resample(timed and timed.frame):
            yield from coder.encode(frame)
    yield from coder.encode(None)


def _seconds(packet: Packet) -> Fraction:
    return packet.dts * packet.time_base
