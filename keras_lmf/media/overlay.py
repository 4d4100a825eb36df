"""What is drawn over a frame: a box around the face, and the probabilities where no face is."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

TEXT = 1 / 30  # of the picture's shorter side: the height of a name
SMALLEST = 9  # pixels of a name: below, nothing can be read
HEADING = 1.4  # times a name's size
LARGEST = 0.6, 0.6  # of the picture's width and height, that a panel may take
BOX_OPACITY, EDGE_OPACITY = 0.85, 0.45
SHADE, TRACK = (16, 16, 16, 185), (105, 105, 105, 205)  # of a panel, and of what a bar of 1 would be
AMPLE = 0.04  # of the shorter side: so far from a face, a larger panel comes back
FEW = 3  # bars, where there is no room for all
SMOOTH = 4  # times the size, in which shapes are drawn before they are made smaller
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Mark:
    """What is drawn from `time` on, until the next mark.

    Attributes:
        time: seconds on the clock of `keras_lmf.media.Clip`, 0 where the file's sound or picture begins.
        box: x, y, width, height in pixels of the upright frame; None or NaN: no box.
        probabilities: label → probability in [0, 1], in the order of the bars; empty: nothing is said.
        others: the boxes of other faces, which are not drawn; nothing is drawn over them either.
    """

    time: float
    box: Box | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    others: Sequence[Box] = ()

    @property
    def face(self) -> Box | None:
        """The box, where there is one."""
        return None if self.box is None or any(math.isnan(side) for side in self.box) else self.box


class Overlay:
    """Draws marks on the frames of one film.

    The panel of probabilities has a heading with the largest one and a bar for each, else for three, else none: as much
    as fits into a corner that is free of faces. It stays where it was as long as that is so, until there is ample room
    for more. Where no corner is free, a small heading is where it hides least.

    Args:
        colours: label → "#rrggbb" of its bar; others are white.
        box_colour: red, green and blue, 0 to 255.
    """

    def __init__(self, colours: Mapping[str, str], box_colour: tuple[int, int, int]) -> None:
        self._colours, self._box_colour = colours, box_colour
        self._place: tuple[int, int] = (0, 0)  # the panel and the corner that were last chosen

    def draw(self, frame: np.ndarray, mark: Mark) -> None:
        """Draw a mark on an upright frame (height, width, 3) uint8, RGB, in place."""
        if mark.face is not None:
            _draw_box(frame, mark.face, self._box_colour)
        if not mark.probabilities:
            return
        colours = tuple(self._colours.get(label, "#ffffff") for label in mark.probabilities)
        panels = _panels(tuple(mark.probabilities.items()), colours, min(frame.shape[:2]))
        faces = [*([mark.face] if mark.face else []), *mark.others]
        panel, (left, top) = self._placed(frame.shape[:2], faces, panels)
        under = frame[top : top + panel.shape[0], left : left + panel.shape[1]]
        panel = panel[: under.shape[0], : under.shape[1]].astype(np.float32)
        opacity = panel[..., 3:] / 255
        under[:] = np.round(under * (1 - opacity) + panel[..., :3] * opacity)

    def _placed(
        self, size: tuple[int, int], faces: Sequence[Box], panels: tuple[np.ndarray, ...]
    ) -> tuple[np.ndarray, tuple[int, int]]:
        """The panel that is drawn, and its left upper corner."""
        fitting = [
            number
            for number, panel in enumerate(panels)
            if panel.shape[1] <= LARGEST[0] * size[1] and panel.shape[0] <= LARGEST[1] * size[0]
        ]
        places = {
            (number, corner): place
            for number in fitting or [len(panels) - 1]
            for corner, place in enumerate(_corners(panels[number], size))
        }

        def hidden(choice: tuple[int, int], margin: float = 0.0) -> float:
            return sum(_hidden(panels[choice[0]], places[choice], face, margin) for face in faces)

        free = [choice for choice in places if not hidden(choice)]
        if self._place not in free:
            self._place = free[0] if free else min(places, key=lambda choice: (hidden(choice), -choice[0]))
        richer = (choice for choice in free if choice[0] < self._place[0])
        self._place = next(
            (choice for choice in richer if not hidden(choice, AMPLE * min(size))), self._place
        )
        number, corner = self._place
        return panels[number], _corners(panels[number], size)[corner]


def _corners(panel: np.ndarray, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Left and top of a panel in each corner of a picture: the lower ones first."""
    gap = max(2, min(size) // 40)
    right, bottom = max(0, size[1] - panel.shape[1] - gap), max(0, size[0] - panel.shape[0] - gap)
    gap_x, gap_y = min(gap, right), min(gap, bottom)
    return [(gap_x, bottom), (right, bottom), (gap_x, gap_y), (right, gap_y)]


def _hidden(panel: np.ndarray, place: tuple[int, int], face: Box, margin: float) -> float:
    """Pixels of the face and `margin` pixels around it that a panel would cover."""
    x, y, width, height = face
    across = min(place[0] + panel.shape[1], x + width + margin) - max(place[0], x - margin)
    down = min(place[1] + panel.shape[0], y + height + margin) - max(place[1], y - margin)
    return max(0.0, across) * max(0.0, down)


def _draw_box(frame: np.ndarray, box: Box, colour: tuple[int, int, int]) -> None:
    """The box's corners: lines of a quarter of its sides, with a thin dark edge that shows on a bright ground."""
    thick = max(1, round(min(frame.shape[:2]) / 240))
    left, top, right, bottom = (round(side) for side in (box[0], box[1], box[0] + box[2], box[1] + box[3]))
    across, down = max(thick, (right - left) // 4), max(thick, (bottom - top) // 4)
    for grown, shown in ((1, (0, 0, 0)), (0, colour)):
        ink = np.zeros(frame.shape[:2], bool)
        for y in (top, bottom):
            for x, inside in ((left, left + across), (right, right - across)):
                _fill(ink, min(x, inside), y, max(x, inside), y, thick, grown)
        for x in (left, right):
            for y, inside in ((top, top + down), (bottom, bottom - down)):
                _fill(ink, x, min(y, inside), x, max(y, inside), thick, grown)
        opacity = EDGE_OPACITY if grown else BOX_OPACITY
        frame[ink] = np.round(frame[ink] * (1 - opacity) + np.array(shown) * opacity)


def _fill(ink: np.ndarray, left: int, top: int, right: int, bottom: int, thick: int, grown: int) -> None:
    """A line between two places, both included; `grown` by so many pixels on all sides."""
    before, behind = thick // 2 + grown, (thick + 1) // 2 + grown
    ink[max(0, top - before) : max(0, bottom + behind), max(0, left - before) : max(0, right + behind)] = True


@functools.lru_cache(maxsize=4)
def _panels(
    probabilities: tuple[tuple[str, float], ...], colours: tuple[str, ...], side: int
) -> tuple[np.ndarray, ...]:
    """With a bar for each label, for the three strongest, with the heading alone, and with a small heading alone:
    (height, width, 4) uint8, RGBA.

    Their sizes are the same whatever the probabilities. `side` is the picture's shorter one, in pixels.
    """
    rows = [(label, share, colour) for (label, share), colour in zip(probabilities, colours)]
    strongest = sorted(rows, key=lambda row: -row[1])
    # A percentage is for people: 100 would say that it is sure.
    heading = f"{strongest[0][0]} {min(100 * strongest[0][1], 99):.0f} %"
    longest = [f"{label} 99 %" for label, _ in probabilities]
    kinds = [rows, *([strongest[:FEW]] if len(rows) > FEW else []), []]
    size = max(SMALLEST, round(TEXT * side))
    panels = [_panel(heading, longest, kind, size) for kind in kinds]
    return (*panels, _panel(heading, longest, [], round(SMALLEST / HEADING)))


def _panel(heading: str, longest: list[str], rows: list[tuple[str, float, str]], size: int) -> np.ndarray:
    from PIL import Image, ImageDraw

    large, small = _font("Bold", round(HEADING * size)), _font("", size)
    line, top, gap = round(1.5 * size), round(1.6 * HEADING * size), round(0.6 * size)
    names = max((round(small.getlength(text.rsplit(" ", 2)[0])) for text in longest), default=0)
    headings = max(round(large.getlength(text)) for text in longest)
    width = 2 * gap + max(headings, names + gap + 6 * size if rows else 0)
    height = top + len(rows) * line + (gap // 2 if rows else 0)
    shapes = Image.new("RGBA", (SMOOTH * width, SMOOTH * height))
    pen = ImageDraw.Draw(shapes)
    pen.rounded_rectangle((0, 0, SMOOTH * width - 1, SMOOTH * height - 1), SMOOTH * gap, SHADE)
    begin, thick = gap + names + gap, max(3, round(0.55 * size))
    for row, (_, share, colour) in enumerate(rows):
        up = top + row * line + (line - thick) // 2
        for length, fill in ((1.0, TRACK), (share, colour)):
            right = begin + length * (width - gap - begin)
            if (right - begin) * SMOOTH >= 1:
                pen.rectangle(
                    (SMOOTH * begin, SMOOTH * up, SMOOTH * right - 1, SMOOTH * (up + thick) - 1), fill
                )
    panel = shapes.resize((width, height), Image.Resampling.BOX)
    pen = ImageDraw.Draw(panel)
    pen.text((gap, top / 2), heading, "white", large, "lm")
    for row, (label, _, _) in enumerate(rows):
        pen.text((gap + names, top + (row + 0.5) * line), label, "white", small, "rm")
    return np.asarray(panel)


@functools.cache
def _font(weight: str, pixels: int) -> FreeTypeFont:
    # The fonts that matplotlib carries: Pillow's own has ASCII alone.
    import matplotlib
    from PIL import ImageFont

    name = f"DejaVuSans-{weight}" if weight else "DejaVuSans"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf"), pixels)
