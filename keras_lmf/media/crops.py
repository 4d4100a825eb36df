"""What a model takes of a face: in which frames it is followed, and which crop stands for a stretch of time.

Training (`data.extraction`) and answers (`recognition`) both ask here, so that they crop alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from keras_lmf.media.faces import Detector, Faces, FaceTracker, MultiFaceTracker

FOLLOWED = 10  # frames a second, at least, in which a face is followed
DETECTED = 0.3  # seconds between detections of a face that is followed: they take longest


@dataclass(frozen=True)
class FaceInput:
    """The input that takes pictures of the face.

    Attributes:
        name: of the input.
        frames: how many; 1 of an input that is one picture.
        size: height and width of a picture.
        channels: 1 (grey) or 3 (red, green, blue).
        rate: frames a second.
    """

    name: str
    frames: int
    size: int
    channels: int
    rate: Fraction

    @property
    def seconds(self) -> Fraction:
        """The length of a window."""
        return self.frames / self.rate


def frames_each(face: FaceInput) -> int:
    """Frames that are followed for each one that the model takes."""
    return max(1, math.ceil(FOLLOWED / face.rate))


def followed_rate(face: FaceInput) -> Fraction:
    """Frames a second in which the model's face is followed."""
    return face.rate * frames_each(face)


def face_tracker(face: FaceInput, detector: str | Detector, confirmations: int = 2) -> FaceTracker:
    """For crops as the model takes them; `confirmations` is 1 where there is a single picture."""
    return FaceTracker(detector, confirmations=confirmations, **_settings(face))


def faces_tracker(face: FaceInput, detector: str | Detector, confirmations: int) -> MultiFaceTracker:
    """For such crops of several faces."""
    return MultiFaceTracker(detector, confirmations=confirmations, **_settings(face))


def _settings(face: FaceInput) -> dict[str, Any]:
    return {"size": face.size, "margin": 0.0, "grey": face.channels == 1, "interval": DETECTED}


def joined(parts: Sequence[Faces]) -> Faces:
    """One after the other."""
    names = ("boxes", "confidence", "crops", "present", "timestamps")
    return Faces(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def face_input(face: FaceInput, faces: Faces | None) -> np.ndarray:
    """What the model takes of a window: of each stretch of 1 / rate seconds the first frame with a face, else zeros."""
    pictures = np.zeros((face.frames, face.size, face.size, face.channels), np.float32)
    each = frames_each(face)
    found = [] if faces is None else np.flatnonzero(faces.present[: face.frames * each])
    for at in reversed(found):
        pictures[at // each] = faces.crops[at]
    return pictures
