"""How every figure looks: colours, sizes, panels and labels beside what they name.

Lines take the colours of Okabe & Ito (2008), "Color Universal Design", without their yellow and black, then of Tol
(2021), "Colour Schemes". An emotion has one colour in all figures, and neutral is grey; colour-blind people tell any
two of the seven basic ones apart (`tests/test_style.py` measures it).
Nothing here changes matplotlib's global settings.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from sklearn.isotonic import isotonic_regression

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
)
WINE, INDIGO, OLIVE, SAND = "#882255", "#332288", "#999933", "#ddcc77"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, WINE, INDIGO, OLIVE, SAND)
# Text and lines, what is said by the way, a reference line, the rest of a whole, spans, the grid.
INK, MUTED, GREY, PALE, SPAN, GRID = "#222222", "#666666", "#8c8c8c", "#dddddd", "#ececec", "#eeeeee"
# How a label of an emotion begins, whichever form of the word a corpus uses → its colour.
EMOTIONS = {
    "neutral": "#bbbbbb",
    "happ": "#f5c710",
    "sad": "#004488",
    "ang": VERMILION,
    "fear": WINE,
    "disgust": GREEN,
    "surpris": "#66ccee",
    "calm": "#117733",
    "contempt": "#664400",
    "bored": "#444444",
}
TITLE, TEXT, SMALL = 12, 10, 9  # points
WIDTH = 7.2  # inches: shown 600 pixels wide, the small text is 10 pixels high
DPI = 150
LETTERS = 8  # of a title, in an inch


def colours(names: Iterable[str]) -> dict[str, str]:
    """Name → colour: an emotion's own, else the next of `SERIES` that no name has; from the first again at its end."""
    names = list(names)
    known = {
        name: colour for name in names for stem, colour in EMOTIONS.items() if name.lower().startswith(stem)
    }
    free = [colour for colour in SERIES if colour not in known.values()] or list(SERIES)
    others = [name for name in names if name not in known]
    found = known | {name: free[place % len(free)] for place, name in enumerate(others)}
    return {name: found[name] for name in names}


def legible(colour: str) -> str:
    """`colour` for a text on white: darker where it is too pale to read (4.5 : 1, WCAG 2)."""
    linear = _linear(colour) * min(1, 0.183 / max(_luminance(colour), 1e-9))
    return to_hex(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def ink_on(background: str) -> str:
    """Of a text on this colour: ink or white, whichever is read more easily."""
    return INK if _luminance(background) > 0.18 else "white"


def figure(title: str, height: float, width: float = WIDTH) -> Figure:
    """An empty figure of `width` × `height` inches with its title on the left."""
    drawn = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    lines = textwrap.fill(title, round(LETTERS * width))
    drawn.suptitle(lines, x=0.01, ha="left", fontsize=TITLE, fontweight="bold", color=INK, parse_math=False)
    return drawn


def open_panel(axes: Axes, grid: str = "both") -> None:
    """A pale grid behind what is drawn, along `grid` ("x", "y" or "both"), and no lines above and on the right."""
    axes.grid(visible=False)
    axes.grid(axis=grid, color=GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor=INK, labelsize=SMALL)


def label_lines(axes: Axes, ends: Mapping[str, tuple[float, float]], colour: Mapping[str, str]) -> None:
    """Each line's name right of the panel at the height of its end, moved apart where two would touch.

    Call it when the limits and scales of the axes are final.

    Args:
        axes: of the lines.
        ends: name → x and y, in the data's units, of the line's end.
        colour: name → colour of the line.
    """
    if not ends:
        return
    names = sorted(ends, key=lambda name: ends[name][1])
    heights = (axes.transScale + axes.transLimits).transform([ends[name] for name in names])[:, 1]
    points = 72 * axes.figure.get_figheight() * axes.get_position().height
    for name, height in zip(names, spread(heights, 1.3 * SMALL / points)):
        axes.annotate(
            name,
            ends[name],
            (1.03, height),
            textcoords="axes fraction",
            va="center",
            fontsize=SMALL,
            color=legible(colour[name]),
            parse_math=False,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour[name],
                "alpha": 0.5,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 2,
            },
        )


def spread(places: np.ndarray, gap: float) -> np.ndarray:
    """Rising places in [0, 1], moved as little as possible (least squares) to stand `gap` or more apart.

    Where [0, 1] is too short for that, the last ones go beyond 1.

    >>> spread(np.array([0.5, 0.5, 0.9]), 0.2).round(2).tolist()
    [0.4, 0.6, 0.9]
    """
    steps = gap * np.arange(len(places))
    return np.clip(isotonic_regression(places - steps), 0, max(0, 1 - steps[-1])) + steps


def _linear(colour: str) -> np.ndarray:
    """Red, green and blue in light, not in sRGB's steps."""
    steps = np.array(to_rgb(colour))
    return np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4)


def _luminance(colour: str) -> float:
    """Relative luminance in [0, 1], as WCAG 2 defines it."""
    return float(_linear(colour) @ [0.2126, 0.7152, 0.0722])
