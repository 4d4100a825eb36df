"""A fusion of answers: parts that learn by themselves, what joins them, and nothing that it should not have seen."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from exporting import exported_here
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

import keras_lmf as klmf
from keras_lmf.backend import nested_layers
from keras_lmf.data import Dataset
from keras_lmf.data.corpora import synthetic
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.calibration import fit_temperature
from keras_lmf.models import foretold_shapes, refresh_standardization, weight_shapes
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.target import Target
from keras_lmf.training import Run, train
from keras_lmf.training.parts import fit_parts, fitted_joint

CLASSES = ("calm", "happy", "sad")
INPUTS = {"voice": (5, 3), "face": (4,)}


def clips(values: bool = False) -> Dataset:
    """360 samples of 36 speakers; voice (5, 3) and face (4,) each tell something, and are absent now and then."""
    random = np.random.default_rng(0)
    labels = random.choice(3, size=360, p=[0.5, 0.3, 0.2])
    inputs = {
        name: (1.2 * np.random.default_rng(i).normal(size=(3, shape[-1])))[labels].reshape(
            360, *[1] * (len(shape) - 1), shape[-1]
        )
        + random.normal(size=(360, *shape))
        for i, (name, shape) in enumerate(INPUTS.items())
    }
    inputs["voice"][::9] = 0
    inputs["face"][4::9] = 0
    groups = np.arange(360) // 10
    target = Target(name="emotion", classes=CLASSES)
    if values:
        target = Target(name="emotion", range=(0.0, 2.0))
    return Dataset(
        name="tiny",
        target=target,
        inputs=inputs,
        labels=labels.astype("float32") if values else labels,
        groups=groups.astype(str),
        ids=np.arange(360).astype(str),
        splits=np.array(["train"] * 18 + ["valid"] * 12 + ["test"] * 6)[groups],
    )


def recipe(fusion: dict, **changes) -> Recipe:
    return Recipe(
        name="tiny",
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": CLASSES},
        inputs={
            "voice": {"shape": [5, 3], "backbone": {"name": "average_pooling"}},
            "face": {"shape": [4], "backbone": {"name": "mlp", "units": [8], "dropout": 0.1}},
        },
        fusion=fusion,
        presence={},
        training={"loss": "cross_entropy", "epochs": 6, "learning_rate": 0.03, "batch_size": 16},
    ).replace(**changes)


RULES = [{"when": {"voice": "sad", "face": "happy"}, "then": "calm"}]
WORDS = {
    "decision": {"name": "decision"},
    "table": {"name": "decision", "rule": "vote", "rules": RULES},
    "stacking": {"name": "stacking", "folds": 2},
    "hybrid": {"name": "hybrid", "features": {"name": "low_rank", "units": 4, "rank": 2}},
}


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


def logits(model: keras.Model, inputs: dict, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    given = {name: inputs[name][rows] for name in model.input}
    return open_artifact(model).predict(given)["emotion"].astype(float)


def part(run: Run, name: str) -> keras.Model:
    return Run.open(run.folder / "parts" / name).model


def subsets(inputs: dict) -> dict:
    return {
        kept: {name: values if name in kept else np.zeros_like(values) for name, values in inputs.items()}
        for size in (1, 2)
        for kept in itertools.combinations(inputs, size)
    }


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


# -- recipes ---------------------------------------------------------------------------------------------------
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
