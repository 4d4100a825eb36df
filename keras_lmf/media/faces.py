"""One face followed through the frames of a clip, of a long file window by window, or of a camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_lmf.media.detectors import DETECTORS, Detector, HaarCascade, YuNet, open_detector
from keras_lmf.media.following import EARLY, SAME, Faces, Seen, Track, Tracker, overlap, square_crop
from keras_lmf.media.several_faces import MultiFaceTracker
from keras_lmf.spec import DEFAULT_DETECTOR

__all__ = [
    "DETECTORS",
    "Detector",
    "FaceTracker",
    "Faces",
    "HaarCascade",
    "MultiFaceTracker",
    "YuNet",
    "open_detector",
    "overlap",
    "square_crop",
    "track",
]


class FaceTracker(Tracker[Seen | None]):
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

    _track: Track | None = None
    _detections: np.ndarray = np.zeros((0, 5))  # the last ones

    @property
    def others(self) -> np.ndarray:
        """(N, 4): the boxes of the last detection that aren't the face that is followed."""
        boxes = self._detections[:, :4]
        return boxes[overlap(self._track.detection[:4], boxes) < SAME] if self._track else boxes

    def __call__(self, frames: np.ndarray, timestamps: Sequence[float] | np.ndarray) -> Faces:
        """The faces of the next frames.

        Windows may overlap: a frame whose timestamp was in the last call gets the answer that it got there.

        Args:
            frames: (T, height, width, 3) uint8, RGB; T may be 0.
            timestamps: (T,) seconds, rising.

        Raises:
            LMFError: another shape or type, or timestamps that don't rise.
        """
        return self.stacked(*self.steps(frames, timestamps))

    def step(self, frame: np.ndarray, time: float) -> Seen | None:
        track = self._track
        if track:
            due = track.found < self.detected or time >= self.detected + self.interval - EARLY
            if not due and (seen := self.kept(track, frame, time)):
                track.box = seen[0]
                return seen
        detections = self._detections = self.detections(frame)
        self.detected = time
        if track:
            if self._found(track, detections):
                track.box = self.smoothed(track, time)
                track.crop, track.found = self.crop(frame, track.box), time
                return track.box, track.detection[4], track.crop
            if time <= track.found + self.hold + EARLY and (seen := self.kept(track, frame, time)):
                track.box = seen[0]
                return seen
        return self._search(frame, time, detections)

    def _found(self, track: Track, detections: np.ndarray) -> bool:
        """Whether one of the detections is the face that is followed; if so, the nearest becomes its own."""
        shared = overlap(track.detection[:4], detections[:, :4])
        if not len(shared) or shared.max() < SAME:
            return False
        track.detection = detections[shared.argmax()]
        return True

    def _search(self, frame: np.ndarray, time: float, detections: np.ndarray) -> Seen | None:
        """Without a face that is followed: the largest of those that were detected often enough."""
        self._track = None
        sure = self.sure(detections)
        if not sure:
            return None
        detection = max(sure, key=lambda box: box[2] * box[3])
        self.candidates = []
        self._track = Track(detection, detection[:4], time, self.crop(frame, detection[:4]))
        return detection[:4], detection[4], self._track.crop


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
