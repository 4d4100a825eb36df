"""Thumbnails of a clip, evenly over its time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from keras_lmf.errors import import_extra

SIDE = 120  # of a thumbnail, in pixels
ROOM = 1.5  # of a face's box, as many times its longer side are shown
MOST = 24
NOBODY = np.zeros((0, 4))


class Thumbnail(NamedTuple):
    """A small picture, (120, 120, 3) uint8, RGB, with its time in seconds: the face with some room around it, or the
    middle of a frame without one."""

    time: float
    picture: np.ndarray


class Strip:
    """No more than 24 thumbnails of a clip of any length, evenly over its time; and where other faces are.

    Attributes:
        thumbnails: in order of time.
        others: from when on, in seconds, there are which other faces, (N, 4) as `box` of `add`.
    """

    def __init__(self) -> None:
        self.thumbnails: list[Thumbnail] = []
        self.others: list[tuple[float, np.ndarray]] = [(0.0, NOBODY)]
        self._frames, self._each = 0, 1

    def add(self, time: float, frame: np.ndarray, box: np.ndarray, others: np.ndarray = NOBODY) -> None:
        """Take the frame's thumbnail if one is due.

        Args:
            time: seconds; equally long after the one before.
            frame: (height, width, 3) uint8, RGB.
            box: x, y, width, height in its pixels, NaN without a face.
            others: (N, 4), those of other faces.
        """
        if not np.array_equal(others, self.others[-1][1]):
            self.others.append((time, others))
        if self._frames % self._each == 0:
            self.thumbnails.append(Thumbnail(time, _shrunk(frame, box)))
        if len(self.thumbnails) > MOST:
            self.thumbnails = self.thumbnails[::2]
            self._each *= 2
        self._frames += 1


def _shrunk(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A square of the frame, inside it, around the box or in the middle."""
    cv2 = import_extra("cv2", "face")
    size = np.array(frame.shape[1::-1])
    side, middle = size.min(), size / 2
    if not np.isnan(box).any():
        side, middle = np.clip(round(ROOM * box[2:].max()), 1, side), box[:2] + box[2:] / 2
    left, top = np.clip(np.round(middle - side / 2), 0, size - side).astype(int)
    # Every pixel of a large frame would take longer than to decode it.
    coarse = max(1, side // (2 * SIDE))
    square = frame[top : top + side : coarse, left : left + side : coarse]
    way = cv2.INTER_AREA if len(square) > SIDE else cv2.INTER_LINEAR
    return cv2.resize(square, (SIDE, SIDE), interpolation=way)
