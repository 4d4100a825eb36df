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
        self._frames, self._each = 0, 1

    def add(self, time: float, frame: np.ndarray, box: np.ndarray) -> None:
        """Take the frame's thumbnail if one is due.

        Args:
            time: seconds; equally long after the one before.
            frame: (height, width, 3) uint8, RGB.
            box: x, y, width, height in its pixels, NaN without a face.
        """
        if self._frames % self._each == 0:
            self.thumbnails.append(Thumbnail(time, _shrunk(frame, box)))
        if len(self.thumbnails) > MOST:
            self.thumbnails = self.thumbnails[::2]
            self._each *= 2
        self._frames += 1


def _shrunk(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    cv2 = import_extra("cv2", "face")
    scale = HEIGHT / frame.shape[0]
    size = max(1, round(scale * frame.shape[1])), HEIGHT
    picture = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    if not np.isnan(box).any():
        corners = np.round(scale * np.concatenate([box[:2], box[:2] + box[2:]])).astype(int).tolist()
        cv2.rectangle(picture, corners[:2], corners[2:], COLOUR, 2)
    return picture
