"""Small pictures of the face: which are kept of a clip, and what they show."""

from __future__ import annotations

import numpy as np
import pytest

from keras_lmf.media.thumbnails import MOST, Strip


@pytest.mark.parametrize("count", [1, 24, 25, 49, 1000, 36_000])
def test_a_strip_is_bounded_and_evenly_over_the_clip(count: int) -> None:
    pytest.importorskip("cv2", reason="needs the extra face")
    strip, nowhere = Strip(), np.full(4, np.nan)
    for number in range(count):
        strip.add(number / 10, np.zeros((6, 8, 3), np.uint8), nowhere)
    times = np.array([time for time, _ in strip.thumbnails])
    assert min(count, MOST / 2) <= len(times) <= MOST == 24
    steps = np.diff(times)
    assert times[0] == 0
    if count > 1:
        np.testing.assert_allclose(steps, steps[0])
        assert (count - 1) / 10 - times[-1] < steps[0]


def thumbnail(frame: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    pytest.importorskip("cv2", reason="needs the extra face")
    strip = Strip()
    strip.add(0.5, frame, np.array(box))
    ((time, picture),) = strip.thumbnails
    assert (time, picture.shape) == (0.5, (120, 120, 3))
    return picture


@pytest.mark.parametrize("corner", [(300, 200), (0, 0), (560, 400), (-20, 300)])
@pytest.mark.parametrize("scale", [1, 3])
def test_a_thumbnail_shows_the_face_and_little_else(corner, scale: int) -> None:
    """A white face of 80 × 80 on black: of 1.5 times its side, so 4/9 of the picture, less where it is cut off."""
    frame = np.zeros((480 * scale, 640 * scale, 3), np.uint8)
    x, y = (scale * at for at in corner)
    frame[max(y, 0) : y + 80 * scale, max(x, 0) : x + 80 * scale] = 255
    picture = thumbnail(frame, (x, y, 80 * scale, 80 * scale))
    expected = 4 / 9 * (min(x, 0) / (80 * scale) + 1)
    assert (picture > 127).mean() == pytest.approx(expected, abs=0.02)


def test_a_thumbnail_without_a_face_is_the_middle_of_the_frame() -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[:, 320:] = 200
    frame[:, :70] = frame[:, -70:] = 90  # beyond the middle square
    picture = thumbnail(frame, (np.nan,) * 4)
    assert picture[60, 10].tolist() == [0, 0, 0]
    assert picture[60, 110].tolist() == [200, 200, 200]
    assert (picture == 90).sum() == 0


def test_a_thumbnail_of_a_very_wide_frame() -> None:
    frame = np.zeros((16, 40_000, 3), np.uint8)
    frame[:, 20_000:] = 200
    picture = thumbnail(frame, (10_000.0, 4.0, 20_000.0, 8.0))
    assert (picture[60, 10].tolist(), picture[60, 110].tolist()) == ([0, 0, 0], [200, 200, 200])
