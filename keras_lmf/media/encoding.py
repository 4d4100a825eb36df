"""Pictures and sound as a media file."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_lmf.errors import import_extra

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_AAC_FRAME = 1024  # samples


def add_picture(
    output: OutputContainer, rate: int | Fraction, size: tuple[int, int], options: dict[str, str]
) -> VideoStream:
    """A stream of (height, width) pixels, both even: H.264 with x264's `options`, or MPEG-4 Part 2 without libx264."""
    h264 = "libx264" in import_extra("av", "media").codecs_available
    stream = output.add_stream("libx264" if h264 else "mpeg4", rate=rate)
    stream.height, stream.width = size
    stream.pix_fmt = "yuv420p"
    stream.options = options | {"preset": "veryfast"} if h264 else {"qscale": "3", "flags": "+qscale"}
    return stream


def encode(
    path: Path,
    pieces: Iterable[np.ndarray],
    size: tuple[int, int],
    frame_rate: int,
    sound: np.ndarray,
    sample_rate: int,
) -> None:
    """Write frames and their sound to an .mp4 file, interleaved: H.264, or MPEG-4 Part 2 without libx264, and AAC.

    One thread, no time of day: the same input gives the same bytes.

    Args:
        path: of the file.
        pieces: of the picture, one after the other: (frames, height, width, 3) uint8, RGB.
        size: height and width, even.
        frame_rate: frames a second.
        sound: (samples,) float32 in [-1, 1].
        sample_rate: one of `AAC_RATES`.
    """
    av = import_extra("av", "media")
    # A started AAC frame is decoded whole, and would outlast the picture: the rest is left out.
    sound = sound[: len(sound) // _AAC_FRAME * _AAC_FRAME]
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        # With some processors x264 gives other bytes at every call, unless it is told not to.
        picture = add_picture(container, frame_rate, size, {"crf": "18", "x264-params": "cpu-independent=1"})
        picture.codec_context.thread_count = 1
        voice = container.add_stream("aac", rate=sample_rate, layout="mono")
        voice.bit_rate = 4 * sample_rate
        voice.codec_context.thread_count = 1
        done = begin = 0
        for piece in pieces:
            for array in piece:
                frame = av.VideoFrame.from_ndarray(array, format="rgb24")
                frame.pts, frame.time_base = done, Fraction(1, frame_rate)
                container.mux(picture.encode(frame))
                done += 1
            end = min(round(done / frame_rate * sample_rate), len(sound))
            if end > begin:
                samples = np.ascontiguousarray(sound[None, begin:end])
                spoken = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                spoken.sample_rate, spoken.pts, spoken.time_base = (
                    sample_rate,
                    begin,
                    Fraction(1, sample_rate),
                )
                container.mux(voice.encode(spoken))
            begin = end
        container.mux(picture.encode(None))
        container.mux(voice.encode(None))
