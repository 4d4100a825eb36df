"""Pictures of how the time grows: with the rank, and with the number of modalities."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from keras_lmf.evaluation import style

COLOURS = {"low-rank": style.BLUE, "tensor": style.VERMILION}


def growth_with_rank(speeds: pd.DataFrame, ranks: pd.DataFrame, batch: int) -> Figure:
    """CPU time per sample over the rank, a column per phase; tensor fusion, which has no rank, is a line across.

    Above the whole networks, below the fusion alone: the sub-networks hide its growth.

    Args:
        speeds: `SpeedReport.whole_models`.
        ranks: `SpeedReport.ranks`.
        batch: the batch size drawn.
    """
    ours = speeds[(speeds["code"] == "keras-lmf") & (speeds["batch"] == batch)]
    alone = ranks[ranks["batch"] == batch].assign(compiled="tf.function")
    phases = list(ours["phase"].unique())
    figure, panels = _panels(f"Batch {batch}, one CPU thread", len(phases), rows=2)
    for row, (table, what) in enumerate(((ours, "whole network"), (alone, "fusion alone → 64 units"))):
        for axes, phase in zip(panels[row], phases):
            for compiled, cell in table[table["phase"] == phase].groupby("compiled"):
                cell = cell.assign(microseconds=cell["cpu_ms"] * 1e3 / batch)
                low_rank = cell[cell["fusion"] == "low-rank"].sort_values("rank")
                dashes = "--" if "XLA" in compiled else "-"
                axes.plot(
                    low_rank["rank"],
                    low_rank["microseconds"],
                    dashes,
                    marker="o",
                    markersize=4,
                    color=COLOURS["low-rank"],
                    label=f"low-rank fusion, {compiled}",
                )
                (tensor,) = cell.loc[cell["fusion"] == "tensor", "microseconds"]
                axes.axhline(
                    tensor,
                    linestyle=dashes,
                    color=COLOURS["tensor"],
                    label=f"tensor fusion (no rank), {compiled}",
                )
            drawn = sorted(table.loc[table["fusion"] == "low-rank", "rank"].unique())
            axes.set_xscale("log", base=2)
            axes.set_xticks(drawn, [str(rank) for rank in drawn])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("rank", fontsize=style.SMALL)
            _finish(axes, f"{phase}, {what}")
    return _with_legend(figure, columns=2)


def growth_with_modalities(fusions: pd.DataFrame, batch: int) -> Figure:
    """CPU time per sample of the fusion alone over the number of modalities, one line per fusion and width.

    A line of tensor fusion ends where the product passes the layer's limit.

    Args:
        fusions: `SpeedReport.fusions`.
        batch: the batch size drawn.
    """
    drawn = fusions[fusions["batch"] == batch]
    phases = list(drawn["phase"].unique())
    figure, panels = _panels(f"Fusion alone → 64 units, batch {batch}, one CPU thread", len(phases))
    widths = sorted(drawn["width"].unique())
    labels = {"low-rank": "low-rank fusion, rank 4", "tensor": "tensor fusion → dense"}
    for axes, phase in zip(panels[0], phases):
        ends: dict[str, tuple[float, float]] = {}
        for fusion, colour in COLOURS.items():
            for i, width in enumerate(widths):
                line = drawn[
                    (drawn["phase"] == phase) & (drawn["fusion"] == fusion) & (drawn["width"] == width)
                ].sort_values("modalities")
                micros = line["cpu_ms"] * 1e3 / batch
                strength = 0.35 + 0.65 * (i + 1) / len(widths)
                axes.plot(
                    line["modalities"],
                    micros,
                    marker="o",
                    markersize=4,
                    color=colour,
                    alpha=strength,
                    label=labels[fusion] if i == len(widths) - 1 else None,
                )
                # Low-rank lines of all widths lie close together: only the outer ones are named.
                end = line["modalities"].iloc[-1], micros.iloc[-1]
                if end[0] < drawn["modalities"].max():
                    name = {"xytext": (-5, 2), "textcoords": "offset points", "fontsize": style.SMALL}
                    axes.annotate(f"{width} wide", end, color=style.legible(colour), ha="right", **name)
                elif fusion == "tensor" or i in (0, len(widths) - 1):
                    ends[f"{fusion}, {width} wide"] = end
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(drawn["modalities"].min() - 0.15, drawn["modalities"].max() + 0.05)
        axes.set_xlabel("modalities", fontsize=style.SMALL)
        _finish(axes, phase)
        style.label_lines(axes, ends, {name: COLOURS[name.split(",")[0]] for name in ends})
    return _with_legend(figure, columns=2)


def sequences(speeds: pd.DataFrame, trained: pd.DataFrame) -> Figure:
    """Parameters, CPU time of a training step and accuracy over the number of modalities, a line per fusion.

    Args:
        speeds: what `sequences.py speed` has written.
        trained: what `sequences.py accuracy` has written.
    """
    figure = style.figure("Low-rank fusion of sequences against MulT", 3.1, 1.4 * style.WIDTH)
    panels = figure.subplots(1, 3)
    accuracy = trained.groupby(["modalities", "fusion"])["accuracy"].mean().reset_index()
    what = (
        (speeds, "parameters", "parameters"),
        (speeds, "training_ms", "CPU time of a training step (ms)"),
        (accuracy, "accuracy", "accuracy on synthetic_steps"),
    )
    fusions = list(speeds["fusion"].unique())
    for axes, (table, column, title) in zip(panels, what):
        for i, fusion in enumerate(fusions):
            line = table[table["fusion"] == fusion].sort_values("modalities")
            colour = COLOURS["tensor"] if fusion == "MulT" else COLOURS["low-rank"]
            axes.plot(
                line["modalities"],
                line[column],
                "-o" if fusion == "MulT" else ("-s", "--^", ":v")[i % 3],
                color=colour,
                markersize=4,
                label=fusion,
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("modalities", fontsize=style.SMALL)
        _finish(axes, title)
    panels[2].set_yscale("linear")
    panels[2].set_ylim(0.45, 1.02)
    panels[2].yaxis.set_major_locator(MaxNLocator(6))
    panels[2].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.1f}"))
    panels[2].axhline(0.5, color=style.GREY, linewidth=0.8)
    panels[2].annotate("chance", (2, 0.505), fontsize=8, color=style.MUTED)
    return _with_legend(figure, columns=4)


def _panels(title: str, columns: int, rows: int = 1) -> tuple[Figure, np.ndarray]:
    figure = style.figure(title, 1.3 + 2.4 * rows, max(style.WIDTH, 0.4 + 3.4 * columns))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels[:, 0]:
        axes.set_ylabel("CPU time per sample (µs)", fontsize=style.SMALL)
    return figure, panels


def _finish(axes: Axes, title: str) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title(title, fontsize=style.TEXT, color=style.INK)
    style.open_panel(axes)


def _with_legend(figure: Figure, columns: int) -> Figure:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=style.SMALL
    )
    return figure
