"""The benchmark scripts run; no time is asserted, a machine may be busy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd

FUSION_LAYERS = Path(__file__).parent.parent / "benchmarks" / "fusion_layers.py"


def test_fusion_layers_compares_every_case(tmp_path):
    csv = tmp_path / "speed.csv"
    done = subprocess.run(
        [sys.executable, FUSION_LAYERS, "--repeats", "1", "--seconds", "0", "--csv", csv],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(csv)
    cases = list(zip(table["batch"], table["what"]))
    assert cases == [
        (batch, what)
        for batch, rival in [
            (1, "per-rank loop"),
            (8, "per-rank loop"),
            (32, "per-rank loop"),
            (32, "TensorFusion → Dense"),
            (256, "TensorFusion → Dense"),
        ]
        for what in ("LowRankFusion", rival)
    ]
    assert (table["median_ms"] > 0).all()
    assert (table.loc[table["what"] == "LowRankFusion", "ratio"] == 1).all()
    assert list(tmp_path.iterdir()) == [csv]
