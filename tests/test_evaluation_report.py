"""Reports: floors, bootstrap intervals, errors, files."""

from __future__ import annotations

import json
import math
import os
import time

import numpy as np
import pandas as pd
import pytest
from labelled import EMOTIONS, RATING, SENTIMENT, YES, split
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_lmf.data import load
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import evaluate
from keras_lmf.evaluation.protocols import protocols
from keras_lmf.target import Target


def test_outputs_by_name_and_both_shapes_of_values() -> None:
    y, p = np.array([1.0, -2.0, 0.5]), np.array([0.5, -1.0, 1.0], "float32")
    expected = evaluate(p, split(y, SENTIMENT), resamples=20).table
    for predictions in (p[:, None], {"sentiment": p[:, None], "other": np.zeros(3)}):
        pd.testing.assert_frame_equal(
            evaluate(predictions, split(y, SENTIMENT), resamples=20).table, expected
        )


def test_class_floor_is_the_majority_of_train() -> None:
    y = np.array([0, 1, 1, 2, 3, 3])
    table = evaluate(
        np.eye(4)[y], split(y, EMOTIONS), train_labels=np.array([1, 1, 0, 3, 1]), resamples=0
    ).table
    assert table.loc["war", "floor"] == pytest.approx(2 / 6)
    assert table.loc["uar", "floor"] == pytest.approx(1 / 4)
    assert table.loc["f1_happy", "floor"] == pytest.approx(4 / 8)
    assert table.loc["f1_sad", "floor"] == 0.0
    assert (table["value"].drop("cohen_kappa") == 1.0).all()


def test_regression_floors() -> None:
    y = np.array([-1.0, -2.0, 0.0, 3.0])
    train = np.array(
        [-1.0, -1.0, -0.6, 2.4, 0.0, 0.0, 0.2]
    )  # mean 0, mostly ≥ 0, mostly negative without zeros
    floor = evaluate(y, split(y, SENTIMENT), train_labels=train, resamples=0).table["floor"]
    assert floor["mae"] == pytest.approx(6 / 4)
    assert floor["rmse"] == pytest.approx(math.sqrt(14 / 4))
    assert floor["pearson"] == floor["cohen_kappa"] == floor["specificity"] == 0.0
    assert floor["acc2_nonneg"] == pytest.approx(2 / 4)
    assert floor["acc2_nonzero"] == pytest.approx(2 / 3)
    # Steps of train: −1 −1 −1 2 0 0 0; the smaller of the equals is −1, which is one row of y.
    assert floor["acc7"] == pytest.approx(1 / 4)
    assert evaluate(y, split(y, SENTIMENT), resamples=0).table["floor"].isna().all()


def test_the_floor_of_mostly_negative_labels_is_negative() -> None:
    y = np.array([-1.0, -2.0, 1.0, -0.5])
    train = np.array([-1.0, -1.0, 2.0])
    floor = evaluate(y, split(y, SENTIMENT), train_labels=train, resamples=0).table["floor"]
    assert floor["acc2_nonneg"] == floor["acc2_nonzero"] == pytest.approx(3 / 4)
    assert (floor["recall"], floor["specificity"]) == (0.0, 1.0)  # nothing is non-negative to it
    assert floor["f1_weighted"] == pytest.approx(3 / 4 * (6 / 7))  # of the negative: 2 · 3 / (4 + 3)


def test_the_floors_of_steps_and_of_labels_without_zeros_are_their_own() -> None:
    def floors(y: list[float], train: list[float]) -> pd.Series:
        rows = split(np.array(y), SENTIMENT)
        return evaluate(np.array(y), rows, train_labels=np.array(train), resamples=0).table["floor"]

    ends = floors([-3.0, -3.0, -2.0, 2.0], [-3.0, -3.0, 0.0, 2.0])
    assert (ends["acc7"], ends["acc5"]) == (2 / 4, 3 / 4)  # the steps are −3 of seven, −2 of five
    assert floors([1.0, 2.0, -1.0], [2.0, 2.0, 0.0, 0.0, 0.0, -1.0])["acc2_nonzero"] == pytest.approx(2 / 3)


def test_interval_is_the_binomial_one_and_repeats_with_the_seed() -> None:
    n, accuracy = 400, 0.7
    y = np.zeros(n, int)
    p = (np.arange(n) >= accuracy * n).astype(int)
    start = time.process_time()
    table = evaluate(np.eye(2)[p], split(y, YES), seed=1).table
    assert time.process_time() - start < 8
    half = 1.96 * math.sqrt(accuracy * (1 - accuracy) / n)  # .045
    assert table.loc["war", "low"] == pytest.approx(accuracy - half, abs=0.01)
    assert table.loc["war", "high"] == pytest.approx(accuracy + half, abs=0.01)
    pd.testing.assert_frame_equal(evaluate(np.eye(2)[p], split(y, YES), seed=1).table, table)
    assert not evaluate(np.eye(2)[p], split(y, YES), seed=2).table.equals(table)
    none = evaluate(np.eye(2)[p], split(y, YES), resamples=0).table
    assert none[["low", "high"]].isna().all(axis=None)
    assert (none["value"] == table["value"]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_prediction_that_is_not_finite_names_row_and_id(value: float) -> None:
    logits = np.zeros((5, 4))
    logits[3, 2] = value
    with pytest.raises(LMFError, match=r"row 3 \(id 'clip3'\) of split 'test' is not finite.*1 of 5 rows"):
        evaluate(logits, split([0] * 5, EMOTIONS))
    with pytest.raises(LMFError, match=r"'sentiment' in row 1 \(id 'clip1'\)"):
        evaluate({"sentiment": np.array([0.0, value])}, split([0.0, 1.0], SENTIMENT))


@pytest.mark.parametrize(
    ("predictions", "labels", "target", "options", "words"),
    [
        (np.zeros((5, 3)), [0] * 5, EMOTIONS, {}, r"must have shape \(5, 4\).*a logit per class.*\(5, 3\)"),
        (np.zeros((4, 4)), [0] * 5, EMOTIONS, {}, r"must have shape \(5, 4\).*Received \(4, 4\)"),
        (np.zeros(5), [0] * 5, EMOTIONS, {}, r"must have shape \(5, 4\).*Received \(5,\)"),
        (np.zeros((1, 5)), [0.0] * 5, SENTIMENT, {}, r"must have shape \(5, 1\).*one value"),
        (
            {"mood": np.zeros(5)},
            [0.0] * 5,
            SENTIMENT,
            {},
            "target 'sentiment'; the outputs received are: mood",
        ),
        (["a", "b"], [0.0] * 2, SENTIMENT, {}, "not an array of numbers"),
        (np.zeros(0), np.zeros(0), SENTIMENT, {}, "one or more rows"),
        (np.zeros(2), [0.0] * 2, SENTIMENT, {"resamples": -1}, "resamples must be 0 or more, received -1"),
        (np.zeros(2), [0.0] * 2, SENTIMENT, {"train_labels": []}, "train_labels must be one or more"),
        (
            np.zeros(2),
            [0.0] * 2,
            SENTIMENT,
            {"train_labels": [0, np.nan]},
            "finite numbers, received nan in row 1",
        ),
        (
            np.zeros((1, 4)),
            [1],
            EMOTIONS,
            {"train_labels": [0, 4]},
            "class integers 0 … 3, received 4 in row 1",
        ),
        (np.zeros((1, 4)), [-1], EMOTIONS, {}, "labels of split 'test' must be class integers"),
    ],
)
def test_wrong_input_is_one_clear_error(predictions, labels, target, options, words) -> None:
    with pytest.raises(LMFError, match=words):
        evaluate(predictions, split(labels, target), **options)


def test_class_named_like_a_protocol_is_refused() -> None:
    with pytest.raises(LMFError, match="'macro' is taken by the protocol 'f1_macro'"):
        protocols(Target(name="style", classes=("macro", "micro")))


def test_report_is_printed_and_saved(tmp_path) -> None:
    y = np.array([0, 1, 2, 2])
    report = evaluate(np.eye(4)[[0, 1, 2, 0]], split(y, EMOTIONS), resamples=50, seed=4)
    lines = str(report).splitlines()
    assert lines[0].startswith("`emotion` (4 classes) on `test`, 4 rows")
    accuracy = next(line for line in lines if line.startswith("| accuracy"))
    assert [cell.strip() for cell in accuracy.split("|")[2:6]][::3] == ["0.750", "–"]  # value, and no floor

    assert report.save(tmp_path / "new" / "folder") == tmp_path / "new" / "folder"
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "report.csv",
        "report.json",
        "report.png",
    ]
    table = pd.read_csv(tmp_path / "new/folder/report.csv", index_col="protocol")
    assert list(table) == ["value", "low", "high", "floor"]
    assert table["value"].to_dict() == report.metrics
    facts = json.loads((tmp_path / "new/folder/report.json").read_text(encoding="utf-8"))
    assert facts["metrics"]["war"]["value"] == 0.75
    assert facts["metrics"]["war"]["floor"] is None
    assert facts["target"] == {"name": "emotion", "classes": list(EMOTIONS.classes)}
    assert (facts["rows"], facts["resamples"], facts["seed"], facts["split"]) == (4, 50, 4, "test")


def test_interval_is_scipys_percentile_bootstrap() -> None:
    random = np.random.default_rng(0)
    y = random.uniform(-3, 3, size=200)
    p = 0.5 * y + random.normal(size=200)
    table = evaluate(p, split(y, SENTIMENT), resamples=1000).table
    statistics = {
        "mae": lambda a, b: np.mean(np.abs(a - b)),
        "pearson": lambda a, b: np.corrcoef(a, b)[0, 1],
        "acc2_nonneg": lambda a, b: np.mean((a >= 0) == (b >= 0)),
    }
    options = {"n_resamples": 1000, "paired": True, "vectorized": False, "method": "percentile"}
    for name, statistic in statistics.items():
        theirs = stats.bootstrap((y, p), statistic, rng=np.random.default_rng(7), **options)
        low, high = theirs.confidence_interval
        assert table.loc[name, ["low", "high"]].to_list() == pytest.approx(
            [low, high], abs=0.12 * (high - low)
        )


@pytest.mark.slow
def test_interval_covers_the_true_value_95_times_in_100() -> None:
    random = np.random.default_rng(3)
    truth, hits = math.sqrt(2 / math.pi), []  # the mean of |N(0, 1)|
    for trial in range(200):
        y = random.uniform(1, 7, size=80)
        p = y + random.normal(size=80)
        row = evaluate(p, split(y, RATING), resamples=100, seed=trial).table.loc["mae"]
        hits.append(row["low"] <= truth <= row["high"])
    assert 0.89 <= np.mean(hits) <= 0.98


@pytest.mark.parametrize(
    ("predictions", "labels", "target", "options", "words"),
    [
        (None, [0, 1], EMOTIONS, {}, "'emotion'"),
        ({}, [0, 1], EMOTIONS, {}, "received are: none"),
        ([[0.0] * 4, [0.0]], [0, 1], EMOTIONS, {}, "not an array of numbers"),
        ([10**400, 0], [0.0, 1.0], SENTIMENT, {}, "not an array of numbers"),
        ([0.0, None], [0.0, 1.0], SENTIMENT, {}, "row 1"),
        (np.zeros((2, 4)), [0, 0.5], EMOTIONS, {}, "received 0.5 in row 1"),
        (np.zeros((2, 4)), [0, np.nan], EMOTIONS, {}, "received nan in row 1"),
        (np.zeros((2, 4)), np.eye(2), EMOTIONS, {}, r"one label, received shape \(2, 2\)"),
        (np.zeros((2, 4)), ["a", "b"], EMOTIONS, {}, "labels of split 'test' are not an array"),
        (np.zeros((2, 4)), [0, 1], EMOTIONS, {"resamples": 2.5}, "resamples must be 0 or more, received 2.5"),
        (np.zeros((2, 4)), [0, 1], EMOTIONS, {"seed": -1}, "seed must be 0 or more, received -1"),
        (np.zeros((2, 4)), [0, 1], EMOTIONS, {"train_labels": 0}, "train_labels"),
    ],
)
def test_odd_input_is_no_other_traceback(predictions, labels, target, options, words) -> None:
    with pytest.raises(LMFError, match=words):
        evaluate(predictions, split(labels, target), **{"resamples": 5} | options)


def test_failing_save_leaves_the_old_files(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(np.array([0.0, 1.0]), split([0.0, 1.0], SENTIMENT), resamples=0).save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(table: pd.DataFrame, path) -> None:
        path.write_text("half a fi")
        raise OSError("no space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(OSError, match="no space left"):
        evaluate(np.array([5.0, 1.0]), split([0.0, 1.0], SENTIMENT), resamples=0).save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.skipif("KERAS_LMF_DATA" not in os.environ, reason="KERAS_LMF_DATA is not set")
def test_ridge_on_mosi_gives_the_known_baseline() -> None:
    data = load("cmu_mosi")
    x = {name: np.concatenate(list(data[name].inputs.values()), axis=1) for name in ("train", "test")}
    model = make_pipeline(StandardScaler(), Ridge(1000)).fit(x["train"], data["train"].labels)
    got = evaluate(model.predict(x["test"]), data["test"], resamples=0).metrics
    known = {
        "mae": 0.965,
        "pearson": 0.625,
        "acc7": 0.307,
        "acc2_nonneg": 0.765,
    }  # published with the features
    assert {name: got[name] for name in known} == pytest.approx(known, abs=1e-3)
