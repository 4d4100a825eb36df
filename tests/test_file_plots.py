"""The plots of what files cost and gain, from figures made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from keras_lmf.errors import LMFError
from keras_lmf.evaluation import file_plots

APART = "saved_model"
NAMES = [APART, "tflite", "tflite-float16", "tflite-dynamic", "tflite-int8", "tflite-int8-integer"]
SIZES = [1_300_000, 597_000, 302_000, 174_000, 191_000, 191_000]  # the last two on one spot
TIMES = [0.37, 0.0136, 0.0134, 0.0066, 0.0068, 0.0070]
SCORES = pd.DataFrame(
    {
        "value": [0.637, 0.637, 0.637, 0.640, 0.633, 0.630],
        "low": [0.58, 0.58, 0.58, 0.583, 0.58, 0.573],
        "high": [0.69, 0.69, 0.69, 0.693, 0.683, 0.687],
        "floor": 0.133,
    }
)


def drawn(names: list[str] = NAMES, scores: pd.DataFrame = SCORES, **options: object) -> Figure:
    return file_plots.metric_against_cost(names, scores, SIZES, TIMES, "accuracy", **options)


def named(texts: list[Text]) -> dict[str, str]:
    """What stands in the labels: name → cost, of the files."""
    words = [text.get_text().split() for text in texts]
    return {name: " ".join(cost) for name, *cost in words if name in NAMES}


def test_every_file_is_a_dot_with_its_name_and_cost_and_one_is_a_line() -> None:
    figure = drawn(apart=APART)
    costs = (np.array(SIZES), np.array(TIMES) / 1000)
    told = (
        ("600 kB", "300 kB", "170 kB", "190 kB", "190 kB"),
        ("14 µs", "13 µs", "6.6 µs", "6.8 µs", "7 µs"),
    )
    for axes, cost, words in zip(figure.axes, costs, told):
        points = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o"]
        expected = sorted(zip(cost[1:], SCORES["value"][1:]))
        np.testing.assert_allclose(sorted(map(tuple, points)), expected)
        lines = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
        assert sorted(lines) == [0.133, 0.637]
        assert named(axes.texts) == dict(zip(NAMES[1:], words))
        assert axes.get_ylim()[0] < 0.133 < 0.69 < axes.get_ylim()[1]
    whole = drawn()
    assert len(named(whole.axes[0].texts)) == len(NAMES)


def test_of_errors_the_smaller_is_higher() -> None:
    low, high = drawn(scores=SCORES.assign(floor=1.0), error=True).axes[1].get_ylim()
    assert low > 1.0 > 0.63 > high


def test_names_lie_on_the_page_and_neither_on_each_other_nor_on_the_lines_to_them() -> None:
    figure = drawn(apart=APART)
    figure.draw_without_rendering()
    for axes in figure.axes:
        texts = [text for text in axes.texts if text.get_text().split()[0] in NAMES[1:]]
        boxes = [Text.get_window_extent(text) for text in texts]  # without the line
        assert len(boxes) == len(NAMES) - 1
        for one, box in enumerate(boxes):
            assert box.y0 > axes.bbox.y1
            assert box.x1 <= figure.bbox.width + 1
            assert box.y1 <= figure.bbox.height + 1
            for other in (other for place, other in enumerate(boxes) if place != one):
                assert not box.overlaps(other)
                # The line goes up at the left end of its own name.
                assert not (other.x0 + 1 < box.x0 < other.x1 and other.y0 < box.y0)


def test_without_intervals_and_floor_nothing_else_is_drawn() -> None:
    axes = drawn(scores=SCORES.assign(low=np.nan, high=np.nan, floor=np.nan)).axes[0]
    assert not [line for line in axes.lines if line.get_linestyle() == "--"]


@pytest.mark.parametrize("names", [[], NAMES[:2]])
def test_nothing_and_unequal_lengths_are_refused(names: list[str]) -> None:
    with pytest.raises(LMFError, match="one or more names, and as many"):
        drawn(names)


def test_the_pareto_front_is_what_nothing_dominates() -> None:
    random = np.random.default_rng(0)
    for _ in range(10):
        table = pd.DataFrame(random.integers(0, 8, (12, 2)), columns=["cost", "gain"])
        front = file_plots.pareto_front(table["cost"], table["gain"])
        dominated = {
            one
            for one, (cost, gain) in table.iterrows()
            for other, (less, more) in table.iterrows()
            if less <= cost and more >= gain and (less < cost or more > gain)
        }
        kept = table.drop(index=list(dominated)).drop_duplicates().sort_values("cost")
        assert table.loc[front].values.tolist() == kept.values.tolist()


def test_the_zoos_plot_names_every_model_and_tells_what_comes_along() -> None:
    table = pd.DataFrame(
        {
            "model": ["small", "small", "large"],
            "bytes": [1e5, 4e5, 2e6],
            "gain": [0.4, 0.5, 0.45],
            "there": [True, False, True],
        }
    )
    axes = file_plots.gain_against_bytes(table, "title").axes[0]
    assert {text.get_text() for text in axes.texts} > {"small", "large"}
    (front,) = (line for line in axes.lines if line.get_drawstyle() == "steps-post")
    np.testing.assert_array_equal(front.get_xydata(), [[1e5, 0.4], [4e5, 0.5]])
    discs, rings = [], []
    for group in axes.collections:
        found = rings if group.get_facecolors()[0, :3].min() == 1 else discs
        found += [(place[0], group.get_zorder()) for place in group.get_offsets()]
    assert sorted(place for place, _ in discs) == [1e5, 2e6]
    assert [place for place, _ in rings] == [4e5]
    assert max(layer for _, layer in rings) < min(layer for _, layer in discs)
    with pytest.raises(LMFError, match="one file or more"):
        file_plots.gain_against_bytes(table[:0], "title")
