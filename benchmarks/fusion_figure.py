"""The picture of tensor fusion beside low-rank fusion (after figures 1 and 2 of Liu et al. 2018), with our numbers.

`report.py` writes it. The numbers are rows of results/speed/fusions.csv: three inputs of 32 numbers become 64, by a
dense layer on the outer product, or by low-rank fusion.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from measurements import RESULTS
from speed.published import REFERENCE_RANK as RANK

CASE = {"modalities": 3, "width": 32, "batch": 32, "phase": "training"}
NAMES, UNITS = ("voice", "face", "text"), 64
ROWS = (116, 182, 248)  # middles of the three vectors
PANELS = {"tensor": 20, "low-rank": 500}  # left edges
LONGEST = 430  # of the bars, which are to scale
ARROW = "m-7 -4l7 4l-7 4"  # a line's head

STYLE = """
  .page { fill: #ffffff; stroke: #d4d9e0 } .cell { stroke: #ffffff; stroke-width: 1.5 }
  .line { stroke: #818b98; fill: none; stroke-width: 1.5 }
  text { fill: #24292f; font: 15px system-ui, "Segoe UI", Helvetica, Arial, sans-serif }
  .title { font-size: 20px; font-weight: 600 } .faint { fill: #59636e; font-size: 13px } .number { font-weight: 600 }
  .one { fill: #9aa4b0 } .voice { fill: #2a78b8 } .face { fill: #d9822b } .text { fill: #3a9d6e }
  .joint { fill: #7d5bb5 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #161b22; stroke: #30363d } .cell { stroke: #161b22 }
    text { fill: #e6edf3 } .faint { fill: #9aa4b0 }
  }
"""


def measured() -> pd.DataFrame:
    """Rows "tensor" and "low-rank" of the case: `parameters`, and `ratio` to the time of low-rank fusion."""
    table = pd.read_csv(RESULTS / "speed" / "fusions.csv")
    return table.loc[(table[list(CASE)] == pd.Series(CASE)).all(axis=1)].set_index("fusion")


def svg() -> str:
    """The picture."""
    found, width = measured(), CASE["width"]
    products = f"{width + 1} × {width + 1} × {width + 1} = {(width + 1) ** 3:,} products"
    summary = f"{RANK} × {UNITS} weighted sums"
    parts = [
        _panel("tensor", "Tensor fusion", "multiplies every number by every number", found),
        _panel("low-rank", "Low-rank fusion", "adds up each input, then multiplies the sums", found),
        _cube(PANELS["tensor"] + 210, 130, products),
        _projections(PANELS["low-rank"] + 170, summary),
    ]
    title = (
        f"Three inputs of {width} numbers become {UNITS}: tensor fusion with a dense layer takes "
        f"{found.loc['tensor', 'parameters']:,} weights, low-rank fusion {found.loc['low-rank', 'parameters']:,}"
    )
    scale = f"Bars to scale. Time: a training step of {CASE['batch']} rows on one CPU thread."
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 470" role="img">',
        f"<title>{title}</title>\n<style>{STYLE}</style>",
        '<rect class="page" x=".5" y=".5" width="959" height="469" rx="10"/>',
        *parts,
        _words(20, 452, scale, "faint"),
        "</svg>\n",
    ]
    return "\n".join(lines)


def _panel(fusion: str, title: str, subtitle: str, found: pd.DataFrame) -> str:
    left = PANELS[fusion]
    parts = [_words(left, 38, title, "title"), _words(left, 60, subtitle, "faint")]
    for name, middle in zip(NAMES, ROWS):
        parts.append(_words(left, middle - 16, name, "faint"))
        parts.append(_cells(left, middle - 8, ["one", *[name] * 6]))
    parts.append(_words(left, 284, f"a 1 and {CASE['width']} numbers each", "faint"))
    parts.append(_cells(left + 398, 130, ["joint"] * 7, step=(0, 16)))
    parts.append(_words(left + 406, 120, str(UNITS), "number", "middle"))
    most = found.max()
    for y, column, told in (
        (322, "parameters", "{:,.0f} weights"),
        (390, "ratio", "{:.0f} × the time"),
    ):
        value = found.loc[fusion, column]
        parts.append(_words(left, y, told.format(value), "number"))
        long = LONGEST * value / most[column]
        parts.append(f'<rect class="joint" x="{left}" y="{y + 8}" width="{long:.1f}" height="16"/>')
    return "\n".join(parts)


def _cube(left: int, top: int, told: str) -> str:
    """All products, and the dense layer behind them."""
    side, depth, cells = 90, 36, 5
    step = side / cells
    parts = [_line((132, middle), (left - 12, top + side / 2)) for middle in ROWS]
    for i in range(cells):
        for j in range(cells):
            x, y = left + i * step, top + depth + j * step
            kind = "one" if i == j == 0 else "voice" if j == 0 else "face" if i == 0 else "joint"
            parts.append(
                f'<rect class="cell {kind}" x="{x:g}" y="{y:g}" width="{step:g}" height="{step:g}"/>'
            )
            slant = depth / cells
            x, y = left + i * step + j * slant, top + depth - j * slant
            kind = "text" if i == 0 else "joint"
            parts.append(
                _polygon(
                    kind if i + j else "one",
                    [(x, y), (x + step, y), (x + step + slant, y - slant), (x + slant, y - slant)],
                )
            )
            x, y = left + side + i * slant, top + depth + j * step - i * slant
            parts.append(
                _polygon(
                    "joint", [(x, y), (x + slant, y - slant), (x + slant, y - slant + step), (x, y + step)]
                )
            )
    parts.append(_line((left + side + depth + 8, top + 62), (left + side + depth + 50, top + 62), ARROW))
    parts.append(_words(left + side + depth + 29, top + 52, "dense", "faint", "middle"))
    parts.append(_words(left - 16, 284, told, "faint"))
    return "\n".join(parts)


def _projections(left: int, told: str) -> str:
    """A factor for each input, the product of what they give, and its sum over the rank."""
    parts, middle = [], ROWS[1]
    for name, row in zip(NAMES, ROWS):
        parts.append(_line((left - 38, row), (left - 8, row), ARROW))
        for sheet in reversed(range(RANK)):
            x, y = left + 5 * sheet, row - 12 - 4 * sheet
            parts.append(f'<rect class="cell {name}" x="{x}" y="{y}" width="56" height="28" rx="2"/>')
        parts.append(_line((left + 78, row - 6), (left + 122, middle)))
    parts.append(f'<circle class="joint" cx="{left + 138}" cy="{middle}" r="15"/>')
    parts.append(
        f'<path d="M{left + 132} {middle - 6}l12 12m0 -12l-12 12" stroke="#fff" stroke-width="2.5"/>'
    )
    parts.append(_line((left + 156, middle), (left + 218, middle), ARROW))
    parts.append(_words(left + 185, middle - 10, f"Σ of {RANK}", "faint", "middle"))
    parts.append(_words(left + 10, 284, told, "faint"))
    return "\n".join(parts)


def _cells(left: int, top: int, kinds: Sequence[str], step: tuple[int, int] = (16, 0)) -> str:
    return "\n".join(
        f'<rect class="cell {kind}" x="{left + i * step[0]}" y="{top + i * step[1]}" width="16" height="16"/>'
        for i, kind in enumerate(kinds)
    )


def _polygon(kind: str, corners: Sequence[tuple[float, float]]) -> str:
    points = " ".join(f"{x:g},{y:g}" for x, y in corners)
    return f'<polygon class="cell {kind}" points="{points}"/>'


def _line(start: tuple[float, float], end: tuple[float, float], head: str = "") -> str:
    return f'<path class="line" d="M{start[0]:g} {start[1]:g}L{end[0]:g} {end[1]:g}{head}"/>'


def _words(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{text}</text>'
