"""Plots of results: arrays in, a matplotlib `Figure` out.

Figures are built without pyplot: no display, no global state, so threads and servers can draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from keras_lmf.errors import LMFError
from keras_lmf.evaluation import protocols
from keras_lmf.evaluation.terms import CONSTANT
from keras_lmf.files import write_atomically

TRAIN, VALID, GREY = "#1f5fa8", "#d9661f", "#777777"
FILES = (TRAIN, VALID, "#2e8b57", "#8e44ad", "#b5302f", "#5d4a3a", "#c9a227", "#4bb3c1")


def confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str], title: str
) -> Figure:
    """Confusion matrix: each row's colours and percentages add up to 100 %, the counts stand below them.

    Args:
        labels: (N,) true class integers.
        predictions: (N,) predicted class integers.
        class_names: names of the classes 0, 1, …; a class without samples is an empty row.
        title: of the figure.

    Raises:
        LMFError: no rows, unequal lengths, or an integer outside 0 … number of names − 1.
    """
    size = len(class_names)
    labels, predictions = _pair(labels, predictions)
    if not np.isin(np.concatenate([labels, predictions]), np.arange(size)).all():
        raise LMFError(f"The labels and predictions of {size} classes must be integers 0 … {size - 1}.")
    counts = protocols.confusion(labels, predictions.astype(np.int64), size)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.0 + 0.62 * size
    figure = Figure(figsize=(side, side), layout="compressed")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(size, size):
        count, share = counts[row, column], shares[row, column]
        text, grey = (f"{share:.0%}\n{count}", "#222222") if count else ("0", "#aaaaaa")
        axes.text(
            column, row, text, ha="center", va="center", fontsize=8, color="white" if share > 0.6 else grey
        )
    names = [f"{name} ({total})" for name, total in zip(class_names, counts.sum(1))]
    axes.set_xticks(
        range(size), class_names, rotation=40, ha="right", rotation_mode="anchor", parse_math=False
    )
    axes.set_yticks(range(size), names, parse_math=False)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true (count), a row = 100 %")
    axes.set_title(title, parse_math=False)
    return figure


def predicted_against_true(
    labels: np.ndarray,
    predictions: np.ndarray,
    range: tuple[float, float],
    title: str,
    dimensions: Sequence[str] | None = None,
) -> Figure:
    """Scatter of predicted against true values with the identity line, r and MAE; one panel per dimension.

    Args:
        labels: (N,) true values, or (N, K) for K dimensions.
        predictions: shaped as `labels`, the predicted values.
        range: smallest and largest label; the axes are equal, the same in all panels, and grow where values lie
            outside.
        title: of the figure.
        dimensions: names of the K dimensions, or None for (N,).

    Raises:
        LMFError: no rows, unequal shapes, another number of names, or values that are not finite.
    """
    labels, predictions = _pair(labels, predictions, () if dimensions is None else (len(dimensions),))
    low = min(range[0], np.min(labels), np.min(predictions))
    high = max(range[1], np.max(labels), np.max(predictions))
    margin = 0.04 * (high - low)
    limits = (low - margin, high + margin)
    columns = min(len(dimensions or "1"), 5)
    rows = -(-len(dimensions or "1") // columns)
    size = (0.6 + 2.3 * columns, 1.0 + 2.5 * rows) if dimensions else (5.4, 5.4)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(f"{title} (n = {len(labels)})" if dimensions else title, parse_math=False)
    figure.supxlabel("true")
    figure.supylabel("predicted")
    for k, (true, predicted) in enumerate(
        zip(*(array.reshape(len(array), -1).T for array in (labels, predictions)))
    ):
        axes = figure.add_subplot(rows, columns, k + 1)
        axes.plot(limits, limits, color=GREY, linewidth=1, linestyle="--", label="predicted = true")
        axes.scatter(true, predicted, s=18, alpha=0.45, color=TRAIN, edgecolors="none")
        axes.set(xlim=limits, ylim=limits, aspect="equal")
        open_panel(axes)
        r, mae = protocols.pearson(true, predicted), np.abs(true - predicted).mean()
        if dimensions:
            # Above the panel: inside it, a box this large would hide points.
            caption = f"{dimensions[k].replace('_', ' ')}\nr = {r:.3f}, MAE = {mae:.3f}"
            axes.set_title(caption, fontsize=9, parse_math=False)
        else:
            text = f"r = {r:.3f}\nMAE = {mae:.3f}\nn = {len(labels)}"
            box = {"facecolor": "white", "edgecolor": "#cccccc", "boxstyle": "round,pad=0.4", "alpha": 0.9}
            axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", bbox=box)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower right", frameon=False)
    return figure


def training_curves(history: pd.DataFrame, title: str, best_epoch: int | None = None) -> Figure:
    """Loss and metrics per epoch, one panel each, train and validation in the same panel.

    Args:
        history: a row per epoch; columns in Keras's names: `loss`, `val_loss`, …. The epoch is the column
            `epoch` where there is one, else the index.
        title: of the figure.
        best_epoch: marked with a vertical line.

    Raises:
        LMFError: no epoch, or no column but `epoch`.
    """
    if "epoch" in history:
        history = history.set_index("epoch")
    names = list(dict.fromkeys(column.removeprefix("val_") for column in history))
    if history.empty or not names:
        raise LMFError("The history holds no epochs to draw: train for one epoch or more.")
    columns = {1: 1, 2: 2, 4: 2}.get(len(names), 3)
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(1.2 + 3.6 * columns, 0.8 + 2.7 * rows), layout="constrained")
    figure.suptitle(title, parse_math=False)
    marker = "o" if len(history) < 3 else None
    for i, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, i + 1)
        for column, label, colour in ((name, "train", TRAIN), (f"val_{name}", "validation", VALID)):
            if column in history:
                axes.plot(history.index, history[column], color=colour, label=label, marker=marker)
        if best_epoch is not None:
            axes.axvline(
                best_epoch, color=GREY, linewidth=1, linestyle="--", label=f"best: epoch {best_epoch}"
            )
        axes.set_title(name.replace("_", " "), fontsize=10, parse_math=False)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        open_panel(axes)
    handles = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels())
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def labelled_dots(
    axes: Axes, names: Sequence[str], cost: Sequence[float], values: np.ndarray, reach: np.ndarray
) -> None:
    """A dot for each name at its cost, in the logarithm, and its value; `reach` (2, N) below and above it, or NaN."""
    line = {"arrowstyle": "-", "alpha": 0.45, "relpos": (0, 0), "shrinkA": 1, "shrinkB": 5}
    axes.set_xscale("log")
    axes.set_xlim(min(cost) / 1.6, max(cost) * 1.6)
    for i, place in enumerate(np.argsort(cost, kind="stable")):
        colour = FILES[place % len(FILES)]
        interval = None if np.isnan(reach).any() else reach[:, place : place + 1]
        dot = {"fmt": "o", "markersize": 7, "capsize": 3, "elinewidth": 1, "color": colour}
        axes.errorbar(cost[place], values[place], interval, **dot)
        # Labels stand side by side above the panel: those of one size or one score don't cover them.
        axes.annotate(
            names[place],
            (cost[place], values[place]),
            ((i + 0.5) / len(names), 1.04),
            textcoords="axes fraction",
            rotation=28,
            rotation_mode="anchor",
            fontsize=9,
            color=colour,
            parse_math=False,
            arrowprops=line | {"color": colour},
        )
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    open_panel(axes)


def interactions(table: pd.DataFrame, title: str) -> Figure:
    """Which subsets of modalities carry the answers: their shares by answer, and what they decide or push.

    Args:
        table: as `evaluation.interactions` gives it.
        title: of the figure.

    Raises:
        LMFError: no row.
    """
    if table.empty:
        raise LMFError("There are no interactions to draw: explain one row or more.")
    rows = table[["answer", "rows"]].drop_duplicates()
    answers, subsets = list(rows["answer"]), list(table["subset"].unique())
    decided = table["decisive"].notna().any()
    wide = table.pivot(index="answer", columns="subset").loc[answers]
    figure = Figure(figsize=(11, 1.9 + 0.26 * len(answers) * len(subsets)), layout="constrained")
    figure.suptitle(title, parse_math=False)
    left, right = figure.subplots(1, 2, sharey=True)
    places, begun = np.arange(len(answers), dtype=float), np.zeros(len(answers))
    height = 0.8 / len(subsets)
    for i, subset in enumerate(subsets):
        colour = GREY if subset == CONSTANT else FILES[(i - (CONSTANT in subsets)) % len(FILES)]
        lengths = wide["share", subset].fillna(0).to_numpy()
        left.barh(places, lengths, 0.7, begun, color=colour, label=subset)
        begun += lengths
        right.barh(
            places + (i - (len(subsets) - 1) / 2) * height,
            wide["decisive" if decided else "push", subset],
            0.9 * height,
            color=colour,
        )
    left.set_yticks(
        places, [f"{name} ({count})" for name, count in rows.itertuples(index=False)], parse_math=False
    )
    left.invert_yaxis()
    left.set_ylabel("answer (rows)")
    left.set(xlabel="share of all contributions", xlim=(0, 1))
    right.set_xlabel("share of answers that change without it" if decided else "mean contribution")
    for axes in (left, right):
        open_panel(axes)
        axes.grid(visible=False, axis="y")
    if decided:
        right.set_xlim(0, max(0.05, 1.05 * float(table["decisive"].max())))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def open_panel(axes: Axes) -> None:
    """A pale grid behind what is drawn, and no lines above and on the right."""
    axes.grid(color="#eeeeee")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path | str) -> Path:
    """Write `figure` to `path` as PNG, atomically."""
    return write_atomically(
        Path(path), lambda temporary: figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight")
    )


def _pair(
    labels: np.ndarray, predictions: np.ndarray, row_shape: tuple[int, ...] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, checked: (N, *row_shape) finite numbers, N ≥ 1."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    rows_fit = labels.ndim > 0 and labels.shape[1:] == row_shape and len(labels)
    if not rows_fit or labels.shape != predictions.shape:
        allowed = "1-D arrays of one length" if not row_shape else f"arrays of one shape (N, {row_shape[0]})"
        raise LMFError(
            f"labels and predictions must be two {allowed}, one row or more, received shapes "
            f"{labels.shape} and {predictions.shape}."
        )
    for what, values in (("labels", labels), ("predictions", predictions)):
        if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
            raise LMFError(f"The {what} to draw must be finite numbers, received some that are not.")
    return labels, predictions
