"""Plots of results: arrays in, a matplotlib `Figure` out.

Figures are built without pyplot: no display, no global state, so threads and servers can draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_lmf.errors import LMFError
from keras_lmf.evaluation import protocols, style
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.evaluation.style import open_panel
from keras_lmf.evaluation.terms import CONSTANT
from keras_lmf.files import write_atomically


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
    counts = _counts(labels, predictions, class_names)
    side = 2.0 + 0.62 * len(class_names)
    figure = style.figure(title, side, side)
    figure.set_layout_engine("compressed")
    _draw_confusion(figure.add_subplot(), counts, class_names)
    return figure


def classification(
    table: pd.DataFrame, labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str], title: str
) -> Figure:
    """Dots of the metrics in order of value, those of single classes apart, over the confusion matrix.

    Args:
        table: a row per protocol, by its short word: `value`, and `low`, `high` (its interval) and `floor` where not
            NaN. A single class's are called "f1_" and the class.
        labels: as of `confusion_matrix`; the other arguments and the errors, too.
        predictions: as there.
        class_names: as there.
        title: of the figure.
    """
    counts = _counts(labels, predictions, class_names)
    classes = {f"f1_{name}": name for name in class_names}
    single = table[table.index.isin(classes)].rename(index=classes)
    whole = table[~table.index.isin(classes)].rename(index=metric_name)
    heights = [0.24 * len(whole) + 0.3, 0.24 * len(single) + 0.3, 1.3 + 0.56 * len(class_names)]
    figure = style.figure(title, sum(heights) + 1.2, max(style.WIDTH, 2.0 + 0.62 * len(class_names)))
    above, middle, below = figure.subplots(3, 1, height_ratios=heights)
    for axes, rows, heading in ((above, whole, "all classes"), (middle, single, "F1 of each class")):
        draw_dots(axes, rows, heading)
        axes.set_xlim(min(0, table[["value", "low"]].min(axis=None) - 0.02), 1.02)
    above.tick_params(labelbottom=False)
    _draw_confusion(below, counts, class_names)
    return figure


def draw_dots(axes: Axes, table: pd.DataFrame, heading: str) -> None:
    """A row for each line of a table, the largest value on top: a dot, its interval, its value, a tick at its floor.

    Args:
        axes: the panel.
        table: name → `value`, and `low`, `high` and `floor` where not NaN.
        heading: above the panel.
    """
    ordered = table.sort_values("value", kind="stable")
    rows = np.arange(len(ordered))
    axes.hlines(rows, ordered["low"], ordered["high"], color=style.BLUE, alpha=0.4, linewidth=3)
    axes.plot(ordered["floor"], rows, "|", color=style.GREY, markersize=9, markeredgewidth=1.5)
    axes.plot(ordered["value"], rows, "o", color=style.BLUE, markersize=6)
    for row, value in zip(rows, ordered["value"]):
        axes.annotate(
            f"{value:.3f}",
            (1.01, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=style.SMALL,
            color=style.INK,
        )
    open_panel(axes, "x")
    axes.set_yticks(rows, ordered.index, fontsize=style.SMALL, parse_math=False)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    shown = ordered[["low", "floor"]].notna().any()
    told = [heading, *(["line: 95 % interval"] if shown["low"] else [])]
    told += ["tick: a constant answer"] if shown["floor"] else []
    heading = "; ".join(told)
    axes.set_title(heading, loc="left", fontsize=style.SMALL, color=style.MUTED, pad=3, parse_math=False)


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
    columns = min(len(dimensions or "1"), 4)
    rows = -(-len(dimensions or "1") // columns)
    size = (0.6 + 1.95 * columns, 1.0 + 2.15 * rows) if dimensions else (5.4, 5.4)
    figure = style.figure(f"{title} (n = {len(labels)})" if dimensions else title, size[1], size[0])
    figure.supxlabel("true", fontsize=style.TEXT)
    figure.supylabel("predicted", fontsize=style.TEXT)
    # Of both axes, and of all panels.
    ticks = MaxNLocator(4 if dimensions else 6, steps=[1, 2, 5, 10]).tick_values(low, high)
    ticks = ticks[(ticks >= limits[0]) & (ticks <= limits[1])]
    for k, (true, predicted) in enumerate(
        zip(*(array.reshape(len(array), -1).T for array in (labels, predictions)))
    ):
        axes = figure.add_subplot(rows, columns, k + 1)
        axes.plot(limits, limits, color=style.GREY, linewidth=1, linestyle="--", label="predicted = true")
        axes.scatter(true, predicted, s=18, alpha=0.45, color=style.BLUE, edgecolors="none")
        axes.set(xlim=limits, ylim=limits, xticks=ticks, yticks=ticks, aspect="equal")
        open_panel(axes)
        r, mae = protocols.pearson(true, predicted), np.abs(true - predicted).mean()
        if dimensions:
            # Above the panel: inside it, a box this large would hide points.
            caption = f"{dimensions[k].replace('_', ' ')}\nr = {r:.3f}, MAE = {mae:.3f}"
            axes.set_title(caption, fontsize=style.SMALL, color=style.INK, parse_math=False)
        else:
            text = f"r = {r:.3f}\nMAE = {mae:.3f}\nn = {len(labels)}"
            box = {"facecolor": "white", "edgecolor": style.PALE, "boxstyle": "round,pad=0.4", "alpha": 0.9}
            axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", color=style.INK, bbox=box)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower right", frameon=False, fontsize=style.SMALL)
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
    figure = style.figure(title, 0.9 + 2.0 * rows, max(4.0, 2.6 * columns))
    marker = "o" if len(history) < 3 else None
    for i, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, i + 1)
        pairs = ((name, "train", style.BLUE), (f"val_{name}", "validation", style.VERMILION))
        for column, label, colour in pairs:
            if column in history:
                axes.plot(history.index, history[column], color=colour, label=label, marker=marker)
        if best_epoch is not None:
            label = f"best: epoch {best_epoch}"
            axes.axvline(best_epoch, color=style.GREY, linewidth=1, linestyle="--", label=label)
        axes.set_title(metric_name(name), fontsize=style.TEXT, color=style.INK, parse_math=False)
        axes.set_xlabel("epoch", fontsize=style.SMALL)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        open_panel(axes)
    handles = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels())
    }
    shown = {"loc": "outside lower center", "ncols": 3, "frameon": False, "fontsize": style.SMALL}
    figure.legend(handles.values(), handles.keys(), **shown)
    return figure


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
    figure = style.figure(title, 1.6 + 0.18 * len(answers) * len(subsets))
    left, right = figure.subplots(1, 2, sharey=True)
    colours = style.colours(subset for subset in subsets if subset != CONSTANT)
    places, begun = np.arange(len(answers), dtype=float), np.zeros(len(answers))
    height = 0.8 / len(subsets)
    for i, subset in enumerate(subsets):
        colour = style.PALE if subset == CONSTANT else colours[subset]
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
    for axes in (left, right):
        open_panel(axes, "x")
    left.set_ylabel("answer (rows)", fontsize=style.SMALL)
    left.set_xlabel("share of all contributions", fontsize=style.SMALL)
    left.set_xlim(0, 1)
    what = "share of answers that change without it" if decided else "mean contribution"
    right.set_xlabel(what, fontsize=style.SMALL)
    if decided:
        right.set_xlim(0, max(0.05, 1.05 * float(table["decisive"].max())))
    shown = {"loc": "outside lower center", "ncols": 4, "frameon": False, "fontsize": style.SMALL}
    figure.legend(*left.get_legend_handles_labels(), **shown)
    return figure


def save(figure: Figure, path: Path | str) -> Path:
    """Write `figure` to `path` as PNG, atomically."""
    return write_atomically(
        Path(path),
        lambda temporary: figure.savefig(temporary, format="png", dpi=style.DPI, bbox_inches="tight"),
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


def _counts(labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Rows true, columns predicted, (classes, classes), of checked integers."""
    size = len(class_names)
    labels, predictions = _pair(labels, predictions)
    if not np.isin(np.concatenate([labels, predictions]), np.arange(size)).all():
        raise LMFError(f"The labels and predictions of {size} classes must be integers 0 … {size - 1}.")
    return protocols.confusion(labels, predictions.astype(np.int64), size)


def _draw_confusion(axes: Axes, counts: np.ndarray, class_names: Sequence[str]) -> None:
    size = len(class_names)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(size, size):
        count, share = counts[row, column], shares[row, column]
        colour = style.ink_on(to_hex(picture.to_rgba(share))) if count else style.GREY
        text = f"{share:.0%}\n{count}" if count else "0"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    names = [f"{name} ({total})" for name, total in zip(class_names, counts.sum(1))]
    axes.set_xticks(
        range(size), class_names, rotation=40, ha="right", rotation_mode="anchor", parse_math=False
    )
    axes.set_yticks(range(size), names, parse_math=False)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0, labelsize=style.SMALL, labelcolor=style.INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted", fontsize=style.TEXT)
    axes.set_ylabel("true (count), a row = 100 %", fontsize=style.TEXT)
