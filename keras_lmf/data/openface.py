"""Facial features that OpenFace 2 wrote: landmarks and action units per frame, from its table."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_lmf.data.tables import read_csv
from keras_lmf.errors import LMFError

LANDMARKS = 68
INTENSITIES = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
PRESENCES = (*INTENSITIES[:14], 25, 26, 28, 45)
# As OpenFace orders them: 17 intensities from 0 to 5, then 18 presences, 0 or 1.
ACTION_UNITS = (*(f"AU{unit:02d}_r" for unit in INTENSITIES), *(f"AU{unit:02d}_c" for unit in PRESENCES))
_POINTS = tuple(f"{axis}_{point}" for axis in "xy" for point in range(LANDMARKS))
_FRAME = ("frame", "timestamp", "confidence", "success")
COLUMNS = (*_FRAME, *_POINTS, *ACTION_UNITS)
POSE = ("pose_Rx", "pose_Ry", "pose_Rz")
GAZE = ("gaze_angle_x", "gaze_angle_y")


class FacialFeatures(NamedTuple):
    """What a face did over T frames.

    Attributes:
        timestamps: (T,) float64, in seconds.
        landmarks: (T, 68, 2) float32, x and y in pixels.
        action_units: (T, 35) float32 in the order of `ACTION_UNITS`.
        success: (T,) bool: where the face was followed. Elsewhere landmarks, action units, pose and gaze are zeros.
        pose: (T, 3) float32, the head's pitch, yaw and roll in radians, as OpenFace has them; None where the table
            lacks them.
        gaze: (T, 2) float32, its angles to the side and up and down in radians; None where the table lacks them.
    """

    timestamps: np.ndarray
    landmarks: np.ndarray
    action_units: np.ndarray
    success: np.ndarray
    pose: np.ndarray | None = None
    gaze: np.ndarray | None = None


def read_openface(path: str | Path, *, least_confidence: float = 0.8) -> FacialFeatures:
    """The table of one clip with one face that OpenFace 2's FeatureExtraction wrote with `-2Dfp -aus`, among others;
    with `-pose -gaze` it has those, too.

    Baltrušaitis et al., "OpenFace 2.0: Facial behavior analysis toolkit", FG 2018. Columns may stand in any order, and
    others are passed over.

    Args:
        path: of the .csv.
        least_confidence: 0 to 1: a frame that OpenFace was less sure of counts as one without success.

    Raises:
        LMFError: no table; a column that is missing; no frames; a line with too few or too many values, or one that
            is no finite number; frames that do not follow one another, as where several faces share the table.
    """
    path = Path(path)
    if not 0 <= least_confidence <= 1:
        raise LMFError(f"read_openface: least_confidence must be 0 to 1, received {least_confidence!r}.")
    columns = _columns(path)
    steps = np.diff(columns["frame"])
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0))
        raise LMFError(
            f"{path}: frame {columns['frame'][row + 1]:g} follows frame {columns['frame'][row]:g}. One clip with one "
            "face is read: keep the lines of one face_id, in order."
        )
    success = (columns["success"] == 1) & (columns["confidence"] >= least_confidence)
    points = np.stack([columns[name] for name in _POINTS], axis=-1)
    landmarks = points.reshape(-1, 2, LANDMARKS).transpose(0, 2, 1)

    def followed(names: tuple[str, ...]) -> np.ndarray | None:
        if not columns.keys() >= set(names):
            return None
        values = np.stack([columns[name] for name in names], axis=-1)
        return np.where(success[:, None], values, 0).astype(np.float32)

    return FacialFeatures(
        columns["timestamp"],
        np.where(success[:, None, None], landmarks, 0).astype(np.float32),
        followed(ACTION_UNITS),
        success,
        followed(POSE),
        followed(GAZE),
    )


def _columns(path: Path) -> dict[str, np.ndarray]:
    """Column → (T,) float64, of `COLUMNS`, and of pose and gaze where they are; features are zeros where OpenFace
    followed no face."""
    header, lines = read_csv(
        path, COLUMNS, "OpenFace's FeatureExtraction writes OUT/NAME.csv; all of it with -2Dfp -aus."
    )
    if not lines:
        raise LMFError(f"{path}: no frames, only a header.")
    names = (*COLUMNS, *(name for name in (*POSE, *GAZE) if name in header))
    table = np.array([[_number(values[name]) for name in names] for _, values in lines])
    # Of a frame without a face OpenFace may write anything.
    table[table[:, COLUMNS.index("success")] != 1, len(_FRAME) :] = 0
    for row, column in np.argwhere(~(np.abs(table) <= np.finfo(np.float32).max)):
        (line, values), name = lines[row], names[column]
        raise LMFError(f"{path}, line {line}: {name} must be a finite number, received {values[name]!r}.")
    return dict(zip(names, table.T))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
