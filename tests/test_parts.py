"""A fusion of answers: parts that learn by themselves, what joins them, and nothing that it should not have seen."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from exporting import exported_here
from parts import CLASSES, INPUTS, WORDS, clips, logits, part, recipe, subsets
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

import keras_lmf as klmf
from keras_lmf.data import Dataset
from keras_lmf.data.corpora import synthetic
from keras_lmf.evaluation.calibration import fit_temperature
from keras_lmf.models import foretold_shapes, refresh_standardization, weight_shapes
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training import Run, train
from keras_lmf.training.parts import fit_parts


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(recipe(WORDS["decision"]), clips(), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def both() -> Dataset:
    """No modality alone says anything: the label lies in the product of the two."""
    return synthetic.load(samples=600, modalities=tuple(INPUTS))


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory, both: Dataset) -> Run:
    words = Recipe(
        name="both",
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": ["calm", "excited"]},
        inputs={name: {"shape": [8], "backbone": {"name": "mlp", "units": [16]}} for name in INPUTS},
        fusion={"name": "hybrid"},
        presence={},
        training={"loss": "cross_entropy", "epochs": 14, "learning_rate": 0.01},
    )
    return train(words, both, tmp_path_factory.mktemp("hybrid") / "run")


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, Dataset]]:
    """A run of stacking, and what each training of a part was given, by its folder."""
    folder, seen = tmp_path_factory.mktemp("stacked"), {}

    def watched(*arguments) -> None:
        *others, inner = arguments

        def noted(own: Recipe, rows: Dataset, place: Path) -> Run:
            seen[place.relative_to(folder / "parts").as_posix()] = rows
            return inner(own, rows, place)

        fit_parts(*others, noted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["keras_lmf.training.train"], "fit_parts", watched)
        return train(recipe(WORDS["stacking"]), clips(), folder), seen


@pytest.fixture(scope="module")
def models(run: Run, stacked: tuple[Run, dict[str, Dataset]]) -> dict[str, keras.Model]:
    """Of the words for `clips`; the table stands before the parts of "decision"."""
    table = klmf.build(recipe(WORDS["table"]))
    for name in INPUTS:
        own = run.model.get_layer(f"{name}_part").get_weights()
        table.get_layer(f"{name}_part").set_weights(own)
    return {"decision": run.model, "stacking": stacked[0].model, "table": refresh_standardization(table)}


# -- decision --------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_the_joint_answer_is_the_product_of_the_parts(run):
    data = clips()
    valid, test = data["valid"], data["test"]
    log_prior = np.log((np.bincount(valid.labels) + 1) / (len(valid) + 3))
    layer = run.model.get_layer("emotion")
    importance, _, _, joint = (np.asarray(weight, float) for weight in layer.get_weights())
    expected = log_prior + np.zeros((len(test), 3))
    counts = sum(values.reshape(len(test), -1).any(axis=1).astype(int) for values in test.inputs.values())
    for m, name in enumerate(INPUTS):
        there = valid.inputs[name].reshape(len(valid), -1).any(axis=1)
        temperature = fit_temperature(logits(part(run, name), valid.inputs)[there], valid.labels[there])
        own = log_softmax(logits(part(run, name), test.inputs) / temperature, axis=1)
        own = np.maximum(own, np.log(1e-7))
        there = test.inputs[name].reshape(len(test), -1).any(axis=1)
        expected += there[:, None] * np.where(counts > 1, importance[m], 1)[:, None] * (own - log_prior)
    expected /= np.array([1.0, *joint])[counts][:, None]
    np.testing.assert_allclose(
        logits(run.model, test.inputs), log_softmax(expected, axis=1), rtol=1e-3, atol=1e-4
    )
    assert run.temperature == pytest.approx(
        1.0, abs=0.2
    )  # calibrated already, but for who is absent how often


@pytest.mark.slow
def test_a_part_learns_as_it_would_alone_from_the_rows_that_have_it(run, tmp_path):
    data = clips()
    own = recipe({"name": "decision"}).parts()["face"]
    there = data.inputs["face"].any(axis=1)
    fields = ("labels", "groups", "ids", "splits")
    kept = Dataset(
        name="kept",
        target=data.target,
        inputs={"face": data.inputs["face"][there]},
        **{field: getattr(data, field)[there] for field in fields},
    )
    alone = train(own, kept, tmp_path / "alone").model.get_weights()
    for one, other in zip(run.model.get_layer("face_part").get_weights(), alone, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("word", ["decision", "table", "stacking"])
def test_every_subset_answers_better_than_the_majority(word, models):
    data = clips()["test"]
    majority = (data.labels == 0).mean()
    for kept, inputs in subsets(data.inputs).items():
        answers = softmax(logits(models[word], inputs), axis=1)
        np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
        assert np.isfinite(answers).all()
        assert (answers.argmax(axis=1) == data.labels).mean() >= majority, kept


@pytest.mark.slow
def test_the_table_of_rules_goes_before(run, models):
    random = np.random.default_rng(0)
    inputs = {
        name: 3 * random.normal(size=(2000, *shape)).astype("float32") for name, shape in INPUTS.items()
    }
    voice, face = (logits(part(run, name), inputs).argmax(axis=1) for name in INPUTS)
    answers = logits(models["table"], inputs).argmax(axis=1)
    fired = (voice == CLASSES.index("sad")) & (face == CLASSES.index("happy"))
    assert fired.sum() > 20
    assert (answers[fired] == CLASSES.index("calm")).all()
    np.testing.assert_array_equal(answers[voice == face], voice[voice == face])
    inputs["face"][:] = 0
    np.testing.assert_array_equal(logits(models["table"], inputs).argmax(axis=1), voice)


# -- stacking --------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_stacking_learns_from_answers_to_what_the_parts_have_not_seen(stacked):
    run, seen = stacked
    data = clips()
    train_rows, test = data["train"], data["test"]
    scores = {name: np.full((len(train_rows), 3), np.nan) for name in INPUTS}
    for name in INPUTS:
        whole = set(train_rows.groups)
        assert set(seen[name]["train"].groups) == whole  # the parts that answer later know all rows
        held = [whole - set(seen[f"{name}/fold-{k}"]["train"].groups) for k in (0, 1)]
        assert held[0] | held[1] == whole
        assert not held[0] & held[1]
        for k in (0, 1):
            rows = np.isin(train_rows.groups, list(held[k]))
            model = Run.open(run.folder / "parts" / name / f"fold-{k}").model
            scores[name][rows] = logits(model, train_rows.inputs, rows)
        scores[name][~train_rows.inputs[name].reshape(len(train_rows), -1).any(axis=1)] = np.nan
    alone = [
        {name: scores[name] if name == left else np.nan * scores[name] for name in INPUTS} for left in INPUTS
    ]
    rows = {name: np.concatenate([each[name] for each in (scores, *alone)]) for name in INPUTS}
    theirs = LogisticRegression(max_iter=5000, tol=1e-8).fit(
        klmf.decisions.features(rows), np.tile(train_rows.labels, 3)
    )
    answers = {name: logits(part(run, name), test.inputs) for name in INPUTS}
    for name in INPUTS:
        answers[name][~test.inputs[name].reshape(len(test), -1).any(axis=1)] = np.nan
    np.testing.assert_allclose(
        softmax(logits(run.model, test.inputs), axis=1),
        theirs.predict_proba(klmf.decisions.features(answers)),
        atol=1e-3,
    )


# -- hybrid ----------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_hybrid_knows_what_lies_in_both_together(hybrid, both):
    test = both["test"]
    found = {"all": hybrid.model, **{name: part(hybrid, name) for name in (*INPUTS, "fused")}}
    right = {
        name: (logits(model, test.inputs).argmax(axis=1) == test.labels).mean()
        for name, model in found.items()
    }
    assert right["fused"] > 0.75
    assert right["all"] > right["fused"] - 0.05
    assert max(right["voice"], right["face"]) < 0.65


@pytest.mark.long
def test_the_fused_part_is_silent_where_it_would_repeat_another(hybrid, both):
    alone = subsets(both["test"].inputs)["face",]
    layer = hybrid.model.get_layer("emotion")
    _, log_temperature, _, joint = (np.asarray(weight, float) for weight in layer.get_weights())
    m = list(hybrid.recipe.parts()).index("face")
    own = log_softmax(logits(part(hybrid, "face"), alone) / np.exp(log_temperature[m]), axis=1)
    expected = log_softmax(own / joint[0], axis=1)
    np.testing.assert_allclose(logits(hybrid.model, alone), expected, rtol=1e-3, atol=1e-4)


# -- all of them -----------------------------------------------------------------------------------------------
@pytest.mark.long
@pytest.mark.parametrize("word", WORDS)
def test_the_model_is_foretold_and_exported_as_any_other(word, models, hybrid, both, tmp_path):
    model, test, words = models.get(word), clips()["test"], recipe(WORDS[word])
    if word == "hybrid":
        model, test, words = hybrid.model, both["test"], hybrid.recipe
    assert foretold_shapes(words) == weight_shapes(model)
    assert list(model.output) == ["emotion"]
    with exported_here():
        (file,) = klmf.export_model(model, tmp_path, ["tflite"])
    for inputs in subsets(test.inputs).values():
        answers = open_artifact(file.path).predict(inputs)["emotion"]
        assert np.abs(answers - logits(model, inputs)).max() < 1e-4


@pytest.mark.slow
def test_the_run_says_what_a_run_says(run):
    data = clips()
    assert Recipe.read(run.folder / "recipe.toml") == run.recipe == recipe(WORDS["decision"])
    answers = logits(run.model, data["valid"].inputs).argmax(axis=1)
    assert run.history["val_war"].item() == pytest.approx((answers == data["valid"].labels).mean(), abs=1e-6)
    assert run.best_epoch == 1
    changed = train(run.recipe, data, run.folder)  # finished: nothing is trained
    np.testing.assert_array_equal(
        logits(changed.model, data["valid"].inputs), logits(run.model, data["valid"].inputs)
    )


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C in the third epoch of the second part."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epochs += 1
        if self.epochs == 9:
            raise KeyboardInterrupt


@pytest.mark.long
def test_an_interrupted_run_resumes_to_identical_weights(run, tmp_path):
    words, folder = recipe(WORDS["decision"]), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(words, clips(), folder, callbacks=[Interrupt()])
    assert not (folder / "model.weights.h5").exists()
    resumed = train(words, clips(), folder)
    for one, other in zip(resumed.model.get_weights(), run.model.get_weights(), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.long
def test_numbers_are_weighted_by_their_errors_behind_a_front_end_and_without_validation(tmp_path):
    """Without "valid" the join is fitted to answers about rows that the parts have not seen."""
    sound = {
        "shape": [800],
        "front_end": {"name": "log_mel", "bands": 4},
        "backbone": {"name": "average_pooling"},
    }
    words = recipe(
        {"name": "decision", "folds": 2},
        target={"name": "emotion", "classes": None, "range": [0, 2]},
        inputs={"voice": sound},
        training={"loss": "mse", "fit_on": "train + valid", "epochs": 3, "output_bias": "label_mean"},
    )
    data = clips(values=True)
    loud = 0.1 * data.labels[:, None] * data.inputs["voice"].any(axis=(1, 2))[:, None]
    voice = loud * np.random.default_rng(6).uniform(-1, 1, size=(360, 800))
    data = Dataset(**{**vars(data), "inputs": {"voice": voice, "face": data.inputs["face"]}, "masks": {}})
    run, test = train(words, data, tmp_path / "run"), data["test"]
    features = {
        "voice": run.model.get_layer("voice_front_end").predict(test.inputs["voice"], verbose=0),
        "face": test.inputs["face"],
    }
    there = np.stack([rows.reshape(len(test), -1).any(axis=1) for rows in features.values()], axis=1)
    answers = np.stack([logits(part(run, name), features)[:, 0] for name in INPUTS], axis=1)
    variances, fallback = run.model.get_layer("emotion").get_weights()
    weights = there / np.exp(variances)[:, 0]
    expected = np.where(
        there.any(axis=1), (weights * answers).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9), fallback
    )
    np.testing.assert_allclose(logits(run.model, test.inputs)[:, 0], expected, rtol=1e-3, atol=1e-5)
    held = data.splits != "test"
    assert fallback == pytest.approx(data.labels[held].mean(), rel=1e-5)
