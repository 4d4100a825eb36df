"""What following one face and several have in common: detections, boxes, crops, and what is kept of a face."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.media.detectors import Detector, open_detector
from keras_lmf.spec import DEFAULT_DETECTOR

SAME = 0.3  # least intersection over union of one face's boxes in detections that follow one another
ALIKE = 0.5  # least correlation of a crop without a detection of its own with the last that had one
EARLY = 1e-6  # seconds by which rounded timestamps may come too soon


@dataclass(frozen=True, eq=False)
class Faces:
    """The face in each of T frames.

    Attributes:
        boxes: (T, 4) float32: x, y, width, height in the frame's pixels, smoothed; NaN where there is no face. A box
            may reach over the frame's edge.
        confidence: (T,) float32 in [0, 1], of the last detection; NaN without a face, or from a detector that has
            none.
        crops: (T, size, size, 1 or 3) float32 in [0, 1]; 0 where there is no face.
        present: (T,) bool.
        timestamps: (T,) float64, seconds, as they were given.
    """

    boxes: np.ndarray
    confidence: np.ndarray
    crops: np.ndarray
    present: np.ndarray
    timestamps: np.ndarray


Seen = tuple[np.ndarray, float, np.ndarray]  # box, confidence and crop of one frame's face
Step = TypeVar("Step")  # what is seen in one frame


@dataclass(eq=False)
class Track:
    """A face that is followed: its last detection, its smoothed box, and the crop of its last detection."""

    detection: np.ndarray
    box: np.ndarray
    found: float
    crop: np.ndarray


class Tracker(abc.ABC, Generic[Step]):
    """The settings of `FaceTracker`, and the steps of a film; what a step is, says who follows.

    Attributes:
        time: seconds of the last frame.
        detected: seconds of the last detection.
        candidates: the faces of the last detection that are not followed, and how many detections in a row had each.
    """

    def __init__(
        self,
        detector: str | Detector = DEFAULT_DETECTOR,
        *,
        size: int = 64,
        margin: float = 0.0,
        grey: bool = True,
        confirmations: int = 2,
        interval: float = 0.1,
        hold: float = 0.5,
        smoothing: float = 0.15,
    ) -> None:
        for name, count in {"size": size, "confirmations": confirmations}.items():
            if not 1 <= count < math.inf or count != int(count):
                raise LMFError(f"{name}={count!r}: it must be a whole number of at least 1.")
        for name, seconds in {"interval": interval, "hold": hold, "smoothing": smoothing}.items():
            if not 0 <= seconds < math.inf:
                raise LMFError(f"{name}={seconds!r}: it must be a number of seconds, at least 0.")
        if not -0.5 < margin < math.inf:
            raise LMFError(f"margin={margin!r}: it must be a number above -0.5, where nothing would be left.")
        self.size, self.margin, self.grey = size, margin, grey
        self.confirmations, self.interval = 1 if detector == "none" else confirmations, interval
        self.hold, self.smoothing = hold, smoothing
        self._detect = open_detector(detector) if isinstance(detector, str) else detector
        self.candidates: list[tuple[np.ndarray, int]] = []  # detection, and how many in a row had it
        self.time = self.detected = -math.inf
        self._told: dict[float, Step] = {}

    @abc.abstractmethod
    def step(self, frame: np.ndarray, time: float) -> Step:
        """What is seen in the next frame."""

    def steps(
        self, frames: np.ndarray, timestamps: Sequence[float] | np.ndarray
    ) -> tuple[list[Step], np.ndarray]:
        """What is seen in each of the next frames, and their timestamps; those of the last call are not seen anew.

        Raises:
            LMFError: another shape or type, or timestamps that don't rise.
        """
        frames, times = np.asarray(frames), np.asarray(timestamps, float)
        pictures = frames.ndim == 4 and frames.shape[3] == 3 and frames.dtype == np.uint8
        if not pictures or times.shape != frames.shape[:1]:
            raise LMFError(
                f"frames {frames.shape} {frames.dtype} with timestamps {times.shape}: they must be "
                "(T, height, width, 3) uint8 with (T,) seconds."
            )
        answers: dict[float, Step] = {}
        for frame, time in zip(frames, times.tolist()):
            if time in self._told:
                answers[time] = self._told[time]
                continue
            if not time > self.time:
                raise LMFError(
                    f"timestamp {time:g} s after {self.time:g} s: they must rise. "
                    f"For another file, make another {type(self).__name__}."
                )
            answers[time] = self.step(frame, time)
            self.time = time
        self._told = answers
        return list(answers.values()), times

    def kept(self, track: Track, frame: np.ndarray, time: float) -> Seen | None:
        """The face where the last detection had it; None if what is there doesn't look like it. The track stays."""
        box = self.smoothed(track, time)
        crop = self.crop(frame, box)
        if resemblance(crop, track.crop) < ALIKE:
            return None
        return box, track.detection[4], crop

    def smoothed(self, track: Track, time: float) -> np.ndarray:
        """(4,): the track's box, gone on towards its last detection."""
        share = 1 - math.exp(-(time - self.time) / self.smoothing) if self.smoothing else 1.0
        return track.box + share * (track.detection[:4] - track.box)

    def detections(self, frame: np.ndarray) -> np.ndarray:
        """(N, 5): the detector's boxes that have an area; without a confidence, NaN."""
        found = np.asarray(self._detect(frame), float)
        if not found.size:
            return np.zeros((0, 5))
        if found.ndim != 2 or found.shape[1] not in (4, 5):
            raise LMFError(f"The face detector gave {found.shape}: it must give (N, 4) or (N, 5) numbers.")
        found = np.pad(found, ((0, 0), (0, 5 - found.shape[1])), constant_values=np.nan)
        return found[np.isfinite(found[:, :4]).all(axis=1) & (found[:, 2:4] > 0).all(axis=1)]

    def crop(self, frame: np.ndarray, box: np.ndarray) -> np.ndarray:
        """What `square_crop` gives by the settings."""
        return square_crop(frame, box, self.margin, self.size, self.grey)

    def sure(self, detections: np.ndarray) -> list[np.ndarray]:
        """Those of the detections, of faces that aren't followed, that `confirmations` in a row had."""
        before, self.candidates = self.candidates, []
        for detection in detections:
            counts = [count for box, count in before if overlap(detection[:4], box[None, :4])[0] >= SAME]
            self.candidates.append((detection, 1 + max(counts, default=0)))
        return [box for box, count in self.candidates if count >= self.confirmations]

    def stacked(self, seen: Sequence[Seen | None], times: np.ndarray) -> Faces:
        """One face in each of the frames."""
        boxes, confidence = (
            np.full((len(seen), 4), np.nan, np.float32),
            np.full(len(seen), np.nan, np.float32),
        )
        crops = np.zeros((len(seen), self.size, self.size, 1 if self.grey else 3), np.float32)
        for index, face in enumerate(seen):
            if face is not None:
                boxes[index], confidence[index], crops[index] = face
        return Faces(boxes, confidence, crops, np.array([face is not None for face in seen], bool), times)


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of `box` (4,) with each of `others` (N, 4): (N,) in [0, 1]."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    return shared / (np.prod(box[2:]) + np.prod(others[:, 2:], axis=1) - shared)


def square_crop(frame: np.ndarray, box: np.ndarray, margin: float, size: int, grey: bool) -> np.ndarray:
    """The square around the box's centre, as wide as its longer side and `margin` of that more on each side.

    Resized with area interpolation. What lies outside the frame shows the frame's nearest pixel.

    Args:
        frame: (height, width, 3) uint8, RGB.
        box: x, y, width, height in pixels, which may be fractions; it is rounded to whole ones.

    Returns:
        (size, size, 1 or 3) float32 in [0, 1]; grey by the weights of ITU-R BT.601.
    """
    cv2 = import_extra("cv2", "face")
    side = max(1, round(max(box[2:]) * (1 + 2 * margin)))
    x, y = box[:2] + box[2:] / 2
    top, left = round(y - side / 2), round(x - side / 2)
    height, width = frame.shape[:2]
    if 0 <= top <= height - side and 0 <= left <= width - side:
        square = frame[top : top + side, left : left + side]
    else:
        rows, columns = top + np.arange(side), left + np.arange(side)
        square = frame[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]
    crop = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    if grey:
        crop = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None]
    return crop.astype(np.float32) / 255


def resemblance(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of two pictures' values; 0 where one of them is a single colour."""
    one, other = (picture.astype(float).ravel() - picture.mean(dtype=float) for picture in (one, other))
    scale = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / scale) if scale > 1e-9 else 0.0
