"""Plots of studies: robustness over damage, and a metric against the size of a model. As `plots.py`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.file_plots import pareto_front
from keras_lmf.evaluation.plots import FILES, GREY, labelled_dots, open_panel
from keras_lmf.evaluation.protocols import ERRORS

LABELS = {
    "noise": "noise, standard deviations of the training rows",
    "missing": "share of rows that lack the modality",
}
GAP = 0.055  # between two labels, of the panel's height


def robustness_curves(curves: pd.DataFrame, metric: str, floor: float, title: str) -> Figure:
    """One panel per damage: the mean over the draws, a line per modality, with a band of one standard deviation.

    Args:
        curves: by `damage`, `modality` and `level`: `mean`, `sd` (NaN of one draw), and `baseline` where there is one,
            which is dotted.
        metric: its name.
        floor: a constant answer's.
        title: of the figure.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle(title, parse_math=False)
    damages = list(dict.fromkeys(curves.index.get_level_values("damage")))
    panels = figure.subplots(1, len(damages), sharey=True, squeeze=False)[0]
    for axes, damage in zip(panels, damages):
        part, ends = curves.loc[damage], {}
        names = list(dict.fromkeys(part.index.get_level_values("modality")))
        for name, colour in zip(names, FILES * len(names)):
            line = part.loc[name]
            levels, mean = line.index.to_numpy(float), line["mean"].to_numpy(float)
            axes.plot(levels, mean, color=colour, linewidth=2)
            sd = line["sd"].fillna(0).to_numpy(float)
            axes.fill_between(levels, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)
            if "baseline" in line:
                axes.plot(levels, line["baseline"], color=colour, linewidth=1.2, linestyle=":")
            ends[name] = (levels[-1], mean[-1], colour)
        axes.axhline(floor, color=GREY, linewidth=1, linestyle="--")
        axes.text(0, floor, " constant answer", color=GREY, fontsize=8, va="bottom")
        axes.set_xlabel(LABELS.get(damage, damage))
        axes.set_xlim(0, max(end for end, _, _ in ends.values()) * 1.28)
        axes.set_xticks(np.arange(0, max(end for end, _, _ in ends.values()) + 0.05, 0.2))
        open_panel(axes)
    panels[0].set_ylabel(metric + (", dotted: late fusion" if "baseline" in curves else ""), parse_math=False)
    low, high = panels[0].get_ylim()
    for axes, damage in zip(panels, damages):
        part = curves.loc[damage]["mean"]
        names = list(dict.fromkeys(part.index.get_level_values("modality")))
        _label_ends(axes, {name: part.loc[name] for name in names}, GAP * (high - low))
    return figure


def _label_ends(axes: Axes, lines: dict[str, pd.Series], gap: float, right: float = 1.04) -> None:
    """Each line's name at `right` times its end, moved apart where two would cover each other."""
    lines = {name: line.dropna() for name, line in lines.items()}
    ordered = sorted(zip(lines, FILES * len(lines)), key=lambda pair: lines[pair[0]].iloc[-1])
    values = np.array([lines[name].iloc[-1] for name, _ in ordered])
    steps = gap * np.arange(len(values))
    places = np.maximum.accumulate(values - steps) + steps
    for (name, colour), value, place in zip(ordered, values, places - np.mean(places - values)):
        end = lines[name].index[-1]
        axes.annotate(
            name,
            (end, value),
            (end * right, place),
            color=colour,
            fontsize=9,
            va="center",
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": colour, "alpha": 0.45, "shrinkA": 0, "shrinkB": 2},
        )


def metric_against_parameters(table: pd.DataFrame, metric: str, floor: float, title: str) -> Figure:
    """A metric against the number of parameters, one dot with its interval for each model.

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
    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    figure.suptitle(title, parse_math=False)
    axes, values = figure.add_subplot(), table["value"].to_numpy(float)
    reach = np.abs(table[["low", "high"]].to_numpy(float) - values[:, None]).T
    labelled_dots(
        axes, [str(name) for name in table.index], table["parameters"].to_numpy(float), values, reach
    )
    axes.set_xlabel("parameters")
    label = metric if np.isnan(reach).any() else f"{metric}, 95 % interval"
    if not np.isnan(floor):  # in words: drawn, it would press the models together
        label += f"\nfloor {floor:.3f} (constant prediction)"
    axes.set_ylabel(label, parse_math=False)
    return figure


def metric_over_ranks(table: pd.DataFrame, metric: str, reference: Sequence[float], title: str) -> Figure:
    """A metric over ranks, a line with its standard deviation over seeds for each column, and what it started from.

    Args:
        table: by rank: pairs of columns (name, "mean") and (name, "sd").
        metric: its name.
        reference: mean and standard deviation of the tensor model.
        title: of the figure.
    """
    figure = Figure(figsize=(8.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    ranks = table.index.to_numpy(float)
    mean, sd = reference
    axes.axhspan(mean - sd, mean + sd, color="#e6e6e6", linewidth=0)
    axes.axhline(mean, color=GREY, linewidth=1)
    lines = {}
    for place, (name, colour) in enumerate(zip(dict.fromkeys(table.columns.get_level_values(0)), FILES)):
        part = table[name]
        # Side by side: intervals of one rank don't cover each other.
        axes.errorbar(
            ranks * 1.03**place, part["mean"], part["sd"], color=colour, marker="o", capsize=3, linewidth=1.8
        )
        lines[name] = part["mean"].set_axis(ranks * 1.03**place)
    axes.set_xscale("log", base=2)
    axes.set_xticks(ranks, [f"{rank:g}" for rank in ranks])
    axes.set_xlim(ranks[0] / 1.15, ranks[-1] * 1.8)
    axes.set_xlabel("rank")
    axes.set_ylabel(f"{metric}; grey: tensor fusion ± sd", parse_math=False)
    axes.set_title(title, parse_math=False)
    low, high = axes.get_ylim()
    _label_ends(axes, lines, GAP * (high - low), right=1.15)
    open_panel(axes)
    return figure


def pareto_fronts(
    table: pd.DataFrame, metric: str, most: tuple[float | None, float | None], title: str
) -> Figure:
    """A metric of files against their size and their time: a line joins those on the Pareto front, which are named; the
    chosen one is ringed, and dotted lines show the budget.

    Args:
        table: `name`, `bytes`, `milliseconds`, `chosen`, and of the metric `value`, `low`, `high`.
        metric: its name.
        most: kB and milliseconds that a file may have; None: any.
        title: of the figure.

    Raises:
        LMFError: no row.
    """
    if table.empty:
        raise LMFError("The plot of a choice needs one row or more.")
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    figure.suptitle(title, parse_math=False)
    values, chosen = table["value"].to_numpy(float), table["chosen"].to_numpy(bool)
    reach = np.abs(table[["low", "high"]].to_numpy(float) - values[:, None]).T
    quality = -table["value"] if metric in ERRORS else table["value"]
    costs = {
        "kB": table["bytes"].to_numpy(float) / 1000,
        "ms for one row": table["milliseconds"].to_numpy(float),
    }
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (unit, cost), limit in zip(panels, costs.items(), most):
        front = table.index.isin(pareto_front(pd.Series(cost, table.index), quality))
        named, ends = front | chosen, [*cost, *([limit] if limit else [])]
        axes.scatter(cost[~named], values[~named], s=18, color=GREY, alpha=0.6)
        labelled_dots(axes, list(table["name"][named]), cost[named], values[named], reach[:, named])
        axes.scatter(
            cost[chosen], values[chosen], s=190, facecolors="none", edgecolors="black", linewidths=1.5
        )
        axes.set_xlim(min(ends) / 1.3, max(ends) * 1.3)
        order = np.argsort(cost[front])
        line = [*values[front][order], values[front][order][-1]]
        axes.step([*np.sort(cost[front]), axes.get_xlim()[1]], line, where="post", color=GREY, linewidth=1)
        if limit:
            axes.axvline(limit, color="black", linewidth=1, linestyle=":")
        axes.set_xlabel(unit)
    panels[0].set_ylabel(f"{metric} on valid, 95 % interval", parse_math=False)
    figure.supxlabel(
        "line: the best of each size or time; ring: the chosen file; dotted: the budget", fontsize=9
    )
    return figure
