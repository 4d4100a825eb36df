"""What is told of a stream at a moment; and a camera's pictures as windows, each with the face of the last seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_lmf.media.camera import camera_pictures
from keras_lmf.media.crops import FaceInput, face_tracker, followed_rate, frames_each, joined
from keras_lmf.media.faces import Detector, Faces
from keras_lmf.recognition.windows import Window


@dataclass(frozen=True)
class Moment:
    """What is heard and seen at a moment.

    Attributes:
        time: seconds since the first sample or picture; the end of the window that is judged.
        emotion: the most probable label; None where there is nothing to judge by: no face is seen, no voice heard.
        probabilities: label → probability; empty without an emotion.
        box: the face now: x, y, width, height in pixels; None without one.
    """

    time: float
    emotion: str | None
    probabilities: dict[str, float]
    box: tuple[float, float, float, float] | None

    @classmethod
    def of(cls, window: Window, labels: tuple[str, ...], shares: np.ndarray) -> Moment:
        """The judgement of the window that ends now; `shares` NaN where there is nothing to judge by."""
        faces = window.faces
        box = tuple(faces.boxes[-1].tolist()) if faces is not None and faces.present[-1] else None
        if np.isnan(shares[0]):
            return cls(window.end, None, {}, box)
        return cls(window.end, labels[int(shares.argmax())], dict(zip(labels, shares.tolist())), box)


def windows_of_camera(
    camera: int | str | Path, face: FaceInput, hop: float, detector: str | Detector
) -> Iterator[Window]:
    """The last window's faces, every `hop` seconds, from the first whole window on.

    One frame in 1 / rate seconds is followed. Where a slow camera or a slow machine gives fewer, the last one stands,
    and windows whose time has passed are left out, so that it falls behind by none.

    Raises:
        LMFError: no such camera or file.
    """
    rate, held = float(followed_rate(face)), face.frames * frames_each(face)
    seconds = held / rate
    tracker, rows, due, told = face_tracker(face, detector), [], 0.0, 0
    for moment, frame in camera_pictures(camera, rate):
        if moment < due - 0.25 / rate:
            continue
        due = max(due, moment - 1 / rate) + 1 / rate
        rows = [*rows, tracker(frame[None], [moment])][-held:]
        end = moment + 1 / rate
        if end >= seconds + told * hop - 0.5 / rate:
            told = 1 + max(told, int((end - seconds) / hop))
            yield Window(max(0.0, end - seconds), end, np.zeros(0, np.float32), _standing(rows, held, rate))


def _standing(rows: list[Faces], count: int, rate: float) -> Faces:
    """`count` steps of 1 / rate seconds up to the last row, in each the last row that isn't later."""
    faces = joined(rows)
    steps = faces.timestamps[-1] - np.arange(count)[::-1] / rate
    places = np.searchsorted(faces.timestamps, steps + 0.5 / rate, side="right") - 1
    names = ("boxes", "confidence", "crops", "present")
    return Faces(**{name: getattr(faces, name)[places.clip(0)] for name in names}, timestamps=steps)
