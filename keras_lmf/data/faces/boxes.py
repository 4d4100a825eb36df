"""Boxes (x, y, width, height): how much they overlap, and the square picture inside one."""

from __future__ import annotations

import numpy as np

from keras_lmf.errors import import_extra


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
    left, top = (round(middle - side / 2) for middle in box[:2] + box[2:] / 2)
    rows, above, below = _inside(top, side, frame.shape[0])
    columns, before, after = _inside(left, side, frame.shape[1])
    square = frame[rows, columns]
    if above or below or before or after:
        square = cv2.copyMakeBorder(square, above, below, before, after, cv2.BORDER_REPLICATE)
    crop = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    if grey:
        crop = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None]
    return crop.astype(np.float32) / 255


def _inside(start: int, length: int, limit: int) -> tuple[slice, int, int]:
    """Of `length` pixels from `start` on those inside 0 … limit, one at least, and how many lack before and after."""
    first = min(max(start, 0), limit - 1)
    stop = max(min(start + length, limit), first + 1)
    missing = min(max(-start, 0), length - 1)
    return slice(first, stop), missing, length - missing - (stop - first)


def resemblance(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of two pictures' values; 0 where one of them is a single colour."""
    one, other = (picture.astype(float).ravel() - picture.mean(dtype=float) for picture in (one, other))
    scale = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / scale) if scale > 1e-9 else 0.0
