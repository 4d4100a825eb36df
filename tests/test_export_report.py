"""The plot and the tables over exported files, from records made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from keras_lmf.errors import LMFError
from keras_lmf.evaluation import plots
from keras_lmf.export import Artifact, Latency, report, summary
from keras_lmf.export.artifact import write_report

NAMES = ["saved_model", "tflite", "tflite-float16", "tflite-dynamic", "tflite-int8", "tflite-int8-integer"]
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


def artifact(name: str, **changes: object) -> Artifact:
    table = pd.DataFrame(
        {"value": [0.75, 0.5], "low": [0.7, 0.4], "high": [0.8, 0.6], "floor": [0.25, 0.1]},
        index=pd.Index(["war", "uar"], name="protocol"),
    )
    facts = {
        "path": Path(f"out/{name}"),
        "format": "tflite",
        "bytes": 1234,
        "compressed_bytes": 999,
        "metrics": {"war": 0.75, "uar": 0.5},
        "table": table,
        "difference_max": 0.25,
        "difference_mean": 0.125,
        "agreement": 0.875,
        "latency": Latency(0.5, 2.0, 0.25, 1.0, 64.4),
        "operators": pd.DataFrame([{"operator": "ADD", "activations": "int8", "count": 2}]),
        "notes": ("mind the gap",),
    }
    return Artifact(**{**facts, **changes})


def test_plot_has_every_file_in_both_panels() -> None:
    figure = plots.metric_against_cost(NAMES, SCORES, SIZES, TIMES, "war")
    assert len(figure.axes) == 2
    for axes, costs in zip(figure.axes, (np.array(SIZES) / 1000, TIMES)):
        points = sorted((float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in axes.lines[::3])
        np.testing.assert_allclose(points, sorted(zip(map(float, costs), SCORES["value"])))
        assert sorted(text.get_text() for text in axes.texts) == sorted(NAMES)
        assert axes.get_xscale() == "log"
    label = figure.axes[0].get_ylabel()
    assert "war" in label
    assert "floor 0.133" in label


def test_labels_lie_on_the_page_and_not_on_each_other() -> None:
    figure = plots.metric_against_cost(NAMES, SCORES, SIZES, TIMES, "war")
    figure.draw_without_rendering()
    for axes in figure.axes:
        starts = []
        for text in sorted(axes.texts, key=lambda text: text.get_position()[0]):
            start = axes.transAxes.transform(text.get_position())
            assert start[1] > axes.bbox.y1  # above the panel
            starts.append(start[0])
        assert min(np.diff(starts)) > 30  # parallel lines of 9-point text need 20 pixels
        for box in (text.get_window_extent() for text in axes.texts):
            assert box.y1 <= figure.bbox.height + 1


def test_plot_without_intervals_and_floor() -> None:
    bare = SCORES.assign(low=np.nan, high=np.nan, floor=np.nan)
    figure = plots.metric_against_cost(NAMES, bare, SIZES, TIMES, "$mae$")
    assert figure.axes[0].get_ylabel() == "$mae$"


@pytest.mark.parametrize("names", [[], NAMES[:2]])
def test_plot_of_nothing_or_of_unequal_lengths_is_refused(names) -> None:
    with pytest.raises(LMFError, match="one or more names, and as many"):
        plots.metric_against_cost(names, SCORES, SIZES, TIMES, "war")


def test_report_and_summary_by_hand() -> None:
    parts = [artifact("a.tflite"), artifact("b.tflite", bytes=617, agreement=None)]
    table = report(parts)
    assert table.iloc[0].to_dict() == {
        "file": "a.tflite",
        "format": "tflite",
        "bytes": 1234,
        "compressed_bytes": 999,
        "war": 0.75,
        "uar": 0.5,
        "difference_max": 0.25,
        "difference_mean": 0.125,
        "agreement": 0.875,
        "latency_p50": 0.5,
        "latency_p95": 2.0,
        "latency_p50_two_threads": 0.25,
        "latency_p95_two_threads": 1.0,
        "peak_mib": 64.4,
    }
    words = summary(parts)
    assert list(words) == ["a.tflite", "b.tflite", "floor"]
    assert words["a.tflite"].to_dict() == {
        "bytes": "1,234",
        "compressed bytes": "999",
        "war": "0.750 [0.700, 0.800]",
        "uar": "0.500 [0.400, 0.600]",
        "agreement with Keras": "87.5%",
        "largest difference to Keras": "2.5e-01",
        "mean difference to Keras": "1.2e-01",
        "latency p50, ms": "0.5",
        "latency p95, ms": "2",
        "latency p50, ms, two threads": "0.25",
        "latency p95, ms, two threads": "1",
        "peak memory, MiB": "64",
    }
    assert words.loc["war", "floor"] == "0.250"
    assert words.loc["agreement with Keras", "b.tflite"] == ""
    assert summary([]).empty


def test_written_report(tmp_path) -> None:
    write_report([artifact("a.tflite")], tmp_path)
    row = pd.read_csv(tmp_path / "report.csv").iloc[0]
    assert (row["war_low"], row["war"], row["war_high"]) == (0.7, 0.75, 0.8)
    (record,) = json.loads((tmp_path / "report.json").read_text())
    assert record["metrics"]["uar"] == {"value": 0.5, "low": 0.4, "high": 0.6, "floor": 0.1}
    assert record["latency_ms"] == {"p50": 0.5, "p95": 2.0, "p50_two_threads": 0.25, "p95_two_threads": 1.0}
    assert (record["peak_mib"], record["compressed_bytes"]) == (64.4, 999)
    assert record["operators"] == [{"operator": "ADD", "activations": "int8", "count": 2}]
    text = (tmp_path / "report.md").read_text()
    assert "## Ops of a.tflite" in text
    assert "- mind the gap" in text
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def test_report_without_a_split_has_no_metrics_and_no_plot(tmp_path) -> None:
    write_report([artifact("a.tflite", metrics={}, table=None, agreement=None)], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"report.csv", "report.json", "report.md"}
    assert json.loads((tmp_path / "report.json").read_text())[0]["agreement"] is None
    assert "report.png" not in (tmp_path / "report.md").read_text()
