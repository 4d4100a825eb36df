"""Thumbnails of a clip, evenly over its time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from keras_lmf.errors import import_extra

HEIGHT = 120  # of a thumbnail, in pixels
WIDEST = 480  # what is wider is shown narrower than it is
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
    height, width = frame.shape[:2]
    size = min(max(1, round(HEIGHT / height * width)), WIDEST), HEIGHT
    coarse = max(
        1, height // (2 * HEIGHT)
    )  # every pixel of a large frame would take longer than to decode it
    picture = cv2.resize(frame[::coarse, ::coarse], size, interpolation=cv2.INTER_AREA)
    if not np.isnan(box).any():
        scale = np.divide(size, (width, height))
        corners = np.round(np.stack([box[:2], box[:2] + box[2:]]) * scale).astype(int).tolist()
        cv2.rectangle(picture, *corners, COLOUR, 2)
    return picture
