"""Protocols, reports and summaries against scikit-learn and hand-worked numbers."""

from __future__ import annotations

import json
import math
import os
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_lmf.data import load
from keras_lmf.data.dataset import Split
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import evaluate, paired_difference, summarise
from keras_lmf.evaluation.protocols import protocols
from keras_lmf.target import Target

EMOTIONS = Target(name="emotion", classes=("neutral", "happy", "sad", "angry"))
YES = Target(name="yes", classes=("no", "yes"))
SENTIMENT = Target(name="sentiment", range=(-3, 3))
RATING = Target(name="rating", range=(1, 7))


def split(labels, target: Target) -> Split:
    rows = np.array([f"clip{i}" for i in range(len(labels))])
    return Split("test", {}, {}, np.asarray(labels), rows, rows, target)


def scores(target: Target, y, p) -> dict[str, float]:
    """Every protocol; p are predicted classes or values."""
    predictions = np.eye(target.size)[np.asarray(p)] if target.classes else np.asarray(p, float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no 0/0 is left to numpy
        return evaluate(predictions, split(y, target), resamples=0).metrics


def of_classes(y, p, size: int) -> dict[str, float]:
    """scikit-learn's numbers; NaN (undefined) classes are left out of a mean."""
    counts = sk.multilabel_confusion_matrix(y, p, labels=range(size))
    specificity = counts[:, 0, 0] / np.maximum(counts[:, 0].sum(1), 1)
    options = {"labels": range(size), "zero_division": np.nan}
    two = size == 2
    return {
        "war": sk.accuracy_score(y, p),
        "uar": sk.recall_score(y, p, average="macro", **options),
        "f1_macro": sk.f1_score(y, p, average="macro", **options),
        "f1_weighted": sk.f1_score(y, p, average="weighted", **options),
        "cohen_kappa": sk.cohen_kappa_score(y, p),
        "recall": sk.recall_score(y, p) if two else sk.recall_score(y, p, average="macro", **options),
        "specificity": specificity[1] if two else specificity.mean(),
    } | ({"f1_binary": sk.f1_score(y, p)} if two else {})


@pytest.mark.parametrize("present", [4, 3], ids=["all classes", "an empty class"])
def test_class_protocols_equal_scikit_learn(present: int) -> None:
    random = np.random.default_rng(present)
    y = random.integers(present, size=200)
    p = np.where(random.random(200) < 0.6, y, random.integers(present, size=200))
    expected = of_classes(y, p, 4)
    per_class = sk.f1_score(y, p, labels=range(4), average=None, zero_division=0.0)
    expected |= {f"f1_{name}": value for name, value in zip(EMOTIONS.classes, per_class)}
    assert scores(EMOTIONS, y, p) == pytest.approx(expected)
    assert expected["uar"] == pytest.approx(sk.balanced_accuracy_score(y, p))
    assert expected["f1_macro"] == pytest.approx(sk.f1_score(y, p, average="macro"))


def test_two_class_protocols_equal_scikit_learn() -> None:
    random = np.random.default_rng(0)
    y, p = random.integers(2, size=100), random.integers(2, size=100)
    f1_no, f1_yes = sk.f1_score(y, p, average=None)
    assert scores(YES, y, p) == pytest.approx(of_classes(y, p, 2) | {"f1_no": f1_no, "f1_yes": f1_yes})


def test_regression_protocols_equal_scikit_learn() -> None:
    random = np.random.default_rng(3)
    y = np.round(random.normal(scale=1.5, size=300) * 5).clip(-15, 15) / 5  # MOSI's steps of 0.2, with zeros
    p = 0.7 * y + random.normal(size=300)
    assert (y == 0).any()
    some = y != 0
    cov = np.cov(y, p, bias=True)
    expected = {
        "mae": sk.mean_absolute_error(y, p),
        "rmse": sk.root_mean_squared_error(y, p),
        "pearson": np.corrcoef(y, p)[0, 1],
        "concordance": 2 * cov[0, 1] / (cov[0, 0] + cov[1, 1] + (y.mean() - p.mean()) ** 2),
        "acc2_nonneg": sk.accuracy_score(y >= 0, p >= 0),
        "acc2_nonzero": sk.accuracy_score(y[some] > 0, p[some] > 0),
        "acc5": sk.accuracy_score(y.clip(-2, 2).round().astype(int), p.clip(-2, 2).round().astype(int)),
        "acc7": sk.accuracy_score(y.clip(-3, 3).round().astype(int), p.clip(-3, 3).round().astype(int)),
    }
    signs = of_classes((y >= 0).astype(int), (p >= 0).astype(int), 2)
    names = ("f1_weighted", "f1_macro", "f1_binary", "recall", "specificity", "cohen_kappa")
    assert scores(SENTIMENT, y, p) == pytest.approx(expected | {name: signs[name] for name in names})
    # A range on one side of zero has no signs.
    assert set(scores(RATING, 4 + y, 4 + p)) == {"mae", "rmse", "pearson", "concordance"}


def test_ties_at_zero_by_hand() -> None:
    y = [0.0, 0.0, 1.0, -1.0, 2.0]
    p = [0.0, -0.1, 0.0, 0.0, 3.0]
    got = scores(SENTIMENT, y, p)
    assert got["acc2_nonneg"] == pytest.approx(3 / 5)  # 0 is non-negative on both sides: rows 0, 2, 4
    assert got["acc2_nonzero"] == pytest.approx(
        2 / 3
    )  # rows 2, 3, 4; a prediction of 0 is negative: row 2 wrong
    assert got["specificity"] == 0.0  # the one negative, row 3, is taken for non-negative
    assert got["recall"] == pytest.approx(3 / 4)


def test_steps_round_halves_to_even_and_clip_by_hand() -> None:
    got = scores(SENTIMENT, [0.5, 1.5, 2.4, -3.0, 2.6], [0.0, 2.4, 9.0, -2.4, 3.2])
    # acc7 steps: y 0 2 2 −3 3, p 0 2 3 −2 3; acc5: y 0 2 2 −2 2, p 0 2 2 −2 2.
    assert got["acc7"] == pytest.approx(3 / 5)
    assert got["acc5"] == 1.0


def test_all_one_class_predictions_by_hand() -> None:
    got = scores(EMOTIONS, [0, 0, 0, 1, 1, 2], [0] * 6)  # "angry" is empty
    assert got["war"] == pytest.approx(3 / 6)
    assert got["uar"] == got["recall"] == pytest.approx(1 / 3)
    assert got["f1_neutral"] == pytest.approx(6 / 9)
    assert got["f1_macro"] == pytest.approx((6 / 9) / 3)
    assert got["f1_weighted"] == pytest.approx(6 / 9 * 3 / 6)
    assert got["f1_angry"] == got["f1_happy"] == got["cohen_kappa"] == 0.0
    assert got["specificity"] == pytest.approx((0 + 1 + 1 + 1) / 4)


def test_undefined_values_are_zero() -> None:
    constant = scores(SENTIMENT, [0.1] * 7, [0.1] * 7)  # 0.1's mean is not 0.1 exactly
    assert constant["pearson"] == constant["concordance"] == constant["cohen_kappa"] == 0.0
    assert constant["specificity"] == 0.0  # no negatives
    assert scores(SENTIMENT, [0.0, 0.0], [1.0, -1.0])["acc2_nonzero"] == 0.0
    assert scores(SENTIMENT, [-1.0, 2.0, 0.5], [0.1] * 3)["pearson"] == 0.0
    assert scores(EMOTIONS, [2, 2], [2, 2])["cohen_kappa"] == 0.0
    assert scores(EMOTIONS, [2, 2], [2, 2])["f1_macro"] == 1.0


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


def test_interval_is_the_binomial_one_and_repeats_with_the_seed() -> None:
    n, accuracy = 400, 0.7
    y = np.zeros(n, int)
    p = (np.arange(n) >= accuracy * n).astype(int)
    start = time.perf_counter()
    table = evaluate(np.eye(2)[p], split(y, YES), seed=1).table
    assert time.perf_counter() - start < 8
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
    war = next(line for line in lines if line.startswith("| war"))
    assert [cell.strip() for cell in war.split("|")[2:6]][::3] == ["0.750", "–"]  # value, and no floor

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


def test_eight_classes_equal_scikit_learn() -> None:
    random = np.random.default_rng(8)
    target = Target(name="emotion", classes=tuple("abcdefgh"))
    y, p = random.integers(8, size=(2, 300))
    each = {f"f1_{name}": v for name, v in zip("abcdefgh", sk.f1_score(y, p, average=None))}
    assert scores(target, y, p) == pytest.approx(of_classes(y, p, 8) | each)


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


def test_interval_covers_the_true_value_95_times_in_100() -> None:
    random = np.random.default_rng(3)
    truth, hits = math.sqrt(2 / math.pi), []  # the mean of |N(0, 1)|
    for trial in range(200):
        y = random.uniform(1, 7, size=80)
        p = y + random.normal(size=80)
        row = evaluate(p, split(y, RATING), resamples=100, seed=trial).table.loc["mae"]
        hits.append(row["low"] <= truth <= row["high"])
    assert 0.89 <= np.mean(hits) <= 0.98


def test_extremes_of_float32_give_finite_numbers() -> None:
    largest = float(np.finfo("float32").max)
    assert scores(SENTIMENT, [1.0, 2.0], [-largest, largest])["pearson"] == pytest.approx(1)
    assert scores(SENTIMENT, [1.0, 2.0, 3.0], [0, 1e-200, 2e-200])["pearson"] == pytest.approx(1)
    with pytest.raises(LMFError, match=r"row 1 \(id 'clip1'\)"):
        evaluate(np.array([0.0, 1e300]), split([0.0, 1.0], SENTIMENT))


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
