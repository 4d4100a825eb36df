"""Recipes of fusions of answers: what they build and refuse, without a training."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from parts import INPUTS, WORDS, logits, recipe
from scipy.special import log_softmax, softmax

import keras_lmf as klmf
from keras_lmf.backend import nested_layers
from keras_lmf.data import Dataset
from keras_lmf.data.corpora import synthetic
from keras_lmf.errors import LMFError
from keras_lmf.recipe import Recipe
from keras_lmf.training import train
from keras_lmf.training.parts import fitted_joint


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fusion": {"rule": "inverse_variance"}}, "inverse_variance"),
        ({"fusion": {"rules": [{"when": {"vioce": "sad"}, "then": "sad"}]}}, "voice"),
        ({"fusion": {"rules": [{"when": {"voice": "sda"}, "then": "sad"}]}}, "sad"),
        ({"fusion": {"rules": [{"when": {}, "then": "sad"}]}}, "when"),
        (
            {
                "fusion": {"rule": "vote"},
                "training": {"loss": "mse"},
                "target": {"classes": None, "range": [0, 1]},
            },
            "vote",
        ),
        (
            {
                "fusion": {"importance": "equal"},
                "training": {"loss": "mse"},
                "target": {"classes": None, "range": [0, 1]},
            },
            "importance",
        ),
    ],
)
def test_words_that_do_not_fit_are_refused(changes, says):
    with pytest.raises(LMFError, match=says):
        recipe({"name": "decision"}).replace(**changes)


def test_one_input_is_nothing_to_join():
    with pytest.raises(LMFError, match="two inputs"):
        recipe({"name": "stacking"}).select(["voice"])


@pytest.mark.parametrize("word", ["decision", "stacking"])
def test_parts_of_balanced_classes_are_joined_so(word):
    """The answers of parts that hold all classes to be as frequent: the joint answer without evidence is even."""
    random = np.random.default_rng(0)
    labels = random.choice(3, size=3000, p=[0.7, 0.2, 0.1])
    means = {name: random.normal(size=(3, 2)) for name in INPUTS}
    values = {name: means[name][labels] + random.normal(size=(3000, 2)) for name in INPUTS}
    scores = {name: -((values[name][:, None] - means[name]) ** 2).sum(axis=2) / 2 for name in INPUTS}
    words = recipe(WORDS[word], training={"class_weights": "balanced"})
    layer = fitted_joint(words, {name: rows.copy() for name, rows in scores.items()}, labels)
    given = {name: rows.astype("float32") for name, rows in scores.items()}
    found = softmax(np.asarray(layer(given, presence=np.ones((3000, 2), "float32"))), axis=1)
    even = softmax(sum(scores.values()), axis=1)
    assert np.abs(found - even).mean() < 0.04
    assert np.abs(found.mean(axis=0) - even.mean(axis=0)).max() < 0.02


def test_stacking_needs_two_groups(tmp_path):
    data = synthetic.load(samples=20)
    one = Dataset(**{**vars(data), "groups": data.splits})
    words = recipe(WORDS["stacking"]).replace(target={"name": "emotion", "classes": ["calm", "excited"]})
    words = Recipe(
        **{
            **dict(words),
            "inputs": {name: {"shape": [8], "backbone": {"name": "mlp"}} for name in data.inputs},
        }
    )
    with pytest.raises(LMFError, match="two groups"):
        train(words, one, tmp_path / "run")


def test_a_vote_of_equals_is_the_majority_whoever_was_right_and_however_frequent_a_class_is():
    random = np.random.default_rng(0)
    labels = random.choice(3, size=300, p=[0.96, 0.02, 0.02])
    said = {name: random.integers(0, 3, 300) for name in ("voice", "face")} | {"fused": labels}
    words = recipe({"name": "hybrid", "rule": "vote", "importance": "equal"})
    layer = fitted_joint(words, klmf.decisions.votes(said, 3), labels)
    found = np.asarray(layer({name: 9 * np.eye(3, dtype="float32")[rows] for name, rows in said.items()}))
    votes = np.stack(list(said.values()))
    counts = (votes[:, :, None] == np.arange(3)).sum(axis=0)
    np.testing.assert_array_equal(found.argmax(axis=1), counts.argmax(axis=1))  # of equal ones the first
    assert (counts.argmax(axis=1) != labels).sum() > 20
    klmf.build(words).get_layer("emotion").set_weights(layer.get_weights())


def test_a_hybrid_of_steps_needs_backbones_that_keep_them():
    with pytest.raises(LMFError, match="takes steps"):
        recipe({"name": "hybrid", "features": {"name": "step_by_step"}})


def test_a_speaker_can_be_enrolled_in_all_parts_that_hear():
    model = klmf.build(recipe(WORDS["hybrid"]))
    klmf.models.set_standardization(model, {"face": (np.arange(4), np.full(4, 9.0))})
    found = {
        name: sorted(
            np.asarray(layer.adapt_mean).tolist()
            for layer in nested_layers(model.get_layer(f"{name}_part"))
            if isinstance(layer, keras.layers.Normalization)
        )
        for name in ("voice", "face", "fused")
    }
    assert found == {"voice": [[0] * 3], "face": [[0, 1, 2, 3]], "fused": [[0] * 3, [0, 1, 2, 3]]}


def test_a_voice_with_a_front_end_is_a_part(tmp_path):
    """Front ends stand before the parts, which take their features; an augmentation is of those who hear."""
    sound = {
        "shape": [1600],
        "front_end": {"name": "log_mel", "bands": 4},
        "backbone": {"name": "gru", "units": 3},
    }
    words = recipe({"name": "hybrid"}, training={"augmentation": {"copies": 2}}, inputs={"voice": sound})
    model = klmf.build(words)
    assert [layer.name for layer in model.layers if layer.name.endswith(("_front_end", "_part"))]
    assert set(words.parts()) == {"voice", "face", "fused"}
    assert words.parts()["face"].training.augmentation is None
    random = np.random.default_rng(0)
    inputs = {"voice": random.uniform(-1, 1, (3, 1600)), "face": random.normal(size=(3, 4))}
    inputs = {name: values.astype("float32") for name, values in inputs.items()}
    features = model.get_layer("voice_front_end")(inputs["voice"])
    prior, face = np.log([1 / 3] * 3), keras.ops.convert_to_tensor(inputs["face"])
    parts = {
        "voice": model.get_layer("voice_part")({"voice": features})["emotion"],
        "face": model.get_layer("face_part")({"face": face})["emotion"],
        "fused": model.get_layer("fused_part")({"voice": features, "face": face})["emotion"],
    }
    expected = sum(log_softmax(np.asarray(rows), axis=1) - prior for rows in parts.values())
    np.testing.assert_allclose(logits(model, inputs), log_softmax(expected, axis=1), rtol=1e-3, atol=1e-5)
    model.save_weights(tmp_path / "model.weights.h5")
    again = klmf.build(words)
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(logits(again, inputs), logits(model, inputs))
