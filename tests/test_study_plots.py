"""Plots of studies: what is drawn where, and that names don't cover each other."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.study_plots import (
    metric_against_parameters,
    metric_over_ranks,
    robustness_curves,
)

NAMES = ("audio", "video", "text", "all")


def boxes(figure: Figure, names) -> list:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for axes in figure.axes for text in axes.texts if text.get_text() in names]
    return [Text.get_window_extent(text, canvas.get_renderer()) for text in texts]  # without its arrow


def test_curves_that_end_together_have_labels_apart() -> None:
    levels = np.arange(10) / 10
    index = pd.MultiIndex.from_product([["noise"], NAMES, levels], names=["damage", "modality", "level"])
    curves = pd.DataFrame({"mean": np.tile(0.8 - levels / 5, 4), "sd": 0.01}, index=index)
    figure = robustness_curves(curves, "war", 0.5, "_title_$")
    (axes,) = figure.axes
    drawn = [line for line in axes.lines if len(line.get_xdata()) == len(levels)]
    assert len(drawn) == len(NAMES)
    for line in drawn:
        np.testing.assert_allclose(line.get_ydata(), 0.8 - levels / 5)
    found = boxes(figure, NAMES)
    assert len(found) == len(NAMES)
    ordered = sorted(found, key=lambda box: box.y0)
    assert all(above.y0 >= below.y1 - 1 for below, above in itertools.pairwise(ordered))
    late = robustness_curves(curves.assign(baseline=0.6), "war", 0.5, "title")
    assert "late fusion" in late.axes[0].get_ylabel()
    assert sum(line.get_linestyle() == ":" for line in late.axes[0].lines) == len(NAMES)


def test_models_stand_where_their_size_and_metric_are() -> None:
    table = pd.DataFrame(
        {"parameters": [1000, 50_000], "value": [0.6, 0.7], "low": [0.5, np.nan], "high": [0.65, np.nan]},
        index=["small_$", "large"],
    )
    figure = metric_against_parameters(table, "war", 0.25, "title")
    metrics, sizes = figure.axes
    values, parameters = (
        [line.get_xdata().tolist() for line in axes.lines if line.get_marker() == "o"] for axes in figure.axes
    )
    assert (values, parameters) == ([[0.6, 0.7]], [[1000, 50_000]])  # from the lowest row up
    assert [label.get_text() for label in metrics.get_yticklabels()] == ["small_$", "large"]
    assert metrics.get_ylim() == sizes.get_ylim()
    (interval,) = metrics.collections
    assert interval.get_segments()[0].tolist() == [[0.5, 0], [0.65, 0]]
    assert len(boxes(figure, ["0.600", "0.700", "1k", "50k"])) == 4
    with pytest.raises(LMFError, match="one row"):
        metric_against_parameters(table[:0], "war", 0.25, "title")


def test_a_line_over_ranks_for_each_way() -> None:
    columns = pd.MultiIndex.from_product([["CP", "trained on"], ["mean", "sd"]])
    table = pd.DataFrame(
        [[1.2, 0.1, 1.0, 0.1], [1.1, 0.1, 0.9, 0.1], [1.0, 0.1, np.nan, np.nan]],
        index=[1, 4, 8],
        columns=columns,
    )
    figure = metric_over_ranks(table, "mae", (0.95, 0.02), "title")
    lines = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    drawn = np.array([line.get_ydata() for line in lines], float)
    np.testing.assert_array_equal(drawn, [[1.2, 1.1, 1.0], [1.0, 0.9, np.nan]])
    assert len(boxes(figure, ["CP", "trained on"])) == 2
