"""A camera's pictures, or a video file's that stands in for one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.media.clips import windows


def camera_pictures(camera: int | str | Path, rate: float) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds since the first picture, and the picture, (height, width, 3) uint8, RGB; of a file `rate` a second."""
    if not isinstance(camera, int):
        for clip in windows(camera, 1 / rate, frame_rate=rate, tracks=("picture",)):
            yield clip.start, clip.frames[0]
        return
    cv2 = import_extra("cv2", "face")
    # OpenCV writes a line for each driver that has no such camera.
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(camera)
        there = capture.isOpened()
    finally:
        logging.setLogLevel(level)
    try:
        if not there:
            raise LMFError(
                f"There is no camera {camera}, or it is in use. A camera is a device's number, 0 for the first, or a "
                f"video file that stands in for one."
            )
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # pictures of now, where the driver knows this
        first = None
        while True:
            there, frame = capture.read()
            if not there:
                raise LMFError(f"Camera {camera} gives no more pictures. Is it still connected?")
            now = time.monotonic()
            first = now if first is None else first
            yield now - first, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()
