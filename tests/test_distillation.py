"""[training.distillation]: the labels that teachers make, against NumPy, and which teachers are refused."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from resume_worker import sequences
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss
from teachers import INPUTS, answers, recipe, student, two

from keras_lmf.cli import main
from keras_lmf.errors import LMFError
from keras_lmf.models import build
from keras_lmf.recipe import Recipe
from keras_lmf.training import train
from keras_lmf.training.distillation import taught, teachers_of

pytestmark = pytest.mark.usefixtures("few_steps")


@pytest.fixture
def teachers(tmp_path: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    return two(tmp_path)


def test_labels_are_mixed_with_the_mean_of_the_answers(teachers) -> None:
    words = student(*(place for place, *_ in teachers), weight=0.3, temperature=2.5)
    data = sequences()
    splits = {name: data[name] for name in ("train", "valid")}
    found = taught(splits, words, teachers_of(words))
    train_split = data["train"]
    mean = np.mean([answers(train_split.inputs["video"], *layer, 2.5) for _, *layer in teachers], axis=0)
    expected = 0.7 * np.eye(3)[train_split.labels] + 0.3 * mean
    np.testing.assert_allclose(found["train"].soft_labels, expected, atol=1e-6)
    np.testing.assert_array_equal(found["valid"].soft_labels, np.eye(3)[data["valid"].labels])


def test_votes_stay_the_other_share(teachers) -> None:
    """Of data that have soft labels already."""
    place, *layer = teachers[0]
    data = sequences()
    votes = np.random.default_rng(1).dirichlet(np.ones(3), len(data)).astype(np.float32)
    split = dataclasses.replace(data, soft_labels=votes)["train"]
    words = student(place)
    found = taught({"train": split}, words, teachers_of(words))["train"].soft_labels
    expected = (split.soft_labels + answers(split.inputs["video"], *layer, 2.0)) / 2
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_teacher_says_nothing_of_what_it_cannot_see(teachers) -> None:
    place, *layer = teachers[0]
    data = sequences()
    video = data.inputs["video"].copy()
    video[:4] = 0
    split = dataclasses.replace(data, inputs={**data.inputs, "video": video})["train"]
    words = student(place, weight=1.0)
    found = taught({"train": split}, words, teachers_of(words))["train"].soft_labels
    np.testing.assert_array_equal(found[:4], np.eye(3)[split.labels[:4]])
    np.testing.assert_allclose(found[4:], answers(video[4:30], *layer, 2.0), atol=1e-6)


@pytest.mark.parametrize("features", [0.0, 1.0])
def test_where_a_teacher_sees_no_row_the_labels_stay(teachers, features: float) -> None:
    place, *_ = teachers[0]
    data = sequences()
    blind = dataclasses.replace(data, inputs={**data.inputs, "video": np.zeros_like(data.inputs["video"])})
    words = student(place, features=features)
    found = taught({"train": blind["train"]}, words, teachers_of(words))["train"]
    np.testing.assert_array_equal(found.soft_labels, np.eye(3)[blind["train"].labels])
    assert found.embeddings is None if not features else not found.embeddings.any()


def test_training_learns_the_mixed_labels_and_validates_on_the_labels(teachers, tmp_path: Path) -> None:
    place, *layer = teachers[0]
    data, words = sequences(), student(place, weight=0.6)
    run = train(words, data, tmp_path / "run")
    logits = {
        name: run.model.predict(data[name].inputs, verbose=0)["emotion"].astype(np.float64)
        for name in ("train", "valid")
    }
    split = data["train"]
    soft = 0.4 * np.eye(3)[split.labels] + 0.6 * answers(split.inputs["video"], *layer, 2.0)
    expected = -(soft * log_softmax(logits["train"], axis=1)).sum(axis=1).mean()
    assert run.history["loss"].item() == pytest.approx(expected, rel=1e-5)
    plain = log_loss(data["valid"].labels, softmax(logits["valid"], axis=1))
    assert run.history["val_loss"].item() == pytest.approx(plain, rel=1e-5)


def test_a_run_knows_its_teachers_by_their_weights(teachers, tmp_path: Path) -> None:
    place, kernel, bias = teachers[0]
    run = train(student(place), sequences(), tmp_path / "run")
    (told,) = run.environment["teachers"]
    assert told["from"] == place
    model = build(Recipe.read(Path(place) / "recipe.toml"))
    model.get_layer("emotion").set_weights([kernel + 1, bias])
    model.save_weights(Path(place) / "model.weights.h5")
    with pytest.raises(LMFError, match="another"):
        train(student(place), sequences(), tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": {"name": "emotion", "classes": ("calm", "happy", "angry")}}, "must answer the classes"),
        ({"inputs": {**INPUTS, "video": INPUTS["video"] | {"shape": (4,)}}}, r"its shape is \(3,\), that of"),
        ({"inputs": {"audio": INPUTS["audio"]}, "fusion": {"name": "none"}}, "no input of.*may take audio"),
        ({"target": {"name": "valence", "range": (-1, 1)}}, "needs a target with classes"),
        ({"fusion": {"name": "decision"}}, "trains its parts by themselves"),
    ],
)
def test_teachers_that_do_not_fit_are_refused(teachers, changes: dict, words: str) -> None:
    place, *_ = teachers[0]
    training = {"loss": None, "distillation": {"teacher": place}}
    with pytest.raises(LMFError, match=words):
        teachers_of(recipe(**{"inputs": INPUTS, "training": training} | changes))


def test_a_missing_teacher_is_told_by_its_key() -> None:
    with pytest.raises(LMFError, match="no/such/run"):
        teachers_of(student("no/such/run"))
    with pytest.raises(LMFError, match=r"training\.distillation\.teacher names a trained model"):
        teachers_of(student(__file__))


def test_the_command_names_teachers(tmp_path: Path) -> None:
    audio = {"shape": [8], "backbone": {"name": "mlp", "units": [2]}}
    target = {"name": "emotion", "classes": ["calm", "excited"]}
    corpus = {"name": "synthetic", "options": {"samples": 300}}
    words = recipe({"audio": audio}, {"epochs": 1}, target=target, corpus=corpus)
    words.write(tmp_path / "small.toml")
    words.write(tmp_path / "earlier" / "recipe.toml")
    build(words).save_weights(tmp_path / "earlier" / "model.weights.h5")
    with contextlib.chdir(tmp_path):
        command = ["train", "small.toml", "--teacher", "earlier", "--folder", "run", "--json"]
        result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.stderr
    assert Recipe.read(tmp_path / "run" / "recipe.toml").training.distillation.teacher == ("earlier",)
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["teachers"][0]["from"] == "earlier"
