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


def thumbnail(time: float, frame: np.ndarray, box: np.ndarray) -> Thumbnail:
    """Of a frame (height, width, 3); box: x, y, width, height in its pixels, NaN without a face."""
    cv2 = import_extra("cv2", "face")
    scale = HEIGHT / frame.shape[0]
    size = max(1, round(scale * frame.shape[1])), HEIGHT
    picture = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    if not np.isnan(box).any():
        left, top, right, end = (
            np.round(scale * np.concatenate([box[:2], box[:2] + box[2:]])).astype(int).tolist()
        )
        cv2.rectangle(picture, (left, top), (right, end), COLOUR, 2)
    return Thumbnail(float(time), picture)


class Strip:
    """No more than 24 thumbnails of a clip of any length, evenly over its time."""

    def __init__(self) -> None:
        self.thumbnails: list[Thumbnail] = []
        self._next = self._step = 0.0

    def add(self, thumbnail: Thumbnail) -> None:
        """Take the thumbnail where one is due; they come in order of time, some of them again."""
        if thumbnail.time < self._next:
            return
        self.thumbnails.append(thumbnail)
        if len(self.thumbnails) > MOST:
            self.thumbnails = self.thumbnails[::2]
            self._step = self.thumbnails[1].time - self.thumbnails[0].time
        # The least step is anything later; half a frame of slack against rounding.
        self._next = self.thumbnails[-1].time + max(0.99 * self._step, 1e-3)
