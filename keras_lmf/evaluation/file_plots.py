"""Plots of what files cost and gain: of one model in several formats, and of several models. As `plots.py`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, PercentFormatter

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.evaluation.protocols import ERRORS
from keras_lmf.evaluation.style import (
    GREY,
    INK,
    MUTED,
    PALE,
    SERIES,
    SMALL,
    TEXT,
    WIDTH,
    colours,
    figure,
    label_lines,
    legible,
    open_panel,
)

BYTES, SECONDS = EngFormatter("B"), EngFormatter("s")
STEP = 0.065  # between two labels above a panel, of its height
FREE = 0.58  # of a panel's width, to the right of the dots: each name begins above its dot


def metric_against_cost(
    names: Sequence[str],
    scores: pd.DataFrame,
    sizes: Sequence[int],
    milliseconds: Sequence[float],
    metric: str,
    *,
    error: bool = False,
    apart: str | None = None,
) -> Figure:
    """What each file of a model costs and gains: a metric against bytes, and against the time for one row.

    Up is better. The floor is a line, and so is the file that phones don't run.

    Args:
        names: of the files, as the labels call them.
        scores: a row per file, columns `value`, and `low`, `high` (the interval) and `floor` where not NaN.
        sizes: bytes of each file.
        milliseconds: for one row.
        metric: the name of the metric.
        error: whether a smaller one is better.
        apart: one of the names, drawn as a line; none of them: all are dots.

    Raises:
        LMFError: no file, or unequal lengths.
    """
    if not names or not len(names) == len(scores) == len(sizes) == len(milliseconds):
        raise LMFError(
            "The plot of the files' costs needs one or more names, and as many of everything else."
        )
    table = scores.assign(name=list(names), bytes=list(sizes), seconds=np.asarray(milliseconds) / 1000)
    alone, others = table[table["name"] == apart], table[table["name"] != apart]
    dots = table if others.empty else others
    drawn = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    panels = drawn.subplots(1, 2, sharey=True)
    columns = {"bytes": ("size of the file", BYTES), "seconds": ("time for one row on one thread", SECONDS)}
    for axes, (column, (title, unit)) in zip(panels, columns.items()):
        _flags(axes, dots, column, unit)
        lines = [(row["value"], f"{apart}: {_short(unit, row[column])}") for _, row in alone.iterrows()]
        if not np.isnan(floor := float(table["floor"].iloc[0])):
            lines.append((floor, f"a constant answer: {floor:.3f}"))
        # The name of the better one stands above its line, the other's below.
        for place, (value, text) in enumerate(sorted(lines, reverse=not error)):
            _line(axes, value, text, "bottom" if place + 1 < len(lines) else "top")
        axes.set_xlabel(title, fontsize=TEXT)
        open_panel(axes)
    panels[0].set_ylabel(f"{metric}\nsmaller is better" if error else metric, fontsize=TEXT, parse_math=False)
    panels[0].margins(y=0.14)
    if error:
        panels[0].invert_yaxis()  # of both
    return drawn


def gain_against_bytes(table: pd.DataFrame, title: str) -> Figure:
    """What the files of several models gain over a constant answer, against their bytes; the best of each size joined.

    Args:
        table: a row per file, columns `model`, `bytes`, `gain` (accuracy above the floor) and `there` (whether it comes
            along: a disc, else a ring).
        title: of the figure.

    Raises:
        LMFError: no row.
    """
    if table.empty:
        raise LMFError("The plot of several models' files needs one file or more.")
    drawn = figure(title, 4.4)
    axes = drawn.add_subplot()
    front = pareto_front(table["bytes"], table["gain"])
    axes.step(table["bytes"][front], table["gain"][front], where="post", color=PALE, linewidth=6, zorder=1)
    start = table.loc[front[0]]
    axes.annotate(
        "none is better at its size",
        (start["bytes"], start["gain"]),
        (0, 8),
        textcoords="offset points",
        fontsize=SMALL,
        color=MUTED,
    )
    found = colours(table["model"].unique())
    for name, files in table.sort_values("bytes").groupby("model", sort=False):
        axes.plot(files["bytes"], files["gain"], color=found[name], linewidth=1, alpha=0.6)
        for there, face, layer in ((False, "white", 3), (True, found[name], 4)):  # so no ring hides a disc
            dots = files[files["there"] == there]
            axes.scatter(dots["bytes"], dots["gain"], s=30, c=face, edgecolors=found[name], zorder=layer)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(BYTES)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    axes.set_xlabel("size of the file (ring: keras-lmf export writes it)", fontsize=TEXT)
    axes.set_ylabel("points of accuracy above a constant answer", fontsize=TEXT)
    open_panel(axes)
    ends = table.loc[table.groupby("model")["bytes"].idxmax()].set_index("model")
    drawn.draw_without_rendering()  # the panel's height is final
    label_lines(axes, {name: (row["bytes"], row["gain"]) for name, row in ends.iterrows()}, found)
    return drawn


def pareto_fronts(
    table: pd.DataFrame, metric: str, most: tuple[float | None, float | None], title: str
) -> Figure:
    """A metric of files against their size and their time: a line joins those on the Pareto front, which are named; the
    chosen one is ringed, and dotted lines show the budget.

    Args:
        table: `name`, `bytes`, `milliseconds`, `chosen`, and of the metric `value`, `low`, `high`.
        metric: its protocol.
        most: kB and milliseconds that a file may have; None: any.
        title: of the figure.

    Raises:
        LMFError: no row.
    """
    if table.empty:
        raise LMFError("The plot of a choice needs one row or more.")
    drawn = figure(title, 4.4)
    table = table.assign(seconds=table["milliseconds"] / 1000)
    quality = -table["value"] if metric in ERRORS else table["value"]
    columns = {"bytes": ("size of the file", BYTES), "seconds": ("time for one row", SECONDS)}
    panels = drawn.subplots(1, 2, sharey=True)
    for axes, (column, (cost, unit)), limit in zip(panels, columns.items(), most):
        front = table.loc[pareto_front(table[column], quality)]
        named = table.index.isin(front.index) | table["chosen"]
        _flags(axes, table[named], column, unit)
        others, chosen = table[~named], table[table["chosen"]]
        axes.scatter(others[column], others["value"], s=18, color=GREY, alpha=0.6)
        axes.scatter(
            chosen[column], chosen["value"], s=190, facecolors="none", edgecolors=INK, linewidths=1.5
        )
        ends = [*table[column], *([1000 * limit if column == "bytes" else limit / 1000] if limit else [])]
        right = max(1.3 * max(ends), axes.get_xlim()[1])
        axes.set_xlim(min(ends) / 1.3, right)
        _ticks(axes, unit)
        line = [*front["value"], front["value"].iloc[-1]]
        axes.step([*front[column], right], line, where="post", color=PALE, linewidth=4, zorder=0)
        if limit:
            axes.axvline(ends[-1], color=INK, linewidth=1, linestyle=":")
        axes.set_xlabel(cost, fontsize=TEXT)
        open_panel(axes)
    panels[0].set_ylabel(f"{metric_name(metric)} on valid, 95 % interval", fontsize=TEXT, parse_math=False)
    drawn.supxlabel(
        "grey line: the best of each size or time; ring: the chosen file; dotted: the budget",
        fontsize=SMALL,
        color=MUTED,
    )
    return drawn


def pareto_front(cost: pd.Series, gain: pd.Series) -> pd.Index:
    """Of the rows than which none gains more at the same cost or less: their index, from the cheapest on."""
    order = pd.DataFrame({"cost": cost, "gain": gain}).sort_values(["cost", "gain"], ascending=[True, False])
    best = order["gain"].cummax()
    return order.index[best > best.shift(fill_value=-np.inf)]


def _flags(axes: Axes, table: pd.DataFrame, column: str, unit: EngFormatter) -> None:
    """A dot for each file; its name and cost above the panel, the leftmost highest: so no line crosses a name."""
    costs, values = table[column].to_numpy(float), table["value"].to_numpy(float)
    reach = np.abs(table[["low", "high"]].to_numpy(float) - values[:, None]).T
    _logarithmic(axes, costs, unit)
    for level, place in enumerate(np.argsort(-costs, kind="stable")):
        colour = SERIES[place % len(SERIES)]
        interval = None if np.isnan(reach).any() else reach[:, place : place + 1]
        dot = {"fmt": "o", "markersize": 6, "elinewidth": 1, "color": colour}
        axes.errorbar(costs[place], values[place], interval, **dot)
        axes.annotate(
            f" {table['name'].iloc[place]}  {_short(unit, costs[place])}",
            (costs[place], values[place]),
            (costs[place], 1.03 + STEP * level),
            textcoords=("data", "axes fraction"),
            fontsize=SMALL,
            color=legible(colour),
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": colour, "alpha": 0.45, "relpos": (0, 0), "shrinkA": 0},
        )


def _logarithmic(axes: Axes, costs: np.ndarray, unit: EngFormatter) -> None:
    """An axis of costs in the logarithm, with room for the labels."""
    low, high = np.log([costs.min(), costs.max()])
    span = max((high - low) / (0.94 - FREE), np.log(2))
    axes.set_xscale("log")
    axes.set_xlim(*np.exp([low - 0.06 * span, low + 0.94 * span]))
    _ticks(axes, unit)


def _ticks(axes: Axes, unit: EngFormatter) -> None:
    """On an axis in the logarithm, as many as have room between its limits."""
    left, right = axes.get_xlim()
    steps = ((100, (1,)), (4, (1, 2, 5)), (0, (1, 1.5, 2, 3, 4, 5, 7)))
    subs = next(subs for least, subs in steps if right / left > least)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(unit)
    axes.xaxis.set_minor_formatter(NullFormatter())


def _line(axes: Axes, value: float, text: str, side: str) -> None:
    """A dashed line across the panel, named at its right end."""
    axes.axhline(value, color=GREY, linewidth=1, linestyle="--")
    axes.annotate(
        text,
        (1, value),
        (-2, 2 if side == "bottom" else -3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        va=side,
        fontsize=SMALL,
        color=MUTED,
        parse_math=False,
    )


def _short(unit: EngFormatter, number: float) -> str:
    """Two figures: "6.9 MB", "28 ms"."""
    return unit(float(f"{number:.2g}"))
