"""Several faces followed through the frames of a clip, each under a number of its own."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.media.detectors import Detector
from keras_lmf.media.following import EARLY, SAME, Faces, Seen, Track, Tracker, overlap
from keras_lmf.spec import DEFAULT_DETECTOR

MOST = 8


class MultiFaceTracker(Tracker[dict[int, Seen]]):
    """Follows every face as `FaceTracker` follows one; each answer depends on the frames so far alone.

    - Numbers: 0, 1, …, in the order in which faces are first sure, those of one frame from left to right. A face
      takes the detection that overlaps most with its last one (intersection over union ≥ 0.3), the pairs that overlap
      most first.
    - Lost: a face that isn't found keeps its box for `hold` seconds, then it is lost. One that becomes sure within
      `memory` seconds after it was found last, where it was last, has its number. Nobody is recognised by looks: who
      comes back later or elsewhere is a new face, and who takes another's place at once is the same one.
    - Detection: at every frame as long as there is no face, one was not found, or one is not sure yet; else every
      `interval` seconds; and at a cut.
    - No more than `most` faces have numbers; further ones are passed over, which a warning says once.

    Args:
        detector: as of `FaceTracker`.
        most: faces of the whole clip.
        memory: seconds.
        settings: others, as of `FaceTracker`.

    Raises:
        LMFError: as of `FaceTracker`.
    """

    def __init__(
        self,
        detector: str | Detector = DEFAULT_DETECTOR,
        *,
        most: int = MOST,
        memory: float = 3.0,
        **settings: Any,
    ) -> None:
        super().__init__(detector, **settings)
        if not isinstance(most, int) or most < 1:
            raise LMFError(f"most={most!r}: it must be a whole number of at least 1.")
        if not 0 <= memory < math.inf:
            raise LMFError(f"memory={memory!r}: it must be a number of seconds, at least 0.")
        self.most, self.memory = most, memory
        self._tracks: list[Track] = []  # by number
        self._followed: set[int] = set()
        self._warned = False

    def __call__(self, frames: np.ndarray, timestamps: Sequence[float] | np.ndarray) -> tuple[Faces, ...]:
        """By number, the faces that were sure so far, in the next frames; arguments and errors as of `FaceTracker`."""
        steps, times = self.steps(frames, timestamps)
        return tuple(
            self.stacked([step.get(number) for step in steps], times) for number in range(len(self._tracks))
        )

    def step(self, frame: np.ndarray, time: float) -> dict[int, Seen]:
        """Number → what is seen of it in the next frame."""
        tracks = {number: self._tracks[number] for number in sorted(self._followed)}
        if not self._is_due(tracks, time):
            kept = {number: self.kept(track, frame, time) for number, track in tracks.items()}
            if None not in kept.values():
                return self._moved(kept)
        detections = self.detections(frame)
        self.detected = time
        found = _pairs(tracks, detections)
        for number, at in found.items():
            track = tracks[number]
            track.detection = detections[at]
            track.box = self.smoothed(track, time)
            track.crop, track.found = self.crop(frame, track.box), time
        missed = {
            number: self.kept(track, frame, time)
            for number, track in tracks.items()
            if number not in found and time <= track.found + self.hold + EARLY
        }
        seen = self._moved({number: face for number, face in missed.items() if face is not None})
        self._followed = {*found, *seen}
        free = np.delete(detections, list(found.values()), axis=0)
        for detection in sorted(self.sure(free), key=lambda box: box[0]):
            if (number := self._number_of(detection, time)) is None:
                continue
            track = Track(detection, detection[:4], time, self.crop(frame, detection[:4]))
            self._tracks[number : number + 1] = [track]
            self._followed.add(number)
        for number in self._followed - seen.keys():
            track = self._tracks[number]
            seen[number] = track.box, track.detection[4], track.crop
        return seen

    def _is_due(self, tracks: dict[int, Track], time: float) -> bool:
        unsure = any(count < self.confirmations for _, count in self.candidates)
        missed = any(track.found < self.detected for track in tracks.values())
        return not tracks or unsure or missed or time >= self.detected + self.interval - EARLY

    def _moved(self, seen: dict[int, Seen]) -> dict[int, Seen]:
        for number, face in seen.items():
            self._tracks[number].box = face[0]
        return seen

    def _number_of(self, detection: np.ndarray, time: float) -> int | None:
        """That of the lost face which was last there, else a new one; None where there are no more."""
        lost = {
            number: overlap(detection[:4], track.detection[None, :4])[0]
            for number, track in enumerate(self._tracks)
            if number not in self._followed and time <= track.found + self.memory + EARLY
        }
        nearest = max(lost, key=lost.__getitem__, default=None)
        if nearest is not None and lost[nearest] >= SAME:
            return nearest
        if len(self._tracks) < self.most:
            return len(self._tracks)
        if not self._warned:
            warnings.warn(f"More than {self.most} faces: the first {self.most} are followed.", stacklevel=2)
            self._warned = True
        return None


def _pairs(tracks: dict[int, Track], detections: np.ndarray) -> dict[int, int]:
    """Number of a track → row of its detection; the pairs that overlap most first, each once."""
    shared = [
        (value, number, at)
        for number, track in tracks.items()
        for at, value in enumerate(overlap(track.detection[:4], detections[:, :4]).tolist())
        if value >= SAME
    ]
    pairs: dict[int, int] = {}
    for _, number, at in sorted(shared, key=lambda pair: -pair[0]):
        if number not in pairs and at not in pairs.values():
            pairs[number] = at
    return pairs
