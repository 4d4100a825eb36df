"""Thumbnails of a clip, evenly over its time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from keras_lmf.errors import import_extra

HEIGHT = 120  # of a thumbnail, in pixels
MOST = 24
COLOUR = (0, 230, 0)


class Thumbnail(NamedTuple):
    """A small picture, (height, width, 3) uint8, RGB, with its time in seconds; the face's box is drawn in it."""

    time: float
    picture: np.ndarray


class Strip:
    """No more than 24 thumbnails of a clip of any length, evenly over its time."""

    def __init__(self) -> None:
        self.thumbnails: list[Thumbnail] = []
        self._due = -np.inf

    def add(self, time: float, frame: np.ndarray, box: np.ndarray) -> None:
        """Take the frame's thumbnail if one is due.

        Args:
            time: seconds, later than the one before; evenly spaced.
            frame: (height, width, 3) uint8, RGB.
            box: x, y, width, height in its pixels, NaN without a face.
        """
        if time < self._due:
            return
        self.thumbnails.append(Thumbnail(time, _shrunk(frame, box)))
        if len(self.thumbnails) > MOST:
            self.thumbnails = self.thumbnails[::2]
            step = self.thumbnails[1].time - self.thumbnails[0].time
            # With slack against rounding.
            self._due = self.thumbnails[-1].time + 0.99 * step
        elif np.isfinite(self._due):
            self._due = time + 0.99 * (self.thumbnails[1].time - self.thumbnails[0].time)


def _shrunk(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    cv2 = import_extra("cv2", "face")
    scale = HEIGHT / frame.shape[0]
    size = max(1, round(scale * frame.shape[1])), HEIGHT
    picture = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    if not np.isnan(box).any():
        corners = np.round(scale * np.concatenate([box[:2], box[:2] + box[2:]])).astype(int).tolist()
        cv2.rectangle(picture, corners[:2], corners[2:], COLOUR, 2)
    return picture
