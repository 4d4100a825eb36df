"""What fits a rule that joins decisions, each against another way to the same."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.svm import SVC

from keras_lmf import decisions
from keras_lmf.decisions import smoothed
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.calibration import expected_calibration_error
from keras_lmf.models import decision_fusion

CLASSES = 3


def experts(rows: int = 3000, seed: int = 0, overconfidence: float = 2.0) -> tuple[dict, np.ndarray]:
    """Two independent measurements of a class of unequal frequency; the logits of Bayes's rule on each, too sure."""
    random = np.random.default_rng(seed)
    prior = np.array([0.5, 0.3, 0.2])
    labels = random.choice(CLASSES, size=rows, p=prior)
    scores = {}
    for part, spread in {"voice": 1.0, "face": 1.5}.items():
        means = np.random.default_rng(len(part)).normal(size=(CLASSES, 2), scale=1.5)
        values = means[labels] + random.normal(size=(rows, 2), scale=spread)
        distances = ((values[:, None] - means) ** 2).sum(axis=2)
        scores[part] = overconfidence * (np.log(prior) - distances / (2 * spread**2))
    return scores, labels


def bayes(scores: dict, labels: np.ndarray) -> np.ndarray:
    """The posterior of both measurements."""
    return softmax(sum(rows / 2.0 for rows in scores.values()) - np.log([0.5, 0.3, 0.2]), axis=1)


def with_gaps(scores: dict, seed: int = 5) -> dict:
    random = np.random.default_rng(seed)
    return {
        part: np.where(random.random(len(rows))[:, None] < 0.3, np.nan, rows) for part, rows in scores.items()
    }


# -- the rules that are fitted ---------------------------------------------------------------------------------
def test_independent_experts_are_told_to_count_fully_and_answer_as_bayes_does():
    settings = decisions.fit(*experts())
    assert settings["temperatures"] == pytest.approx({"voice": 2.0, "face": 2.0}, rel=0.15)
    assert settings["importance"] == pytest.approx({"voice": 1.0, "face": 1.0}, abs=0.15)
    np.testing.assert_allclose(settings["joint_temperatures"], 1, atol=0.1)
    scores, labels = experts(seed=1)
    found = np.exp(decision_fusion(scores, **settings))
    assert np.abs(found - bayes(scores, labels)).mean() < 0.02


def test_experts_who_copy_each_other_are_not_counted_twice():
    scores, labels = experts()
    twins = {"voice": scores["voice"], "echo": scores["voice"]}
    unseen, known = experts(seed=1)
    unseen = {"voice": unseen["voice"], "echo": unseen["voice"]}
    both = np.exp(decision_fusion(unseen, **decisions.fit(twins, labels)))
    naive = np.exp(decision_fusion(unseen, prior=[0.5, 0.3, 0.2], temperatures=[2.0, 2.0]))
    assert expected_calibration_error(both / both.sum(axis=1, keepdims=True), known) < 0.04
    assert log_loss(known, both) < log_loss(known, naive) - 0.05


@pytest.mark.parametrize("rule", ["product", "sum", "vote"])
def test_who_counts_little_beside_another_still_answers_alone(rule):
    """A part that knows what both others know leaves them no say; where it is silent they have theirs."""
    scores, labels = experts()
    scores = {**scores, "fused": 2 * np.log(bayes(scores, labels))}
    settings = decisions.fit(scores, labels, rule)
    for part in ("voice", "face"):
        given = {name: rows if name == part else np.full_like(rows, np.nan) for name, rows in scores.items()}
        found = decision_fusion(given, **settings)
        right = [(rows.argmax(axis=1) == labels).mean() for rows in (found, scores[part])]
        assert right[0] == pytest.approx(right[1], abs=0.02)
    both = decision_fusion(scores, **settings)
    assert (both.argmax(axis=1) == labels).mean() > (scores["fused"].argmax(axis=1) == labels).mean() - 0.02


# A vote is as sure of any class, whichever these voters confuse.
@pytest.mark.parametrize(
    ("rule", "worst"), [("product", 0.045), ("sum", 0.045), ("maximum", 0.06), ("vote", 0.15)]
)
def test_every_subset_is_calibrated(rule, worst):
    scores, labels = experts()
    settings = decisions.fit(with_gaps(scores), labels, rule)
    scores, labels = experts(seed=1)
    for left in (["voice"], ["face"], ["voice", "face"]):
        given = {part: rows if part in left else np.full_like(rows, np.nan) for part, rows in scores.items()}
        found = np.exp(decision_fusion(given, **settings).astype(float))
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
        assert expected_calibration_error(found, labels) < worst, left
        majority = (labels == np.bincount(labels).argmax()).mean()
        assert (found.argmax(axis=1) == labels).mean() > majority
    none = decision_fusion({part: np.full_like(rows, np.nan) for part, rows in scores.items()}, **settings)
    np.testing.assert_allclose(np.exp(none), [settings["prior"]] * len(labels), atol=1e-5)


def test_the_importance_of_a_sum_is_the_most_likely():
    scores, labels = experts(400)
    settings = decisions.fit(scores, labels, "sum")
    own = np.stack(
        [
            softmax(rows / settings["temperatures"][part], axis=1)[np.arange(len(labels)), labels]
            for part, rows in scores.items()
        ]
    )
    shares = np.linspace(0, 1, 1001)
    likelihood = np.log(shares[:, None] * own[0] + (1 - shares[:, None]) * own[1]).sum(axis=1)
    assert settings["importance"]["voice"] / 2 == pytest.approx(shares[likelihood.argmax()], abs=0.005)


def test_the_importance_of_a_product_is_the_most_likely():
    scores, labels = experts(400)
    settings = decisions.fit(scores, labels, "product")
    prior = np.log(settings["prior"])
    logs = [log_softmax(rows / settings["temperatures"][part], axis=1) for part, rows in scores.items()]

    def loss(weights: np.ndarray) -> float:
        joint = log_softmax(prior + sum(w * (log - prior) for w, log in zip(weights, logs)), axis=1)
        return -joint[np.arange(len(labels)), labels].sum() + ((weights - 1) ** 2).sum() / 2

    best = minimize(loss, [0.5, 0.5], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}).x
    np.testing.assert_allclose(list(settings["importance"].values()), best, atol=1e-3)


def test_temperatures_that_are_given_are_those_that_importance_is_fitted_with():
    """Dividing the logits first, and by a temperature of 1 then, is the same."""
    scores, labels = experts(400)
    given = decisions.fit(scores, labels, temperatures={"voice": 4.0, "face": 0.5})
    divided = {"voice": scores["voice"] / 4, "face": scores["face"] / 0.5}
    expected = decisions.fit(divided, labels, temperatures=[1, 1])
    assert given["temperatures"] == {"voice": 4.0, "face": 0.5}
    assert given["importance"] == pytest.approx(expected["importance"], rel=1e-6)
    np.testing.assert_allclose(given["joint_temperatures"], expected["joint_temperatures"], rtol=1e-3)


def test_inverse_variance_has_the_least_error():
    random = np.random.default_rng(1)
    truth = random.normal(size=(50_000, 2)) + 1
    estimates = {
        name: truth + random.normal(scale=np.sqrt(variance), size=truth.shape)
        for name, variance in {"voice": [0.5, 3.0], "face": [2.0, 1.0]}.items()
    }
    settings = decisions.fit(estimates, truth, "inverse_variance")
    mean = decision_fusion(estimates, **settings)
    for k in range(2):
        errors = [
            ((s * estimates["voice"] + (1 - s) * estimates["face"] - truth)[:, k] ** 2).mean()
            for s in np.linspace(0, 1, 101)
        ]
        assert ((mean - truth)[:, k] ** 2).mean() == pytest.approx(min(errors), rel=0.01)
    gaps = {
        "voice": np.array([[1.0, 2.0], [np.nan] * 2, [np.nan] * 2]),
        "face": np.array([[1.0, 2.0]] * 2 + [[np.nan] * 2]),
    }
    np.testing.assert_allclose(
        decision_fusion(gaps, **settings), [[1, 2], [1, 2], truth.mean(axis=0)], rtol=1e-4
    )


def test_stacking_is_logistic_regression_and_ridge():
    scores, labels = experts(200)
    scores = with_gaps(scores)
    inputs = decisions.features(scores)
    theirs = LogisticRegression(max_iter=5000, tol=1e-8).fit(inputs, labels)
    settings = decisions.fit(scores, labels, "stacking")
    np.testing.assert_allclose(
        softmax(decision_fusion(scores, **settings), axis=1), theirs.predict_proba(inputs), atol=1e-4
    )
    values = np.random.default_rng(0).normal(size=(200, 2)) + inputs[:, :2]
    numbers = decision_fusion(scores, **decisions.fit(scores, values, "stacking") | {"units": 2})
    np.testing.assert_allclose(numbers, Ridge(1.0).fit(inputs, values).predict(inputs), atol=1e-4)


def test_a_classifier_joins_arrays():
    scores, labels = experts(300)
    labels = np.where(labels == 1, 0, labels)  # it never sees the class 1
    forest = RandomForestClassifier(20, random_state=0)
    settings = decisions.fit(scores, labels, forest)
    found = np.exp(decision_fusion(scores, **settings))
    same = RandomForestClassifier(20, random_state=0).fit(decisions.features(scores), labels)
    np.testing.assert_allclose(found[:, [0, 2]], same.predict_proba(decisions.features(scores)), atol=1e-6)
    assert found[:, 1].max() < 1e-6
    assert not hasattr(forest, "classes_")
    with pytest.raises(LMFError, match=r"decisions\.fit"):
        decision_fusion(scores, forest)


# -- what does not fit -----------------------------------------------------------------------------------------
TWO = {"voice": np.zeros((2, 3)), "face": np.zeros((2, 3))}
RULE = {"when": {"voice": "sad"}, "then": "sad"}


def classifier(labels: tuple = (0, 1)) -> LogisticRegression:
    return LogisticRegression().fit(decisions.features(TWO), labels)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: decisions.votes({"voice": np.array([3])}, 3), "voice"),
        (lambda: decision_fusion({"voice": np.zeros((2, 3)), "face": np.zeros((1, 3))}), "rows"),
        (lambda: decision_fusion({**TWO, "face": np.array([0, 1])}), "votes"),
        (lambda: decision_fusion({**TWO, "face": np.array([[np.nan, 0, 0]] * 2)}), "face"),
        (lambda: decision_fusion(TWO, "prodct"), "product"),
        (lambda: decision_fusion(TWO, priors=[1, 1, 1]), "prior"),
        (lambda: decision_fusion(TWO, "vote", importance={"voice": 1.0}), "face"),
        (lambda: decision_fusion(TWO, "vote", importance={"vioce": 1.0, "face": 1.0}), "voice"),
        (lambda: decision_fusion(TWO, presence={"voice": [1]}), "voice"),
        (lambda: decision_fusion(TWO, rules=[RULE]), "classes"),
        (lambda: decision_fusion(TWO, rules=[RULE], classes=["sda", "happy", "calm"]), "sda"),
        (lambda: decision_fusion(TWO, SVC()), "SVC|rule"),
        (lambda: decisions.fit(TWO, np.array([0.5, 1.0])), "integers"),
        (lambda: decisions.fit(TWO, np.array([0, 1, 2])), "rows"),
        (lambda: decisions.fit({**TWO, "face": np.full((2, 3), np.nan)}, np.array([0, 1])), "face"),
        (lambda: decisions.fit(TWO, np.array([0.0, 1.0]), "inverse_variance"), "shape"),
        (lambda: decision_fusion(TWO, classifier(), rules=[RULE]), "rules"),
        (lambda: decisions.fit(TWO, np.array([0, 1]), LogisticRegression(), priro=[1, 1, 1]), "priro"),
        (
            lambda: decision_fusion(TWO, rules=[{"wehn": {"voice": "sad"}, "then": "sad"}], classes=["sad"]),
            "when",
        ),
        (lambda: decisions.fit(TWO, np.array([0, 1]), prior=[0.5, 0.5]), "prior"),
        (lambda: decisions.fit(TWO, np.array([0, 1]), prior=[0.5, 0.5, 0.0]), "prior"),
        (lambda: decisions.fit(TWO, np.array([0, 1]), "stacking", prior=[0.5, 0.5]), "prior"),
        (lambda: decisions.fit(TWO, np.array([0.5, 1.0]), "stacking", prior=[0.5, 0.3, 0.2]), "prior"),
        (lambda: decisions.fit(TWO, np.full((2, 3), np.nan), "inverse_variance"), "finite"),
        (lambda: decisions.fit(TWO, np.array(["sad", "calm"]), LogisticRegression()), "[Ll]abels"),
        (lambda: decision_fusion(TWO, classifier(("sad", "calm"))), "sad"),
        (lambda: decision_fusion(TWO, classifier((0, 3))), "0 … 2"),
        (lambda: smoothed(np.zeros(3), np.array([0, 2, 1]), 1.0, 1.0), "times"),
        (lambda: smoothed(np.zeros(3), np.arange(3), 0.0, 1.0), "drift"),
    ],
)
def test_what_does_not_fit_is_refused(call, says):
    with pytest.raises(LMFError, match=says):
        call()
