"""A clip window by window: its sound, the face in its picture, and thumbnails of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_lmf.data import media
from keras_lmf.data.faces import Detector, Faces, FaceTracker
from keras_lmf.recognition.opening import Face, Opened
from keras_lmf.recognition.pictures import Thumbnail, thumbnail

FOLLOWED = 10  # frames a second, at least, in which a face is followed


class Window(NamedTuple):
    """A stretch of a clip.

    Attributes:
        start: seconds.
        end: seconds.
        waveform: (samples,) float32, no longer than the model takes; empty without sound.
        faces: in the frames that are followed; None without a picture.
        thumbnails: of some of these frames.
    """

    start: float
    end: float
    waveform: np.ndarray
    faces: Faces | None = None
    thumbnails: tuple[Thumbnail, ...] = ()


def windows_of_file(path: Path, model: Opened, hop: float, detector: str | Detector) -> Iterator[Window]:
    """The windows of a media file, of whose frames no more than one window's are held.

    Errors as of `keras_lmf.data.windows`; a file with a picture needs the extra `face`, where the model takes a face.
    """
    sound, face = model.sound, model.face
    tracks = [kind for kind, part in (("sound", sound), ("picture", face)) if part]
    rates = {"sample_rate": sound.rate} if sound else {}
    rates |= {"frame_rate": float(followed_rate(face))} if face else {}
    tracker = None
    for clip in media.windows(path, model.seconds, hop, tracks=tuple(tracks), **rates):
        faces, thumbnails = None, ()
        if clip.has_picture:
            # A file of one picture can't confirm what is found in it.
            tracker = tracker or face_tracker(face, detector, 1 if len(clip.frames) == 1 else 2)
            faces = tracker(clip.frames, clip.timestamps)
            thumbnails = tuple(
                thumbnail(clip.timestamps[at], clip.frames[at], faces.boxes[at])
                for at in range(0, len(clip.frames), frames_each(face))
            )
        waveform = clip.waveform[: sound.samples] if sound else clip.waveform
        yield Window(clip.start, clip.start + clip.duration, waveform, faces, thumbnails)


def windows_of_array(waveform: np.ndarray, samples: int, hop: float, rate: int) -> Iterator[Window]:
    """The windows of a waveform, placed as those of a file."""
    index = stop = 0
    while stop < len(waveform):
        start = round(index * hop * rate)
        stop = start + samples
        yield Window(start / rate, min(stop, len(waveform)) / rate, waveform[start:stop])
        index += 1


def frames_each(face: Face) -> int:
    """Frames that are followed for each one that the model takes."""
    return max(1, math.ceil(FOLLOWED / face.rate))


def followed_rate(face: Face) -> Fraction:
    """Frames a second in which the model's face is followed."""
    return face.rate * frames_each(face)


def face_tracker(face: Face, detector: str | Detector, confirmations: int = 2) -> FaceTracker:
    """For crops as the model takes them."""
    return FaceTracker(detector, size=face.size, grey=face.channels == 1, confirmations=confirmations)


def face_input(face: Face, faces: Faces | None) -> np.ndarray:
    """What the model takes of a window: of each stretch of 1 / rate seconds the first frame with a face, else zeros."""
    pictures = np.zeros((face.frames, face.size, face.size, face.channels), np.float32)
    each = frames_each(face)
    found = [] if faces is None else np.flatnonzero(faces.present[: face.frames * each])
    for at in reversed(found):
        pictures[at // each] = faces.crops[at]
    return pictures
