"""Of the face and the body: from five points in each picture, or from OpenFace's table.

No package that ships dense landmarks within itself is free for any use: MediaPipe's wheel holds no models, dlib's were
trained on faces for research alone, others download theirs. So gaze, brows, pitch and the lips' distance need OpenFace.
"""

from __future__ import annotations

import numpy as np

from keras_lmf.data.openface import ACTION_UNITS, FacialFeatures
from keras_lmf.descriptors.table import STEP
from keras_lmf.errors import import_extra
from keras_lmf.media.detectors import YuNet
from keras_lmf.media.faces import FaceTracker, overlap

NOSE_DEPTH = 0.6  # how far the nose's tip lies before the eyes, in distances between them
BESIDE = 0.2  # of a face's box on each side that counts as face, not as body
SMALL = 160  # pixels of the longer side of the pictures whose difference is taken: noise is averaged out
UNITS = {"brow_inner_raise": 1, "brow_outer_raise": 2, "brow_lowering": 4, "lip_corner_pull": 12}


class FaceReader:
    """Reads a film's pictures piece by piece; each answer depends on those so far alone."""

    def __init__(self) -> None:
        self._yunet, self._rows = YuNet(), np.zeros((0, 15))
        self._tracker = FaceTracker(self._detect, size=1, interval=0, hold=0, smoothing=0)
        self._last: np.ndarray | None = None

    def __call__(self, frames: np.ndarray, timestamps: np.ndarray) -> dict[str, np.ndarray]:
        """`points` (T, 5, 2) pixels, NaN without a face; `mouth_darkness` and `body_movement` (T,).

        Args:
            frames: (T, height, width, 3) uint8, RGB.
            timestamps: (T,) seconds, rising.
        """
        points = np.full((len(frames), 5, 2), np.nan)
        darkness, movement = np.full(len(frames), np.nan), np.full(len(frames), np.nan)
        for i, (frame, time) in enumerate(zip(frames, timestamps)):
            box = self._tracker(frame[None], [time]).boxes[0]
            if len(self._rows) and not np.isnan(box[0]):
                row = self._rows[overlap(box, self._rows[:, :4]).argmax()]
                points[i] = row[4:14].reshape(5, 2)
                darkness[i] = mouth_darkness(frame, points[i])
            movement[i] = self._movement(frame, box)
        return {"points": points, "mouth_darkness": darkness, "body_movement": movement}

    def _detect(self, frame: np.ndarray) -> np.ndarray:
        self._rows = self._yunet.with_points(frame)
        return self._rows[:, [0, 1, 2, 3, 14]]

    def _movement(self, frame: np.ndarray, box: np.ndarray) -> float:
        """Mean difference to the last picture, where neither it nor this one shows the face; NaN of the first."""
        cv2 = import_extra("cv2", "face")
        scale = min(1.0, SMALL / max(frame.shape[:2]))
        width, height = (max(1, round(scale * side)) for side in frame.shape[1::-1])
        grey = cv2.cvtColor(
            cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
        )
        picture = grey.astype(np.float64)
        if not np.isnan(box[0]):
            x, y, wide, high = box * scale
            rows = slice(max(0, round(y - BESIDE * high)), max(0, round(y + (1 + BESIDE) * high)))
            columns = slice(max(0, round(x - BESIDE * wide)), max(0, round(x + (1 + BESIDE) * wide)))
            picture[rows, columns] = np.nan
        last, self._last = self._last, picture
        if last is None or last.shape != picture.shape:
            return np.nan
        change = np.abs(picture - last)
        return float(np.nanmean(change)) if np.isfinite(change).any() else np.nan


def mouth_darkness(frame: np.ndarray, points: np.ndarray) -> float:
    """Share of the mouth's region that is darker than half of the face; NaN where it lies outside the picture.

    The region is as wide as the mouth, from .3 of that above its corners to .7 below, as the jaw drops. An open mouth
    is dark inside. So are a beard and a shadow: compare within one clip.

    Args:
        frame: (height, width, 3) uint8, RGB.
        points: (5, 2), as of `YuNet.with_points`.
    """
    grey = frame @ np.array([0.299, 0.587, 0.114])
    (left, level), (right, other) = sorted(points[3:].tolist())
    wide, middle = right - left, (level + other) / 2
    mouth = _part(grey, left, right, middle - 0.3 * wide, middle + 0.7 * wide)
    eyes = points[:2, 1].mean()
    face = _part(grey, points[:2, 0].min(), points[:2, 0].max(), eyes, middle)
    if not mouth.size or not face.size:
        return np.nan
    return float((mouth < np.median(face) / 2).mean())


def _part(grey: np.ndarray, left: float, right: float, top: float, bottom: float) -> np.ndarray:
    rows, columns = (
        slice(max(0, round(low)), max(0, round(high) + 1)) for low, high in ((top, bottom), (left, right))
    )
    return grey[rows, columns]


def pose_of_points(points: np.ndarray) -> dict[str, np.ndarray]:
    """`head_roll`, `head_yaw` in degrees and `head_movement` in eye distances a second, (T,) each.

    Roll is the angle of the line between the eyes. Yaw comes from how far the nose's tip lies beside their middle,
    along that line, at a nose of .6 eye distances: right for a far camera and such a nose, else an approximation.

    Args:
        points: (T, 5, 2) pixels, as of `YuNet.with_points`, one row every `STEP` seconds.
    """
    eyes = points[:, 1] - points[:, 0]  # the person's right eye is on the picture's left
    distance = np.linalg.norm(eyes, axis=1)
    distance = np.where(distance > 0, distance, np.nan)
    middle = points[:, :2].mean(axis=1)
    beside = np.einsum("ti,ti->t", points[:, 2] - middle, eyes) / distance
    moved = np.linalg.norm(np.diff(middle, axis=0), axis=1)
    return {
        "head_roll": np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0])),
        "head_yaw": np.degrees(np.arctan2(beside, NOSE_DEPTH * distance)),
        "head_movement": np.concatenate([[np.nan], moved / distance[1:] / STEP])[: len(points)],
    }


def of_openface(features: FacialFeatures, count: int) -> dict[str, np.ndarray]:
    """Descriptor → (count,): each step has the nearest frame, NaN where that is more than a step away or lost.

    Args:
        features: as of `read_openface`.
        count: steps.
    """
    steps = np.arange(count) * STEP
    frames = np.abs(features.timestamps[None] - steps[:, None]).argmin(axis=1)
    there = features.success[frames] & (np.abs(features.timestamps[frames] - steps) <= STEP)

    def on_steps(values: np.ndarray) -> np.ndarray:
        return np.where(there, values[frames], np.nan)

    def apart(one: int, other: int) -> np.ndarray:
        return np.linalg.norm(features.landmarks[:, one] - features.landmarks[:, other], axis=1)

    wide = apart(48, 54)
    found = {"mouth_opening": on_steps(apart(62, 66) / np.where(wide > 0, wide, np.nan))}
    for name, unit in UNITS.items():
        found[name] = on_steps(features.action_units[:, ACTION_UNITS.index(f"AU{unit:02d}_r")])
    if features.pose is not None:
        pitch, yaw, roll = np.degrees(features.pose.astype(np.float64)).T
        found |= {"head_pitch": on_steps(pitch), "head_yaw": on_steps(yaw), "head_roll": on_steps(roll)}
    if features.gaze is not None:
        aside, up = np.degrees(features.gaze.astype(np.float64)).T
        found |= {"gaze_x": on_steps(aside), "gaze_y": on_steps(up)}
    eyes = np.stack(
        [features.landmarks[:, 36:42].mean(axis=1), features.landmarks[:, 42:48].mean(axis=1)], axis=1
    )
    middle = np.stack([on_steps(column) for column in eyes.mean(axis=1).T], axis=1)
    distance = on_steps(np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=1))
    moved = np.linalg.norm(np.diff(middle, axis=0), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found["head_movement"] = np.concatenate([[np.nan], moved / distance[1:] / STEP])[:count]
    return found
