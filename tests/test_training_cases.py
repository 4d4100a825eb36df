"""train where it differs from the usual: mixed precision, no validation split, data of another make."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from resume_worker import InterruptAfter, sequences
from resume_worker import pooled_recipe as recipe
from resume_worker import recipe as recurrent

from keras_lmf.data import Dataset, Split
from keras_lmf.errors import LMFError
from keras_lmf.models import build
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.target import Target
from keras_lmf.training import NotFiniteLoss, Run, train
from keras_lmf.training.prior import correct_prior

SHORT = {"training": {"epochs": 4, "learning_rate": 0.01, "patience": 10}}


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", pytest.param("mixed_float16", marks=pytest.mark.long)])
def test_an_interrupted_run_equals_an_undisturbed_one(policy: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        whole = train(recurrent(**SHORT), sequences(), tmp_path / "whole")
        with pytest.raises(KeyboardInterrupt):
            train(recurrent(**SHORT), sequences(), tmp_path / "cut", callbacks=[InterruptAfter(2)])
        resumed = train(recurrent(**SHORT), sequences(), tmp_path / "cut")
        for a, b in zip(whole.model.get_weights(), resumed.model.get_weights()):
            np.testing.assert_array_equal(a, b)
        assert whole.history.equals(resumed.history)
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
def test_label_smoothing_is_that_of_the_closed_form(tmp_path: Path) -> None:
    """Szegedy et al. 2016, eq. 10: (1 − ε) · cross-entropy + ε · mean over classes of −log p."""
    words = recipe(training={"epochs": 1, "learning_rate": 1e-3, "label_smoothing": 0.2})
    run = train(words, sequences(), tmp_path / "run")
    valid = sequences()["valid"]
    logits = keras.ops.convert_to_numpy(run.model(dict(valid.inputs))[words.target.name]).astype("float64")
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -0.8 * log_p[np.arange(len(valid)), valid.labels] - 0.2 * log_p.mean(axis=1)
    assert run.history["val_loss"].item() == pytest.approx(expected.mean(), rel=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
def test_a_prior_correction_takes_logarithms_of_frequencies_from_the_logits(tmp_path: Path) -> None:
    data = sequences()
    frequencies = np.bincount(data["train"].labels, minlength=len(data.target.classes))
    plain = recipe(training={"epochs": 1, "class_weights": "none"})
    before, after = (
        open_artifact(train(words, data, tmp_path / words.fingerprint).model).predict(data["test"].inputs)
        for words in (plain, plain.replace(training={"prior_correction": 0.5}))
    )
    expected = before[plain.target.name] - 0.5 * np.log(frequencies / frequencies.sum())
    np.testing.assert_allclose(after[plain.target.name], expected, atol=1e-5)


def moved_by_prior(split: Split) -> np.ndarray:
    """What a whole prior correction by the labels of `split` adds to the logits."""
    model = build(recipe())
    before = keras.ops.convert_to_numpy(model.get_layer(split.target.name).bias).copy()
    correct_prior(model, split, 1.0)
    return keras.ops.convert_to_numpy(model.get_layer(split.target.name).bias) - before


def test_the_prior_of_votes_is_their_mean() -> None:
    data = sequences()
    votes = np.random.default_rng(0).dirichlet(np.ones(len(data.target.classes)), len(data))
    split = dataclasses.replace(data, soft_labels=votes)["train"]
    np.testing.assert_allclose(moved_by_prior(split), -np.log(split.soft_labels.mean(axis=0)), atol=1e-6)


def test_a_class_that_was_never_seen_gains_nothing_from_a_prior_correction() -> None:
    data = sequences()
    rows = data.splits == "train"
    present = np.unique(data.labels[rows])[:-1]
    some = data.take(~rows | np.isin(data.labels, present))["train"]
    counts = np.bincount(some.labels, minlength=len(data.target.classes))
    expected = [-np.log(count / len(some)) if count else 0 for count in counts]
    np.testing.assert_allclose(moved_by_prior(some), expected, atol=1e-6)


@pytest.mark.long
def test_without_validation_all_epochs_run_and_the_last_weights_are_kept(tmp_path: Path) -> None:
    data = sequences().with_validation_in_training()
    assert data.split_names == ("train", "test")
    assert len(data["train"]) == 50
    longer = recipe(training={"epochs": 3, "patience": 1, "learning_rate": 0.01})
    run = train(longer, data, tmp_path / "run")
    assert list(run.history.index) == [1, 2, 3]
    assert "val_loss" not in run.history
    assert run.best_epoch == 3
    # Oracle: two epochs, then the third on their state, is the same as three.
    with pytest.raises(KeyboardInterrupt):
        train(longer, data, tmp_path / "again", callbacks=[InterruptAfter(2)])
    for a, b in zip(run.model.get_weights(), train(longer, data, tmp_path / "again").model.get_weights()):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
def test_fit_on_train_and_valid_is_the_same_as_training_on_both(tmp_path: Path) -> None:
    fixed = recipe(training={"epochs": 2})
    both = train(fixed.replace(training={"fit_on": "train + valid"}), sequences(), tmp_path / "both")
    # Oracle: the rows moved by hand.
    by_hand = train(fixed, sequences().with_validation_in_training(), tmp_path / "hand")
    for a, b in zip(both.model.get_weights(), by_hand.model.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert both.watched is None
    assert both.dataset().split_names == ("train", "test")


def values(monitor: str) -> tuple[Recipe, Dataset]:
    """The classes read as numbers: 1, 2, 4."""
    data = sequences()
    target = Target(name="value", range=(0, 5))
    training = {
        "epochs": 8,
        "learning_rate": 0.01,
        "loss": "mae",
        "monitor": monitor,
        "class_weights": "none",
    }
    numbers = dataclasses.replace(data, target=target, labels=np.array([1.0, 2.0, 4.0])[data.labels])
    sections = recipe().model_dump(exclude_none=True)
    sections |= {
        "target": target,
        "training": sections["training"] | training | {"output_bias": "label_mean"},
    }
    return Recipe(**sections), numbers


@pytest.mark.slow
def test_monitor_pearson_keeps_the_epoch_of_the_largest_correlation(tmp_path: Path) -> None:
    run = train(*values("pearson"), tmp_path / "run")
    assert run.best_epoch == run.history["val_pearson"].idxmax()
    data = run.dataset()["valid"]
    predictions = run.model.predict(data.inputs, verbose=0)["value"][:, 0]
    oracle = np.corrcoef(predictions, data.labels)[0, 1]
    assert run.history["val_pearson"].max() == pytest.approx(oracle, abs=1e-5)
    assert run.watched.min() == pytest.approx(-oracle, abs=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
def test_output_bias_starts_at_the_mean_label_of_train(tmp_path: Path) -> None:
    built, data = values("loss")
    still = built.replace(training={"epochs": 1, "learning_rate": 1e-12})
    bias = train(still, data, tmp_path / "run").model.get_layer("value").bias
    assert float(bias[0]) == pytest.approx(data["train"].labels.mean(), abs=1e-6)


def test_without_validation_broken_weights_are_never_kept(tmp_path: Path) -> None:
    data = sequences().with_validation_in_training()
    diverging = recipe(training={"epochs": 1, "batch_size": 64, "learning_rate": 1.0e30})
    with pytest.raises(NotFiniteLoss, match="epoch 1"):
        train(diverging, data, tmp_path / "run")
    assert not (tmp_path / "run" / "model.weights.h5").exists()
    with pytest.raises(LMFError, match=r"has no model\.weights\.h5 yet"):
        Run.open(tmp_path / "run", data)


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
def test_a_run_is_not_judged_on_data_of_another_make(tmp_path: Path) -> None:
    run = train(recipe(training={"epochs": 1}), sequences(), tmp_path / "run")
    data = sequences()
    swapped = dataclasses.replace(
        data, target=data.target.model_copy(update={"classes": ("sad", "happy", "calm")})
    )
    with pytest.raises(LMFError, match="target"):
        Run.open(run.folder, swapped).evaluate("test", resamples=0)
    wider = dataclasses.replace(data, inputs={**data.inputs, "video": np.ones((len(data), 9))})
    with pytest.raises(LMFError, match="video"):
        Run.open(run.folder, wider).evaluate("test", resamples=0)
