"""Several runs side by side."""

from __future__ import annotations

import math

import numpy as np
import pytest
from labelled import EMOTIONS, split
from scipy import stats

from keras_lmf.errors import LMFError
from keras_lmf.evaluation import evaluate, paired_difference, summarise


def test_summarise_by_hand() -> None:
    table = summarise([{"mae": 1.0, "war": 0.5}, {"mae": 2.0, "war": 0.5}, {"war": 0.5, "mae": 3.0}])
    assert table.loc["mae"].to_list() == [2.0, 1.0, 3]
    assert table.loc["war"].to_list() == [0.5, 0.0, 3]
    assert np.isnan(summarise([{"mae": 1.0}]).loc["mae", "sd"])


def test_paired_difference_by_hand() -> None:
    a, b = [{"mae": v} for v in (1.0, 2.0, 3.0)], [{"mae": v} for v in (0.0, 2.0, 1.0)]
    # differences 1 0 2: mean 1, sd 1, standard error 1/√3.
    assert paired_difference(a, b).loc["mae"].to_list() == pytest.approx([1.0, 1 / math.sqrt(3), 3])
    assert np.isnan(paired_difference(a[:1], b[:1]).loc["mae", "standard_error"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: summarise([]), "reports is empty"),
        (lambda: summarise([{"mae": 1.0}, {"war": 1.0}]), r"reports\[1\] and reports\[0\] differ.*mae, war"),
        (
            lambda: paired_difference([{"mae": 1.0}] * 3, [{"mae": 1.0}] * 2),
            "3 runs of mae and 2 runs of mae",
        ),
        (lambda: paired_difference([{"mae": 1.0}], [{"war": 1.0}]), "1 runs of mae and 1 runs of war"),
    ],
)
def test_runs_that_do_not_match_are_refused(call, words: str) -> None:
    with pytest.raises(LMFError, match=words):
        call()


def test_paired_difference_equals_scipy_in_any_order_of_names() -> None:
    a, b = np.random.default_rng(2).normal(size=(2, 5))
    table = paired_difference([{"mae": v, "r": 2 * v} for v in a], [{"r": v, "mae": v} for v in b])
    assert table.loc["mae", "standard_error"] == pytest.approx(stats.sem(a - b))
    assert table.loc["r", "difference"] == pytest.approx(np.mean(2 * a - b))
    t = table.loc["mae", "difference"] / table.loc["mae", "standard_error"]
    assert t == pytest.approx(stats.ttest_rel(a, b).statistic)


def test_a_missing_number_is_not_passed_over() -> None:
    assert np.isnan(summarise([{"war": 0.5}, {"war": np.nan}]).loc["war", "mean"])
    with pytest.raises(LMFError, match="received a Report"):
        summarise([evaluate(np.zeros((1, 4)), split([0], EMOTIONS), resamples=0)])
    with pytest.raises(LMFError, match="must be numbers"):
        summarise([{"war": "good"}])
