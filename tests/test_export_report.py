"""The plot and the tables over exported files, from records made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from keras_lmf.export import Artifact, Latency, report, summary
from keras_lmf.export.artifact import write_report


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
        "accuracy": "0.750 [0.700, 0.800]",
        "balanced accuracy": "0.500 [0.400, 0.600]",
        "agreement with Keras": "87.5%",
        "largest difference to Keras": "2.5e-01",
        "mean difference to Keras": "1.2e-01",
        "latency p50, ms": "0.5",
        "latency p95, ms": "2",
        "latency p50, ms, two threads": "0.25",
        "latency p95, ms, two threads": "1",
        "peak memory, MiB": "64",
    }
    assert words.loc["accuracy", "floor"] == "0.250"
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
