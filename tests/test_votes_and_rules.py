"""Votes and rules that join decisions, against counting and Bayes's rule."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from keras_lmf import decisions
from keras_lmf.models import decision_fusion


# -- votes -----------------------------------------------------------------------------------------------------
def test_a_vote_is_the_most_common_answer_whoever_is_absent():
    random = np.random.default_rng(0)
    named = {name: random.integers(-1, 3, 200) for name in ("voice", "face", "text")}
    found = decision_fusion(decisions.votes(named, 3), "vote")
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, atol=1e-5)
    for row, answer in enumerate(found.argmax(axis=1)):
        counts = Counter(int(column[row]) for column in named.values() if column[row] >= 0)
        most = max(counts.values(), default=0)
        assert answer == min((word for word in counts if counts[word] == most), default=0)


def test_weights_outvote_numbers():
    named = {"voice": np.array([0, 0]), "face": np.array([1, 1]), "text": np.array([1, -1])}
    importance = {"text": 0.5, "voice": 0.9, "face": 0.5}
    found = decision_fusion(decisions.votes(named, 2), "vote", importance=importance)
    np.testing.assert_array_equal(found.argmax(axis=1), [1, 0])


def test_voters_of_known_accuracy_give_the_posterior():
    """Independent voters who are right at a rate and else wrong evenly: Bayes's rule on what they say."""
    random = np.random.default_rng(3)
    labels, accuracy = random.integers(0, 4, 8000), {"good": 0.8, "fair": 0.6, "poor": 0.4}
    named = {
        name: np.where(
            random.random(len(labels)) < rate, labels, (labels + random.integers(1, 4, len(labels))) % 4
        )
        for name, rate in accuracy.items()
    }
    settings = decisions.fit(decisions.votes(named, 4), labels, "vote")
    found = np.exp(decision_fusion(decisions.votes(named, 4), **settings))[:50]
    rates = np.array(list(accuracy.values()))[:, None, None]
    says = np.stack(list(named.values()))[:, :50, None] == np.arange(4)
    expected = np.where(says, rates, (1 - rates) / 3).prod(axis=0)
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=0.03)


# -- rules, numbers, classifiers -------------------------------------------------------------------------------
def test_rules_are_read_from_the_top_and_the_rule_answers_where_none_holds():
    rules = [
        {"when": {"voice": "sad", "face": "happy"}, "then": "neutral"},
        {"when": {"voice": "sad"}, "then": "sad"},
    ]
    said = decisions.votes({"voice": np.array([1, 1, 2, -1]), "face": np.array([2, 0, 0, 2])}, 3)
    names = ["neutral", "sad", "happy"]
    found = np.exp(decision_fusion(said, rules=rules, classes=names, certainty=[0.8, 0.6], importance=[0, 1]))
    np.testing.assert_array_equal(found.argmax(axis=1), [0, 1, 0, 2])
    np.testing.assert_allclose(found.max(axis=1)[:2], [0.8, 0.6], rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    without = np.exp(decision_fusion(said, importance=[0, 1]))
    np.testing.assert_allclose(found[2:], without[2:], rtol=1e-5)


def test_a_line_is_nine_tenths_certain_where_nothing_else_is_said():
    said = decisions.votes({"voice": np.array([1, 0]), "face": np.array([2, 0])}, 3)
    rules = [{"when": {"voice": "sad"}, "then": "sad"}]
    found = np.exp(decision_fusion(said, rules=rules, classes=["neutral", "sad", "happy"]))
    assert found[0, 1] == pytest.approx(0.9, rel=1e-5)


def test_a_line_is_as_certain_as_it_was_right():
    labels = np.array([0] * 8 + [1] * 2 + [2] * 3)
    said = decisions.votes({"voice": np.array([0] * 10 + [2] * 3), "face": np.zeros(13, int)}, 3)
    rules = [{"when": {"voice": "a"}, "then": "a"}]
    settings = decisions.fit(said, labels, rules=rules, classes=["a", "b", "c"])
    assert settings["certainty"] == [pytest.approx(9 / 12)]
    assert np.exp(decision_fusion(said, **settings))[0, 0] == pytest.approx(9 / 12, rel=1e-5)
