"""What is drawn over a frame: a box whose corners are the face's, bars as long as they should be, and a free face."""

from __future__ import annotations

import numpy as np
import pytest

from keras_lmf.media.overlay import Mark, Overlay

NAMES = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")
SHARES = dict(zip(NAMES, (0.06, 0.7, 0.02, 0.04, 0.03, 0.05, 0.1)))
WHITE = (255, 255, 255)
SIZES = [(120, 160), (160, 120), (160, 160), (360, 480), (640, 360), (720, 1280), (1280, 720)]


def changed(size: tuple[int, int], *marks: Mark) -> np.ndarray:
    """Where the last of the marks changes a grey frame, (height, width) bool, beyond its box."""
    overlay, found = Overlay({}, WHITE), np.zeros(size, bool)
    for mark in marks:
        frame, bare = (np.full((*size, 3), 128, np.uint8) for _ in range(2))
        overlay.draw(frame, mark)
        Overlay({}, WHITE).draw(bare, Mark(0, mark.box))
        found = (frame != bare).any(axis=2)
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("across", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("down", [0.0, 0.5, 1.0])
def test_nothing_is_drawn_over_a_face_of_half_the_picture(size, across: float, down: float) -> None:
    height, width = size
    side = 0.5 * min(size)
    box = (across * (width - side), down * (height - side), side, side)
    drawn = changed(size, Mark(0, box, SHARES))
    left, top = round(box[0]), round(box[1])
    assert drawn.sum() > 300
    assert not drawn[top : top + round(side), left : left + round(side)].any()


def test_nothing_is_drawn_over_other_faces() -> None:
    """Two people side by side; and three, who leave one corner."""
    left, right, above = (40, 60, 180, 220), (360, 60, 180, 220), (420, 10, 150, 160)
    for face, *others in ([left, right], [right, left], [(20, 180, 150, 160), (10, 5, 150, 150), above]):
        drawn = changed((360, 640), Mark(0, face, SHARES, others))
        assert drawn.sum() > 300
        for x, y, width, height in (face, *others):
            assert not drawn[y : y + height, x : x + width].any()


def test_a_face_that_fills_the_picture_loses_little() -> None:
    drawn = changed((160, 160), Mark(0, (10, 5, 140, 150), SHARES))
    assert 0.005 < drawn[5:155, 10:150].mean() < 0.06


def test_the_panel_stays_as_long_as_it_may_and_then_makes_room() -> None:
    size, places = (480, 640), []
    away, below_right, below_left = (280, 20, 90, 90), (480, 300, 150, 150), (20, 300, 150, 150)
    for boxes in ([away], [away, below_left], [away, below_left, below_right], [away, below_left, away]):
        rows, columns = np.nonzero(changed(size, *(Mark(0, box, SHARES) for box in boxes)))
        places.append((int(rows.mean() > 240), int(columns.mean() > 320)))
    assert places == [(1, 0), (1, 1), (1, 0), (1, 1)]  # the last: where it is, it is in nobody's way


def test_a_small_panel_grows_again_where_there_is_ample_room() -> None:
    size = (480, 640)
    sizes = [
        changed(size, *(Mark(0, box, SHARES) for box in boxes)).sum()
        for boxes in (
            [(280, 20, 90, 90)],
            [(60, 60, 520, 380)],
            [(60, 60, 520, 380), (280, 20, 90, 90)],
        )
    ]
    assert sizes[1] < 0.5 * sizes[0]
    assert sizes[2] == sizes[0]


def test_bars_are_as_long_as_the_probabilities() -> None:
    colours = {"red": "#ff0000", "green": "#00ff00", "blue": "#0000ff", "cyan": "#00ffff"}
    shares = {"red": 0.5, "green": 0.25, "blue": 0.15, "cyan": 0.1}
    frame = np.zeros((720, 1280, 3), np.uint8)
    Overlay(colours, WHITE).draw(frame, Mark(0, None, shares))
    pure = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "cyan": (0, 255, 255)}
    rows, lengths = {}, {}
    for name, colour in pure.items():
        down, across = np.nonzero((frame == colour).all(axis=2))
        rows[name], lengths[name] = down.mean(), across.max() + 1 - across.min()
    assert sorted(rows, key=rows.get) == list(shares)
    for name, share in shares.items():
        assert lengths[name] / lengths["red"] == pytest.approx(share / 0.5, abs=0.04)


def test_the_type_is_smooth_and_knows_other_alphabets() -> None:
    frames = {}
    for name in ("happy", "гнев", "wütend", "w\uffffтend"):
        frame = np.zeros((360, 480, 3), np.uint8)
        Overlay({}, WHITE).draw(frame, Mark(0, None, {name: 1.0}))
        frames[name] = frame
    assert len(np.unique(frames["happy"])) > 40  # two levels were steps
    assert (frames["wütend"] != frames["w\uffffтend"]).any()


def test_the_box_is_its_corners_and_the_face_stays() -> None:
    frame = np.full((240, 320, 3), 128, np.uint8)
    Overlay({}, (255, 0, 0)).draw(frame, Mark(0, (100.2, 60.4, 80, 100)))
    red = (frame[..., 0] > 200) & (frame[..., 1] < 60)
    rows, columns = np.nonzero(red)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (60, 160, 100, 180)
    assert not red[60, 130:150].any()
    assert (frame[63:157, 103:177] == 128).all()


@pytest.mark.parametrize("box", [(-30, -20, 500, 400), (300, 200, 90, 90), (5, 5, 0, 0), (np.nan,) * 4, None])
@pytest.mark.parametrize("size", [(240, 320), (16, 16), (2, 300)])
def test_what_reaches_beyond_the_frame_is_cut(size, box) -> None:
    frame = np.full((*size, 3), 128, np.uint8)
    Overlay({}, WHITE).draw(frame, Mark(0, box, SHARES))
    Overlay({}, WHITE).draw(frame, Mark(0, box))
    assert (frame != 128).any()
