"""A camera's pictures as windows, each with the face of the last seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_lmf.data.faces import Detector, Faces
from keras_lmf.errors import LMFError, import_extra
from keras_lmf.recognition.opening import Face
from keras_lmf.recognition.windows import Window, face_tracker, followed_rate, frames_each


@dataclass(frozen=True)
class Moment:
    """What is seen at a moment.

    Attributes:
        time: seconds since the camera's first picture.
        emotion: the most probable label; None where no face is seen.
        probabilities: label → probability; empty without a face.
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
        box = tuple(faces.boxes[-1].tolist()) if faces.present[-1] else None
        if np.isnan(shares[0]):
            return cls(window.end, None, {}, box)
        return cls(window.end, labels[int(shares.argmax())], dict(zip(labels, shares.tolist())), box)


def windows_of_camera(
    camera: int | str | Path, face: Face, hop: float, detector: str | Detector
) -> Iterator[Window]:
    """The last window's faces, every `hop` seconds, from the first whole window on.

    Frames come as the camera gives them; one is followed where 1 / rate has passed since the one before, so a slow
    machine or a slow camera leaves frames out and falls behind by none.
    """
    rate, held = float(followed_rate(face)), face.frames * frames_each(face)
    tracker, rows, due, told = face_tracker(face, detector), [], 0.0, 0
    for moment, frame in _pictures(camera):
        if moment < due - 0.25 / rate:
            continue
        due = max(due, moment - 1 / rate) + 1 / rate
        rows = [*rows, tracker(frame[None], [moment])][-held:]
        ends = moment + 1 / rate
        if ends >= held / rate + told * hop - 0.5 / rate:
            told = 1 + max(told, int((ends - held / rate) / hop))
            yield Window(max(0.0, ends - held / rate), ends, np.zeros(0, np.float32), _joined(rows))


def _joined(rows: list[Faces]) -> Faces:
    names = ("boxes", "confidence", "crops", "present", "timestamps")
    return Faces(**{name: np.concatenate([getattr(row, name) for row in rows]) for name in names})


def _pictures(camera: int | str | Path) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds since the first picture, and the picture, (height, width, 3) uint8, RGB."""
    cv2 = import_extra("cv2", "face")
    device = isinstance(camera, int)
    if not device and not Path(camera).is_file():
        raise LMFError(
            f"{camera}: no such file. A camera is a device's number, 0 for the first, or a video file."
        )
    capture = cv2.VideoCapture(camera if device else str(camera))
    try:
        if not capture.isOpened():
            what = (
                f"There is no camera {camera}, or it is in use"
                if device
                else f"{camera}: OpenCV can't read it"
            )
            raise LMFError(f"{what}. A camera is a device's number, 0 for the first, or a video file.")
        first = None
        while True:
            there, frame = capture.read()
            if not there:
                return
            now = time.monotonic() if device else capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            first = now if first is None else first
            yield now - first, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()
