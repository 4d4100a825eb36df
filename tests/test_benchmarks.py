"""The benchmark scripts run; no time is asserted, a machine may be busy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from keras_lmf.data import corpora

FUSION_LAYERS = Path(__file__).parent.parent / "benchmarks" / "fusion_layers.py"


sys.path.insert(0, str(FUSION_LAYERS.parent))


@pytest.mark.skipif("KERAS_LMF_DATA" not in os.environ, reason="needs the corpora")
def test_the_papers_f1_of_always_no_is_the_closed_form():
    import paper_tables

    table = paper_tables.table_3().set_index(["source", "fusion"])
    test = corpora.load("iemocap")["test"]
    for emotion in paper_tables.EMOTIONS:
        no = np.mean(test.labels != test.target.classes.index(emotion))
        # "No" has recall 1 and precision `no`; "yes" has F1 0 and does not weigh in.
        assert table.loc[("ours", "always no"), emotion] == pytest.approx(100 * no * 2 * no / (1 + no))
        assert table.loc[("ours", "always no"), f'{emotion}, F1 of "yes"'] == 0
        for fusion in ("early", "TFN", "LMF"):
            assert table.loc[("ours", fusion), f'{emotion}, F1 of "yes"'] > 0


def test_fusions_share_the_settings_of_a_trial():
    import comparison

    for corpus in ("iemocap", "pom"):
        recipes = [comparison.recipe(corpus, 1, fusion, 3, 0, "") for fusion in ("early", "tensor")]
        recipes.append(comparison.recipe(corpus, 1, "low_rank", 3, 0, comparison.INITIALIZATION))
        assert len({recipe.training.learning_rate for recipe in recipes}) == 1
        assert recipes[0].inputs == recipes[1].inputs == recipes[2].inputs


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
