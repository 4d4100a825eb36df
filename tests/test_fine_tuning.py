"""[start] and [training.first]: whose weights a training begins with, what stays as it is, and what is refused."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import zoo_entry
from resume_worker import InterruptAfter, sequences
from resume_worker import pooled_recipe as recipe
from scipy.special import softmax
from sklearn.metrics import log_loss
from untraced import untraced

from keras_lmf.data import Dataset, corpora
from keras_lmf.errors import LMFError
from keras_lmf.models.start import Source
from keras_lmf.recipe import Recipe
from keras_lmf.target import Target
from keras_lmf.training import Run, train
from keras_lmf.training.named import warn_of_known_people

pytestmark = pytest.mark.usefixtures("few_steps")

OWN = ("froh", "müde", "ruhig")
TWO_STAGES = {"epochs": 4, "patience": 1, "first": {"epochs": 2, "learning_rate": 0.02}}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on other data."""
    folder = tmp_path_factory.mktemp("runs") / "source"
    with untraced():
        return train(recipe(training={"epochs": 1}), sequences(seed=5), folder)


def own_labels() -> Dataset:
    data = sequences()
    return dataclasses.replace(data, target=Target(name="emotion", classes=OWN))


def tuned(source: Run | str, start: dict | None = None, **training: object) -> Recipe:
    place = source if isinstance(source, str) else str(source.folder)
    return recipe(
        target={"classes": OWN},
        start={"from": place, **(start or {})},
        training={"epochs": 1, "patience": 10, **training},
    )


def numbers(model: keras.Model, layer: str) -> list[np.ndarray]:
    return model.get_layer(layer).get_weights()


def same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return len(ours) == len(theirs) and all(np.array_equal(a, b) for a, b in zip(ours, theirs))


def test_the_body_is_copied_and_the_head_is_new(source: Run, tmp_path: Path, capsys) -> None:
    run = train(tuned(source, {"freeze": ["all but the head"]}), own_labels(), tmp_path / "run")
    for layer in ("audio_backbone", "video_backbone", "fusion"):
        assert same(numbers(run.model, layer), numbers(source.model, layer)), layer
    assert not same(numbers(run.model, "emotion"), numbers(source.model, "emotion"))
    told = run.environment["start"]
    assert told["from"] == str(source.folder)
    assert told["copied"] == {"audio": "audio", "video": "video", "fusion": "fusion"}
    assert list(told["new"]) == ["head"]
    assert "copied: audio, video, fusion; new: head" in capsys.readouterr().err
    assert Run.open(run.folder).recipe.start.source == str(source.folder)


@pytest.mark.parametrize(
    ("mine", "theirs", "known"),
    [
        ({"name": "ravdess", "options": {"fold": 1}}, {"name": "ravdess"}, "RAVDESS"),
        ({"name": "ravdess", "options": {"fold": 1}}, {"name": "ravdess", "options": {"fold": 1}}, None),
        ({"name": "ferplus"}, {"name": "fer2013"}, "FER2013"),
        ({"name": "emodb"}, {"name": "ravdess", "options": {"fold": 1}}, None),
        (
            {"name": ["ravdess", "emodb"], "options": {"fold": 1, "emodb": {"fold": 2}}},
            {"name": "emodb", "options": {"fold": 1}},
            "EmoDB",
        ),
    ],
)
def test_people_whom_the_source_may_know_are_told(mine: dict, theirs: dict, known: str | None) -> None:
    begun = Source("earlier", recipe(corpus=theirs), Path("weights"), "", None)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warn_of_known_people(recipe(corpus=mine), begun)
    assert [str(one.message).startswith(f"earlier was trained on {known}, perhaps") for one in told] == (
        [True] if known else []
    )


def test_frozen_parts_work_as_in_an_answer(source: Run, tmp_path: Path) -> None:
    """Without dropout and noise, the logged loss of a step that changes nothing is that of the answers."""
    still = tuned(source, {"freeze": ["all but the head"]}, learning_rate=1e-12, fusion_learning_rate=None)
    still = still.replace(
        head={"dropout": 0.0}, training={"batch_size": 64, "class_weights": "none", "weight_decay": 0.0}
    )
    run = train(still, own_labels(), tmp_path / "run")
    split = own_labels()["train"]
    logits = run.model.predict(split.inputs, verbose=0)["emotion"].astype(np.float64)
    expected = log_loss(split.labels, softmax(logits, axis=1))
    assert run.history["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_one_network_of_another_name_is_copied_and_learns(source: Run, tmp_path: Path) -> None:
    data = own_labels()
    renamed = {"voice": data.inputs["audio"], "video": data.inputs["video"]}
    data = dataclasses.replace(data, inputs=renamed, masks={"voice": data.masks["audio"]})
    sections = tuned(source).model_dump(exclude_none=True)
    sections["start"]["inputs"] = {"voice": "audio"}
    sections["inputs"] = {"voice": sections["inputs"].pop("audio"), **sections["inputs"]}
    run = train(Recipe(**sections), data, tmp_path / "run")
    assert run.environment["start"]["copied"] == {"voice": "audio"}
    assert list(run.environment["start"]["new"]) == ["video", "fusion", "head"]
    theirs, ours = (
        numbers(run_.model, f"{name}_backbone") for run_, name in ((source, "audio"), (run, "voice"))
    )
    fitted = [
        weight.path.endswith(("mean", "variance", "count"))
        for weight in source.model.get_layer("audio_backbone").weights
    ]
    for before, after, is_fitted in zip(theirs, ours, fitted, strict=True):
        assert np.array_equal(before, after) == is_fitted  # the statistics come along, the rest has learnt


@pytest.mark.long
def test_two_stages_resume_exactly_and_the_first_trains_the_head_alone(source: Run, tmp_path: Path) -> None:
    words = tuned(source, **TWO_STAGES)
    whole = train(words, own_labels(), tmp_path / "whole")
    assert len(whole.history) >= 3  # patience 1 ends nothing in the first stage, nor in the epoch after it
    cut = tmp_path / "cut"
    for epoch in (1, 2, 3):
        with pytest.raises(KeyboardInterrupt):
            train(words, own_labels(), cut, callbacks=[InterruptAfter(epoch)])
        with np.load(cut / "state.npz") as state:
            first = [state[f"best/{i}"] for i in range(len(source.model.get_weights()))]
        moved = {
            weight.path.partition("/")[0]
            for weight, before, now in zip(
                source.model.weights, source.model.get_weights(), first, strict=True
            )
            if weight.path.partition("/")[0] != "emotion" and not np.array_equal(before, now)
        }
        if epoch <= 2:
            assert not moved
    resumed = train(words, own_labels(), cut)
    assert same(whole.model.get_weights(), resumed.model.get_weights())
    assert whole.history.equals(resumed.history)


def test_the_same_target_keeps_the_head(source: Run, tmp_path: Path) -> None:
    again = recipe(start={"from": str(source.folder)}, training={"epochs": 1, "learning_rate": 1e-12})
    again = again.replace(training={"fusion_learning_rate": 1e-12})
    run = train(again, sequences(), tmp_path / "run")
    assert list(run.environment["start"]["new"]) == []
    for ours, theirs in zip(run.model.get_weights(), source.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_an_entry_is_found_by_name_and_checked(entry_folder: Path, monkeypatch, tmp_path: Path) -> None:
    place = tmp_path / "package"
    place.mkdir()
    (place / "pyproject.toml").write_text("")
    entry_folder.parent.rename(place / "zoo")
    monkeypatch.setattr("keras_lmf.locate.PACKAGE", place / "keras_lmf")
    words = zoo_entry.recipe(name="mine", start={"from": zoo_entry.NAME}, training={"epochs": 1})
    data = corpora.load("synthetic")
    assert list(train(words, data, tmp_path / "run").environment["start"]["copied"]) == [
        "audio",
        "video",
        "fusion",
        "head",
    ]
    weights = place / "zoo" / zoo_entry.NAME / "model.weights.h5"
    raw = bytearray(weights.read_bytes())
    raw[len(raw) // 2] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(LMFError, match="sha256"):
        train(words, data, tmp_path / "other")
    with pytest.raises(LMFError, match=zoo_entry.NAME):
        train(words.replace(start={"from": "tiny-synthetic-va"}), data, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ({"from": "no/such/run"}, "no/such/run"),
        ({"inputs": {"audio": "vidoe"}}, "Did you mean 'video'"),
        ({"inputs": {"audio": "video"}}, "backbone is mlp, mine average_pooling"),
        ({"freeze": ["head"]}, "'head', whose weights are random"),
    ],
)
def test_what_does_not_fit_is_refused(source: Run, tmp_path: Path, start: dict, words: str) -> None:
    with pytest.raises(LMFError, match=words):
        train(tuned(source, start), own_labels(), tmp_path / "run")


def test_networks_of_other_shapes_and_front_ends_are_refused(source: Run, tmp_path: Path) -> None:
    wider = tuned(source, {"inputs": {"audio": "audio"}}).replace(
        inputs={"audio": {"backbone": {"units": [7]}}}
    )
    with pytest.raises(LMFError, match=r"other shapes: \(4, 5\), mine \(4, 7\)"):
        train(wider, own_labels(), tmp_path / "run")
    sections = tuned(source, {"inputs": {"audio": "audio"}}).model_dump(exclude_none=True)
    sections["inputs"] |= {
        "audio": {
            "shape": [800],
            "front_end": {"name": "mfcc"},
            "backbone": {"name": "average_pooling", "units": [5]},
        }
    }
    sections["training"]["class_weights"] = "none"
    data = own_labels()
    data = dataclasses.replace(
        data, inputs={**data.inputs, "audio": np.ones((66, 800), np.float32)}, masks={}
    )
    with pytest.raises(LMFError, match="front end is none, mine mfcc"):
        train(Recipe(**sections), data, tmp_path / "other")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": {"from": "x", "freeze": ["vidoe"]}}, "Did you mean 'video'"),
        ({"start": {"from": "x", "inputs": {"adio": "audio"}}}, "Did you mean 'audio'"),
        ({"start": {"from": "x", "freeze": ["all but the head", "head"]}}, "nothing is left"),
        ({"start": {"from": "x", "fro": "y"}}, "Did you mean 'from'"),
        ({"training": {"first": {"epochs": 10}}}, "must be larger"),
        ({"training": {"first": {"epochs": 2, "train": ["heads"]}}}, "Did you mean 'head'"),
        (
            {
                "start": {"from": "x", "freeze": ["audio"]},
                "training": {"first": {"epochs": 2, "train": ["audio"]}},
            },
            "which start.freeze names",
        ),
        ({"start": {"from": "x"}, "fusion": {"name": "decision"}}, "trains as one"),
    ],
)
def test_a_recipe_names_parts_that_there_are(changes: dict, words: str) -> None:
    with pytest.raises(LMFError, match=words):
        recipe(training={"fusion_learning_rate": None}).replace(**changes)
