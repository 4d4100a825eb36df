"""Plots of studies: robustness over damage, and a metric against the size of a model. As `plots.py`."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MultipleLocator, NullFormatter

from keras_lmf.errors import LMFError
from keras_lmf.evaluation import style
from keras_lmf.evaluation.plots import draw_dots

SHORT = EngFormatter(sep="")  # 1.23M
LABELS = {
    "noise": "noise, standard deviations of the training rows",
    "missing": "share of rows that lack the modality",
}


def robustness_curves(curves: pd.DataFrame, metric: str, floor: float, title: str) -> Figure:
    """One panel per damage: the mean over the draws, a line per modality, with a band of one standard deviation.

    Args:
        curves: by `damage`, `modality` and `level`: `mean`, `sd` (NaN of one draw), and `baseline` where there is one,
            which is dotted.
        metric: its name.
        floor: a constant answer's.
        title: of the figure.
    """
    figure = style.figure(title, 3.2)
    damages = list(dict.fromkeys(curves.index.get_level_values("damage")))
    names = list(dict.fromkeys(curves.index.get_level_values("modality")))
    colours = style.colours(names)
    panels = figure.subplots(1, len(damages), sharey=True, squeeze=False)[0]
    ends: dict[str, dict[str, tuple[float, float]]] = {damage: {} for damage in damages}
    for axes, damage in zip(panels, damages):
        for name, line in curves.loc[damage].groupby(level="modality", sort=False):
            line = line.loc[name]
            levels, mean = line.index.to_numpy(float), line["mean"].to_numpy(float)
            axes.plot(levels, mean, color=colours[name], linewidth=2)
            sd = line["sd"].fillna(0).to_numpy(float)
            axes.fill_between(levels, mean - sd, mean + sd, color=colours[name], alpha=0.15, linewidth=0)
            if "baseline" in line:
                axes.plot(levels, line["baseline"], color=colours[name], linewidth=1.2, linestyle=":")
            ends[damage][name] = levels[-1], mean[-1]
        last = max(end for end, _ in ends[damage].values())
        axes.axhline(floor, color=style.GREY, linewidth=1, linestyle="--")
        axes.text(0, floor, " constant answer", color=style.MUTED, fontsize=style.SMALL, va="bottom")
        axes.set_xlabel(LABELS.get(damage, damage), fontsize=style.SMALL)
        axes.set_xlim(0, last)
        axes.xaxis.set_major_locator(MultipleLocator(0.2))
        style.open_panel(axes)
    label = metric + (", dotted: late fusion" if "baseline" in curves else "")
    panels[0].set_ylabel(label, fontsize=style.SMALL, parse_math=False)
    for axes, damage in zip(panels, damages):
        style.label_lines(axes, ends[damage], colours)
    return figure


def metric_against_parameters(table: pd.DataFrame, metric: str, floor: float, title: str) -> Figure:
    """A metric of each model, the largest on top, and beside it the model's number of parameters.

    Args:
        table: by name: `parameters`, `value`, and `low`, `high` (the interval) where not NaN.
        metric: its name.
        floor: a constant answer's; NaN: unknown.
        title: of the figure.

    Raises:
        LMFError: no row.
    """
    if table.empty:
        raise LMFError("The plot of a comparison needs one row or more.")
    figure = style.figure(title, 1.4 + 0.3 * len(table))
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    draw_dots(left, table.assign(floor=floor), metric)
    parameters = table.sort_values("value", kind="stable")["parameters"].to_numpy(float)
    right.plot(parameters, range(len(table)), "o", color=style.VERMILION, markersize=6)
    for row, number in enumerate(parameters):
        place = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
        text = SHORT(float(f"{number:.3g}"))
        right.annotate(text, (number, row), fontsize=style.SMALL, color=style.INK, **place)
    right.set_xscale("log")
    right.set_xlim(min(parameters) / 1.5, max(parameters) * max(parameters / min(parameters)) ** 0.4 * 1.5)
    right.xaxis.set_major_formatter(SHORT)
    right.xaxis.set_minor_formatter(NullFormatter())
    style.open_panel(right, "x")
    right.set(yticks=[], ylim=left.get_ylim())
    right.spines["left"].set_visible(False)
    right.set_title("parameters", loc="left", fontsize=style.SMALL, color=style.MUTED, pad=3)
    return figure


def metric_over_ranks(table: pd.DataFrame, metric: str, reference: Sequence[float], title: str) -> Figure:
    """A metric over ranks, a line with its standard deviation over seeds for each column, and what it started from.

    Args:
        table: by rank: pairs of columns (name, "mean") and (name, "sd").
        metric: its name.
        reference: mean and standard deviation of the tensor model.
        title: of the figure.
    """
    figure = style.figure(title, 3.4)
    axes = figure.add_subplot()
    ranks = table.index.to_numpy(float)
    mean, sd = reference
    axes.axhspan(mean - sd, mean + sd, color=style.SPAN, linewidth=0)
    axes.axhline(mean, color=style.GREY, linewidth=1)
    colours, ends = style.colours(dict.fromkeys(table.columns.get_level_values(0))), {}
    for place, (name, colour) in enumerate(colours.items()):
        part = table[name]
        # Side by side: intervals of one rank don't cover each other.
        axes.errorbar(
            ranks * 1.03**place, part["mean"], part["sd"], color=colour, marker="o", capsize=3, linewidth=1.8
        )
        known = part["mean"].set_axis(ranks * 1.03**place).dropna()
        ends[name] = known.index[-1], known.iloc[-1]
    axes.set_xscale("log", base=2)
    axes.set_xticks(ranks, [f"{rank:g}" for rank in ranks])
    axes.set_xlim(ranks[0] / 1.15, ranks[-1] * 1.15)
    axes.set_xlabel("rank", fontsize=style.SMALL)
    axes.set_ylabel(f"{metric}; grey: tensor fusion ± sd", fontsize=style.SMALL, parse_math=False)
    style.open_panel(axes)
    style.label_lines(axes, ends, colours)
    return figure
