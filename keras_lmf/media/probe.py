"""What a media file says of itself, and whether a face is seen in it; little of it is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from keras_lmf.media.clips import NoTrack, windows
from keras_lmf.media.containers import failures_told, opened
from keras_lmf.media.faces import Detector
from keras_lmf.media.streams import choose

LOOKS = (0.5, 0.2, 0.8, 0.35, 0.65)  # of the file's length, where a face is looked for


@dataclass(frozen=True)
class Probe:
    """A media file.

    Attributes:
        seconds: its length as its header says; 0 of a picture.
        sample_rate: of its sound; None: it has none.
        frame_rate: of its pictures; None: it has none.
        size: (width, height) of them, as stored; None likewise.
    """

    seconds: float
    sample_rate: int | None
    frame_rate: float | None
    size: tuple[int, int] | None


def probe(path: Path) -> Probe:
    """What its header says.

    Raises:
        LMFError: no such file, no media file, a truncated one, or PyAV isn't installed.
    """
    with failures_told(path), opened(path) as container:
        sound, picture = choose(path, container, "audio"), choose(path, container, "video")
        rate = picture and (picture.average_rate or picture.guessed_rate)
        return Probe(
            seconds=(container.duration or 0) / 1_000_000,
            sample_rate=sound.rate if sound else None,
            frame_rate=float(rate) if rate else 25.0 if picture else None,
            size=(picture.codec_context.width, picture.codec_context.height) if picture else None,
        )


def shows_face(path: Path, found: Probe, detector: Detector) -> bool:
    """Whether the detector finds a face in one of five frames.

    Raises:
        LMFError: as of `windows`.
    """
    for share in LOOKS:
        try:
            clips = windows(path, 0.04, tracks=("picture",), start=share * found.seconds)
            if len(detector(next(clips).frames[0])):
                return True
            clips.close()
        except NoTrack:
            continue
    return False
