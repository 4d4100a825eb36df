"""Pictures of how the time grows: with the rank, and with the number of modalities."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

COLOURS = {"low-rank": "#1f5fa8", "tensor": "#d9661f"}
GREY = "#777777"


def growth_with_rank(speeds: pd.DataFrame, batch: int) -> Figure:
    """CPU time per sample of our whole networks over the rank, one panel per phase; tensor fusion is a line across.

    Args:
        speeds: `SpeedReport.whole_models`.
        batch: the batch size drawn.
    """
    ours = speeds[(speeds["code"] == "keras-lmf") & (speeds["batch"] == batch)]
    figure, panels = _panels(list(ours["phase"].unique()))
    figure.suptitle(f"Whole network, batch {batch}, one CPU thread", fontsize=11)
    for phase, axes in panels.items():
        for compiled, style in (("tf.function", "-"), ("tf.function, XLA", "--")):
            cell = ours[(ours["phase"] == phase) & (ours["compiled"] == compiled)]
            cell = cell.assign(microseconds=cell["cpu_ms"] * 1e3 / batch)
            low_rank = cell[cell["fusion"] == "low-rank"].sort_values("rank")
            axes.plot(
                low_rank["rank"],
                low_rank["microseconds"],
                style,
                marker="o",
                markersize=5,
                color=COLOURS["low-rank"],
                label=f"low-rank fusion, {compiled}",
            )
            (tensor,) = cell.loc[cell["fusion"] == "tensor", "microseconds"]
            axes.axhline(
                tensor,
                linestyle=style,
                color=COLOURS["tensor"],
                label=f"tensor fusion (no rank), {compiled}",
            )
        axes.set_xscale("log", base=2)
        ranks = sorted(ours.loc[ours["fusion"] == "low-rank", "rank"].unique())
        axes.set_xticks(ranks, [str(rank) for rank in ranks])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("rank")
        _finish(axes, phase)
    return _with_legend(figure, columns=2)


def growth_with_modalities(fusions: pd.DataFrame, batch: int) -> Figure:
    """CPU time per sample of the fusion alone over the number of modalities, one line per fusion and width.

    A line of tensor fusion ends where the product passes the layer's limit.

    Args:
        fusions: `SpeedReport.fusions`.
        batch: the batch size drawn.
    """
    drawn = fusions[fusions["batch"] == batch]
    figure, panels = _panels(list(drawn["phase"].unique()))
    figure.suptitle(f"Fusion alone → 64 units, batch {batch}, one CPU thread", fontsize=11)
    widths = sorted(drawn["width"].unique())
    labels = {"low-rank": "low-rank fusion, rank 4", "tensor": "tensor fusion → dense"}
    for phase, axes in panels.items():
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
                if fusion == "tensor" or i in (0, len(widths) - 1):
                    below = fusion == "low-rank" and i == 0
                    axes.annotate(
                        f"{width} wide",
                        (line["modalities"].iloc[-1], micros.iloc[-1]),
                        xytext=(5, -9 if below else 3),
                        textcoords="offset points",
                        fontsize=7.5,
                        color=colour,
                    )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(drawn["modalities"].min() - 0.15, drawn["modalities"].max() + 0.65)
        axes.set_xlabel("modalities")
        _finish(axes, phase)
    return _with_legend(figure, columns=2)


def _panels(phases: list[str]) -> tuple[Figure, dict[str, Axes]]:
    figure = Figure(figsize=(0.8 + 4.4 * len(phases), 4.6), layout="constrained")
    axes = figure.subplots(1, len(phases), squeeze=False)[0]
    axes[0].set_ylabel("CPU time per sample (µs)")
    return figure, dict(zip(phases, axes))


def _finish(axes: Axes, title: str) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_title(title, fontsize=10)
    axes.grid(color="#e6e6e6", which="major")
    axes.grid(color="#f3f3f3", which="minor", axis="y")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _with_legend(figure: Figure, columns: int) -> Figure:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    return figure
