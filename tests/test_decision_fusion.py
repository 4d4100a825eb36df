"""Decision fusion against its formulas in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from exporting import exported_here
from scipy.special import log_softmax, softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from word_recipes import recipe

import keras_lmf as klmf
from keras_lmf.errors import LMFError
from keras_lmf.layers import DecisionFusion
from keras_lmf.runtime import open_artifact
from keras_lmf.spec import attach

PRIOR = np.array([0.5, 0.2, 0.3])
IMPORTANCE = np.array([1.0, 0.5])
TEMPERATURES = np.array([1.0, 2.0])
JOINT = np.array([0.8, 1.5])


def answers() -> np.ndarray:
    """(modalities, rows, classes): logits."""
    return np.random.default_rng(0).normal(size=(2, 6, 3), scale=2).astype("float32")


def oracle(rule: str, logits: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Row by row, from the probabilities."""
    rows = []
    for row in range(logits.shape[1]):
        known = [m for m in range(len(logits)) if there[row, m]]
        if not known:
            rows.append(PRIOR)
            continue
        p = {m: softmax(logits[m, row] / TEMPERATURES[m]) for m in known}
        if rule == "product":
            weights = IMPORTANCE if len(known) > 1 else np.ones(2)  # alone, a modality counts fully
            joined = PRIOR * np.prod([(p[m] / PRIOR) ** weights[m] for m in known], axis=0)
        elif rule == "vote":
            votes = sum(IMPORTANCE[m] * (np.arange(3) == p[m].argmax()) for m in known)
            joined = PRIOR * np.exp(votes)
        elif rule == "sum":
            joined = sum(IMPORTANCE[m] * p[m] for m in known) / sum(IMPORTANCE[m] for m in known)
        else:
            joined = np.max([p[m] for m in known], axis=0)
        joined = (joined / joined.sum()) ** (1 / JOINT[len(known) - 1])
        rows.append(joined / joined.sum())
    return np.array(rows)


@pytest.mark.parametrize("rule", ["product", "sum", "maximum", "vote"])
def test_the_rules_are_their_formulas_whatever_is_missing(rule):
    logits = answers()
    there = np.array([[1, 1], [1, 1], [1, 0], [0, 1], [0, 0], [1, 1]])
    settings = {
        "prior": PRIOR.tolist(),
        "importance": IMPORTANCE.tolist(),
        "temperatures": TEMPERATURES.tolist(),
        "joint_temperatures": JOINT.tolist(),
    }
    expected = oracle(rule, logits, there)
    layer = DecisionFusion(rule, **settings)
    found = layer(list(logits), presence=there.astype("float32"))
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-4, atol=1e-6)
    # Of arrays, with a mask or with NaN in what is absent.
    scores = dict(zip(("voice", "face"), logits.astype(float)))
    gaps = {name: np.where(there[:, [m]], scores[name], np.nan) for m, name in enumerate(scores)}
    mask = {name: there[:, m] for m, name in enumerate(scores)}
    for given, presence in ((scores, mask), (gaps, None)):
        arrays = klmf.models.decision_fusion(given, rule, presence=presence, **settings)
        np.testing.assert_allclose(np.exp(arrays), expected, rtol=1e-4, atol=1e-6)


def test_estimates_are_weighted_by_their_precision_whatever_is_missing():
    values = np.random.default_rng(4).normal(size=(3, 50, 2))
    there = np.random.default_rng(5).integers(0, 2, size=(50, 3)).astype(bool)
    there[0] = False
    variances, fallback = np.array([[0.5, 1e-9], [2.0, 1.0], [1.0, 1e9]]), [0.3, -0.4]
    layer = klmf.layers.EstimateFusion(variances.tolist(), fallback=fallback)
    found = np.asarray(layer(list(values.astype("float32")), presence=there.astype("float32")))
    for row in range(50):
        expected = fallback
        if there[row].any():
            weights = 1 / variances[there[row]]
            expected = (weights * values[there[row], row]).sum(axis=0) / weights.sum(axis=0)
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-6)


def test_what_is_absent_may_be_anything():
    logits = answers()
    there = np.array([[1.0, 0.0]] * 6, "float32")
    layer = DecisionFusion()
    expected = np.asarray(layer(list(logits), presence=there))
    logits[1] = np.nan
    np.testing.assert_array_equal(layer(list(logits), presence=there), expected)


def test_a_product_of_independent_experts_is_the_posterior():
    """Two independent normal measurements of a class: Bayes's rule on both is the product of Bayes's rule on each."""
    random = np.random.default_rng(1)
    means = random.normal(size=(2, 3))
    values = random.normal(size=(2, 50))
    likelihoods = -0.5 * (values[:, :, None] - means[:, None]) ** 2
    each = log_softmax(likelihoods + np.log(PRIOR), axis=-1).astype("float32")
    both = log_softmax(likelihoods.sum(axis=0) + np.log(PRIOR), axis=-1)
    found = DecisionFusion("product", prior=PRIOR.tolist())(list(each))
    np.testing.assert_allclose(found, both, rtol=1e-4, atol=1e-4)


def test_importance_and_temperatures_train():
    """A modality of noise loses its importance."""
    random = np.random.default_rng(2)
    labels = random.integers(0, 3, 300)
    good = 3 * np.eye(3)[labels] + random.normal(size=(300, 3))
    bad = 3 * random.normal(size=(300, 3))
    layer = DecisionFusion()
    inputs = {"good": keras.Input((3,), name="good"), "bad": keras.Input((3,), name="bad")}
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.Adam(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit({"good": good, "bad": bad}, labels, epochs=20, verbose=0)
    good_importance, bad_importance = np.asarray(layer.scales)
    assert good_importance > 3 * abs(bad_importance)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rule": "sums"}, "sum"),
        ({"prior": [0.5, 0.5, 0.0]}, "prior"),
        ({"importance": [1.0, -1.0]}, "importance"),
        ({"temperatures": [1.0, float("nan")]}, "temperatures"),
        ({"prior": [0.5, 0.5]}, "3 numbers"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(settings, says):
    with pytest.raises(LMFError, match=says):
        DecisionFusion(**settings)(list(answers()))


# -- of models ------------------------------------------------------------------------------------------------
def two_models() -> dict[str, keras.Model]:
    def of(name: str, backbone: dict) -> keras.Model:
        return klmf.build(recipe({name: backbone}).replace(seed=len(name)))

    return {
        "voice": of("voice", {"shape": [6, 5], "backbone": {"name": "lstm", "units": 3}}),
        "face": of("face", {"shape": [4], "backbone": {"name": "mlp"}}),
    }


def test_a_model_of_models_answers_by_the_rule_and_is_saved_and_exported(tmp_path):
    parts = two_models()
    random = np.random.default_rng(3)
    rows = {
        "voice": random.normal(size=(4, 6, 5)).astype("float32"),
        "face": random.normal(size=(4, 4)).astype("float32"),
    }
    rows["face"][1] = 0
    model = klmf.models.decision_fusion(parts, prior=[0.4, 0.6])
    probabilities = {
        name: softmax(np.asarray(part({name: rows[name]})["emotion"]), axis=1) for name, part in parts.items()
    }
    prior = np.array([0.4, 0.6])
    expected = probabilities["voice"] * probabilities["face"] / prior
    expected[1] = probabilities["voice"][1]
    found = softmax(np.asarray(model(rows)["emotion"]), axis=1)
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), rtol=1e-4)

    model.save(tmp_path / "both.keras")
    loaded = keras.saving.load_model(tmp_path / "both.keras")
    np.testing.assert_allclose(loaded(rows)["emotion"], model(rows)["emotion"], rtol=1e-5)
    with exported_here():
        (file,) = klmf.export_model(model, tmp_path, ["tflite"])
    answers = open_artifact(file.path).predict(rows)["emotion"]
    np.testing.assert_allclose(answers, model(rows)["emotion"], rtol=1e-4, atol=1e-4)


def rows(count: int = 6) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    inputs = {"voice": random.normal(size=(count, 6, 5)), "face": random.normal(size=(count, 4))}
    return {name: values.astype("float32") for name, values in inputs.items()}


def test_parts_bring_their_temperatures_and_classes():
    parts, inputs = two_models(), rows()
    for part, temperature in zip(parts.values(), (0.5, 3.0)):
        attach(part, part.spec.replace(temperature=temperature))
    low, high = parts["voice"].spec.target.classes
    line = {"when": {"voice": low, "face": low}, "then": high}
    model = klmf.models.decision_fusion(parts, rules=[line], certainty=[0.7])
    logits = {name: np.asarray(part({name: inputs[name]})["emotion"]) for name, part in parts.items()}
    expected = softmax(logits["voice"] / 0.5, axis=1) * softmax(logits["face"] / 3, axis=1)
    expected /= expected.sum(axis=1, keepdims=True)
    both = np.all([rows.argmax(axis=1) == 0 for rows in logits.values()], axis=0)
    assert 0 < both.sum() < len(both)
    expected[both] = [0.3, 0.7]
    np.testing.assert_allclose(softmax(model(inputs)["emotion"], axis=1), expected, rtol=1e-4)
    assert (model.spec.target, list(model.spec.inputs)) == (parts["voice"].spec.target, ["voice", "face"])
    assert (model.spec.temperature, model.spec.presence) == (None, "derived")


def test_a_logistic_regression_on_outputs_is_a_model(tmp_path):
    parts, inputs = two_models(), rows(200)
    inputs["face"][::5] = 0
    scores = {name: np.asarray(part({name: inputs[name]})["emotion"], float) for name, part in parts.items()}
    scores["face"][::5] = np.nan
    labels = np.random.default_rng(0).integers(0, 2, 200)
    settings = klmf.decisions.fit(scores, labels, LogisticRegression())
    model = klmf.models.decision_fusion(parts, **settings)
    expected = settings["rule"].predict_proba(klmf.decisions.features(scores))
    np.testing.assert_allclose(softmax(model(inputs)["emotion"], axis=1), expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        np.exp(klmf.models.decision_fusion(scores, **settings)), expected, rtol=1e-6, atol=1e-9
    )
    forest = klmf.decisions.fit(scores, labels, RandomForestClassifier(3, random_state=0))
    with pytest.raises(LMFError, match="arrays"):
        klmf.models.decision_fusion(parts, **forest)
    with pytest.raises(LMFError, match=r"decisions\.fit"):
        klmf.models.decision_fusion(parts, LogisticRegression())
    with pytest.raises(LMFError, match="not both"):
        klmf.models.decision_fusion({"voice": parts["voice"], "face": scores["face"]})


def test_models_about_different_things_are_refused():
    parts = two_models()
    other = klmf.build(
        recipe({"face": {"shape": [4], "backbone": {"name": "mlp"}}}).replace(
            target={"name": "mood", "classes": ["low", "high"]}
        )
    )
    with pytest.raises(LMFError, match="different things"):
        klmf.models.decision_fusion({"voice": parts["voice"], "face": other})
    with pytest.raises(LMFError, match="two parts or more"):
        klmf.models.decision_fusion({"voice": parts["voice"]})
