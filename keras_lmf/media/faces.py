"""One face followed through the frames of a clip, of a long file window by window, or of a camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.media.detectors import DETECTORS, Detector, HaarCascade, YuNet, open_detector
from keras_lmf.spec import DEFAULT_DETECTOR

__all__ = ["DETECTORS", "Detector", "FaceTracker", "Faces", "HaarCascade", "YuNet", "open_detector", "track"]

_SAME = 0.3  # least intersection over union of one face's boxes in detections that follow one another
_ALIKE = 0.5  # least correlation of a crop without a detection of its own with the last that had one
_EARLY = 1e-6  # seconds by which rounded timestamps may come too soon


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


_Seen = tuple[np.ndarray, float, np.ndarray]  # box, confidence and crop of one frame's face


@dataclass(eq=False)
class _Track:
    """The face that is followed: its last detection, its smoothed box, and the crop of its last detection."""

    detection: np.ndarray
    box: np.ndarray
    found: float
    crop: np.ndarray


class FaceTracker:
    """Follows one face; each answer depends on the frames so far alone, so a live one is the same.

    - Which: a face counts once `confirmations` detections in a row have it (intersection over union ≥ 0.3); of
      several the largest. It is kept as long as it is found, however large others grow.
    - Detection: at every frame as long as there is no face or it was not found, else every `interval` seconds.
    - Misses: a face that isn't found keeps its box for `hold` seconds, then there is none.
    - Cuts: a crop without a detection of its own that doesn't look like the last one that had (correlation of
      the grey pixels < 0.5) calls for a detection at once, and is never given without one.
    - Smoothing: box ← box + (1 − exp(−Δt / smoothing)) · (last detection − box) at each frame, from the first
      detection on: a face that moves at v pixels a second is shown v · smoothing pixels behind.

    Memory: the state, and the answers of the last call.

    Args:
        detector: "yunet", "haar", "none" (each frame is the face), or a function of a frame (height, width, 3), uint8
            RGB, that gives (N, 5) or (N, 4) numbers: x, y, width, height in pixels, confidence.
        size: pixels of a crop's side.
        margin: what a crop shows beyond the box's longer side, on each side, as a share of it.
        grey: one channel, else red, green, blue.
        confirmations, interval, hold: as above; 1 for single pictures; 0 detects at every frame.
        smoothing: the time constant in seconds; 0 gives the detections themselves.

    Raises:
        LMFError: an argument out of its range, an unknown detector, or OpenCV isn't installed.
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
        self._track: _Track | None = None
        self._candidates: list[tuple[np.ndarray, int]] = []  # detection, and how many in a row had it
        self._time = self._detected = -math.inf
        self._answers: dict[float, _Seen | None] = {}

    def __call__(self, frames: np.ndarray, timestamps: Sequence[float] | np.ndarray) -> Faces:
        """The faces of the next frames.

        Windows may overlap: a frame whose timestamp was in the last call gets the answer that it got there.

        Args:
            frames: (T, height, width, 3) uint8, RGB; T may be 0.
            timestamps: (T,) seconds, rising.

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
        answers: dict[float, _Seen | None] = {}
        for frame, time in zip(frames, times.tolist()):
            if time in self._answers:
                answers[time] = self._answers[time]
                continue
            if not time > self._time:
                raise LMFError(
                    f"timestamp {time:g} s after {self._time:g} s: they must rise. "
                    "For another file, make another FaceTracker."
                )
            answers[time] = self._step(frame, time)
            self._time = time
        self._answers = answers
        return self._stacked(list(answers.values()), times)

    def _step(self, frame: np.ndarray, time: float) -> _Seen | None:
        track = self._track
        if track:
            due = track.found < self._detected or time >= self._detected + self.interval - _EARLY
            if not due and (seen := self._kept(track, frame, time)):
                return seen
        detections = self._detections(frame)
        self._detected = time
        if track:
            if self._found(track, detections):
                track.box = self._smoothed(track, time)
                track.crop, track.found = self._crop(frame, track.box), time
                return track.box, track.detection[4], track.crop
            if time <= track.found + self.hold + _EARLY and (seen := self._kept(track, frame, time)):
                return seen
        return self._search(frame, time, detections)

    def _kept(self, track: _Track, frame: np.ndarray, time: float) -> _Seen | None:
        """The face where the last detection had it; None if what is there doesn't look like it."""
        box = self._smoothed(track, time)
        crop = self._crop(frame, box)
        if resemblance(crop, track.crop) < _ALIKE:
            return None
        track.box = box
        return box, track.detection[4], crop

    def _smoothed(self, track: _Track, time: float) -> np.ndarray:
        share = 1 - math.exp(-(time - self._time) / self.smoothing) if self.smoothing else 1.0
        return track.box + share * (track.detection[:4] - track.box)

    def _found(self, track: _Track, detections: np.ndarray) -> bool:
        """Whether one of the detections is the face that is followed; if so, the nearest becomes its own."""
        shared = overlap(track.detection[:4], detections[:, :4])
        if not len(shared) or shared.max() < _SAME:
            return False
        track.detection = detections[shared.argmax()]
        return True

    def _search(self, frame: np.ndarray, time: float, detections: np.ndarray) -> _Seen | None:
        """Without a face that is followed: the largest of those that were detected often enough."""
        self._track, before = None, self._candidates
        self._candidates = []
        for detection in detections:
            counts = [count for box, count in before if overlap(detection[:4], box[None, :4])[0] >= _SAME]
            self._candidates.append((detection, 1 + max(counts, default=0)))
        sure = [box for box, count in self._candidates if count >= self.confirmations]
        if not sure:
            return None
        detection = max(sure, key=lambda box: box[2] * box[3])
        self._candidates = []
        self._track = _Track(detection, detection[:4], time, self._crop(frame, detection[:4]))
        return detection[:4], detection[4], self._track.crop

    def _detections(self, frame: np.ndarray) -> np.ndarray:
        """(N, 5): the detector's boxes that have an area; without a confidence, NaN."""
        found = np.asarray(self._detect(frame), float)
        if not found.size:
            return np.zeros((0, 5))
        if found.ndim != 2 or found.shape[1] not in (4, 5):
            raise LMFError(f"The face detector gave {found.shape}: it must give (N, 4) or (N, 5) numbers.")
        found = np.pad(found, ((0, 0), (0, 5 - found.shape[1])), constant_values=np.nan)
        return found[np.isfinite(found[:, :4]).all(axis=1) & (found[:, 2:4] > 0).all(axis=1)]

    def _crop(self, frame: np.ndarray, box: np.ndarray) -> np.ndarray:
        return square_crop(frame, box, self.margin, self.size, self.grey)

    def _stacked(self, seen: list[_Seen | None], times: np.ndarray) -> Faces:
        boxes, confidence = (
            np.full((len(seen), 4), np.nan, np.float32),
            np.full(len(seen), np.nan, np.float32),
        )
        crops = np.zeros((len(seen), self.size, self.size, 1 if self.grey else 3), np.float32)
        for index, face in enumerate(seen):
            if face is not None:
                boxes[index], confidence[index], crops[index] = face
        return Faces(boxes, confidence, crops, np.array([face is not None for face in seen], bool), times)


def track(
    frames: np.ndarray,
    timestamps: Sequence[float] | np.ndarray,
    detector: str | Detector = DEFAULT_DETECTOR,
    **settings: float,
) -> Faces:
    """The faces of a whole clip: `FaceTracker(detector, **settings)` called once, as of `keras_lmf.media.Clip`.

    >>> import numpy as np
    >>> left_half = lambda frame: [(0, 0, frame.shape[1] / 2, frame.shape[0])]
    >>> frames = np.random.default_rng(0).integers(0, 256, (3, 48, 96, 3), np.uint8)
    >>> faces = track(frames, [0.0, 0.04, 0.08], left_half, interval=0)
    >>> faces.present.tolist()
    [False, True, True]

    Raises:
        LMFError: as of `FaceTracker`.
    """
    return FaceTracker(detector, **settings)(frames, timestamps)


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
