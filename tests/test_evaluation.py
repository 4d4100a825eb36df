"""Protocols against scikit-learn and hand-worked numbers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn.metrics as sk
from labelled import EMOTIONS, RATING, SENTIMENT, YES, split

from keras_lmf.errors import LMFError
from keras_lmf.evaluation import evaluate
from keras_lmf.target import Target


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
    return {
        "war": sk.accuracy_score(y, p),
        "uar": sk.recall_score(y, p, average="macro", **options),
        "f1_macro": sk.f1_score(y, p, average="macro", **options),
        "f1_weighted": sk.f1_score(y, p, average="weighted", **options),
        "cohen_kappa": sk.cohen_kappa_score(y, p),
        "specificity": specificity[1] if size == 2 else specificity.mean(),
    } | ({"f1_binary": sk.f1_score(y, p), "recall": sk.recall_score(y, p)} if size == 2 else {})


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
    # A range on one side of zero has no signs, nor one that ends there.
    for target, shift in (
        (RATING, 4),
        (Target(name="share", range=(0, 9)), 4),
        (Target(name="loss", range=(-9, 0)), -4),
    ):
        assert set(scores(target, y + shift, p + shift)) == {"mae", "rmse", "pearson", "concordance"}


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
    assert got["uar"] == pytest.approx(1 / 3)
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


def test_the_specificity_of_a_class_without_negatives_is_left_out() -> None:
    got = scores(EMOTIONS, [0, 0, 0, 0], [0, 0, 1, 2])
    assert got["specificity"] == pytest.approx((3 / 4 + 3 / 4 + 1) / 3)  # of happy, sad and angry


def test_eight_classes_equal_scikit_learn() -> None:
    random = np.random.default_rng(8)
    target = Target(name="emotion", classes=tuple("abcdefgh"))
    y, p = random.integers(8, size=(2, 300))
    each = {f"f1_{name}": v for name, v in zip("abcdefgh", sk.f1_score(y, p, average=None))}
    assert scores(target, y, p) == pytest.approx(of_classes(y, p, 8) | each)


def test_extremes_of_float32_give_finite_numbers() -> None:
    largest = float(np.finfo("float32").max)
    assert scores(SENTIMENT, [1.0, 2.0], [-largest, largest])["pearson"] == pytest.approx(1)
    assert scores(SENTIMENT, [1.0, 2.0, 3.0], [0, 1e-200, 2e-200])["pearson"] == pytest.approx(1)
    with pytest.raises(LMFError, match=r"row 1 \(id 'clip1'\)"):
        evaluate(np.array([0.0, 1e300]), split([0.0, 1.0], SENTIMENT))
