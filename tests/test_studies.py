"""Comparison and search: tables against closed forms, resumed trainings, what is chosen."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from command_line import command
from labelled import SENTIMENT, split
from sklearn.metrics import accuracy_score

from keras_lmf.data.corpora import synthetic
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.paired import compare_outputs
from keras_lmf.recipe import Recipe
from keras_lmf.training import NotFiniteLoss, Run, tuning
from keras_lmf.training.comparison import compare

ROWS, SEEDS = 400, 5


def outputs() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels of 0, and two models whose absolute errors are 1.5 and 1 plus an effect of the row and one of the seed."""
    generator = np.random.default_rng(0)
    rows = {name: 0.1 * generator.standard_normal(ROWS) for name in ("first", "second")}
    seeds = {name: 0.02 * generator.standard_normal((SEEDS, 1)) for name in ("first", "second")}
    level = {"first": 1.5, "second": 1.0}
    return np.zeros(ROWS), {name: level[name] + rows[name] + seeds[name] for name in level}


def test_differences_are_paired_and_have_the_error_of_two_random_effects() -> None:
    labels, found = outputs()
    table = compare_outputs(
        found, split(labels, SENTIMENT), metrics=["mae"], train_labels=labels, resamples=2000
    )
    apart = found["second"] - found["first"]
    second = table.loc[("second", "mae")]
    assert second["difference"] == pytest.approx(apart.mean())
    rows, seeds = apart.mean(axis=0), apart.mean(axis=1)
    expected = np.sqrt(rows.var(ddof=1) / ROWS + seeds.var(ddof=1) / SEEDS)
    assert second["standard_error"] == pytest.approx(expected, rel=0.1)
    assert table.loc[("first", "mae"), ["difference", "standard_error"]].tolist() == [0, 0]
    assert second["low"] < second["mean"] < second["high"]
    assert second["mean"] == pytest.approx(found["second"].mean())
    assert second["sd"] == pytest.approx(found["second"].mean(axis=1).std(ddof=1))
    assert second["floor"] == 0
    # What moves both models alike moves no difference.
    shift = np.random.default_rng(1).standard_normal(ROWS) ** 2
    moved = {name: values + shift for name, values in found.items()}
    again = compare_outputs(
        moved, split(labels, SENTIMENT), metrics=["mae"], train_labels=labels, resamples=2000
    )
    assert again.loc[("second", "mae"), "standard_error"] == pytest.approx(expected, rel=0.1)


def test_one_seed_leaves_the_rows() -> None:
    labels, found = outputs()
    one = {name: values[:1] for name, values in found.items()}
    table = compare_outputs(one, split(labels, SENTIMENT), metrics=["mae"], train_labels=labels)
    expected = (one["second"] - one["first"]).std(ddof=1) / np.sqrt(ROWS)
    assert table.loc[("second", "mae"), "standard_error"] == pytest.approx(expected, rel=0.1)
    assert np.isnan(table.loc[("second", "mae"), "sd"])
    with pytest.raises(LMFError, match="same seeds"):
        compare_outputs(
            {"a": found["first"], "b": one["second"]},
            split(labels, SENTIMENT),
            metrics=["mae"],
            train_labels=labels,
        )
    with pytest.raises(LMFError, match="'mae'"):
        compare_outputs(one, split(labels, SENTIMENT), metrics=["mea"], train_labels=labels)


def recipe(**changes) -> Recipe:
    base = Recipe(
        name="small",
        corpus={"name": "synthetic", "options": {"samples": 300}},
        target={"name": "emotion", "classes": ["calm", "excited"]},
        inputs={
            name: {"shape": [8], "backbone": {"name": "mlp", "units": [4]}} for name in ("audio", "video")
        },
        fusion={"name": "low_rank", "units": 4, "rank": 2},
        training={"loss": "cross_entropy", "epochs": 1},
    )
    return base.replace(**changes)


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
def test_compare_trains_each_once_and_tells_what_the_runs_say(tmp_path: Path) -> None:
    recipe().write(tmp_path / "small.toml")
    call = ("compare", "small.toml", "--fusion", "early,low_rank", "--seeds", 2, "--json")
    result = command(*call, folder=tmp_path)
    assert result.exit_code == 0, result.stderr
    (told,) = json.loads(result.stdout)
    home = tmp_path / told["folder"]
    runs = {name: [home / f"small-{name}-seed-{seed}" for seed in range(2)] for name in ("early", "low_rank")}
    states = {path: (path / "state.npz").read_bytes() for paths in runs.values() for path in paths}
    test = synthetic.load(samples=300)["test"]
    logits = [Run.open(path).model.predict(test.inputs, verbose=0)["emotion"] for path in runs["low_rank"]]
    (row,) = [row for row in told["metrics"] if (row["model"], row["metric"]) == ("small-low_rank", "war")]
    assert row["mean"] == pytest.approx(
        np.mean([accuracy_score(test.labels, each.argmax(1)) for each in logits])
    )
    # A run that was interrupted goes on; the others stay.
    (runs["early"][0] / "model.weights.h5").unlink()
    assert "Δ accuracy" in command(*call[:-1], folder=tmp_path).stdout
    assert all((path / "state.npz").read_bytes() == state for path, state in states.items())
    assert sorted(path.name for path in home.glob("*.*")) == [
        "comparison.md",
        "comparison.png",
        "costs.csv",
        "metrics.csv",
    ]
    assert command("compare", "small.toml", "--fusion", "lowrank", folder=tmp_path).exit_code == 1


def test_tune_goes_on_where_it_was_killed_and_finds_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for training, whose loss is least at rank 4, 64 units and a learning rate of 1e-3."""
    data, trained = synthetic.load(samples=300), []

    def train(recipe: Recipe, data: object, folder: Path) -> SimpleNamespace:
        trained.append(folder.name)
        if len(trained) == 12:
            raise KeyboardInterrupt
        fusion, rate = recipe.fusion, recipe.training.learning_rate
        loss = abs(np.log2(fusion.rank / 4)) + abs(np.log2(fusion.units / 64)) + abs(np.log10(rate / 1e-3))
        return SimpleNamespace(watched=pd.Series([9.0, loss]), best_epoch=2, folder=folder)

    monkeypatch.setattr(tuning, "train", train)
    with pytest.raises(KeyboardInterrupt):
        tuning.tune(recipe(), data, tmp_path, trials=16)
    first, trained[:] = list(trained), ["before"] * 12
    table = tuning.tune(recipe(), data, tmp_path, trials=16)
    # The same trials in the same order.
    assert trained[12 : 12 + len(first)] == first
    assert len(table) == 16
    assert table["valid"].is_monotonic_increasing
    assert len(table.drop_duplicates(["rank", "units", "learning_rate"])) == 16
    best = Recipe.read(tmp_path / "recipe.toml")
    assert (best.fusion.rank, best.fusion.units) == (table["rank"][0], table["units"][0])
    assert best.training.learning_rate == pytest.approx(table["learning_rate"][0], rel=0.01)
    assert best.training.fit_on == "train"
    written = pd.read_csv(tmp_path / "trials.csv")
    pd.testing.assert_frame_equal(written, table)


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = synthetic.load(samples=300)
    with pytest.raises(LMFError, match="'low_rank'"):
        tuning.tune(recipe(fusion={"name": "early"}), data, tmp_path)
    with pytest.raises(LMFError, match="'valid'"):
        tuning.tune(recipe(), data.with_validation_in_training(), tmp_path)
    with pytest.raises(LMFError, match="'trials'"):
        tuning.tune(recipe(), data, tmp_path, trials=0)
    with pytest.raises(LMFError, match="different names"):
        compare([recipe(), recipe()], data, tmp_path)
    with pytest.raises(LMFError, match="'seeds'"):
        compare([recipe()], data, tmp_path, seeds=0)

    def fails(error: Exception):
        def train(*_):
            raise error

        return train

    monkeypatch.setattr(tuning, "train", fails(LMFError("the folder is in use")))
    with pytest.raises(LMFError, match="in use"):
        tuning.tune(recipe(), data, tmp_path / "search")
    monkeypatch.setattr(tuning, "train", fails(NotFiniteLoss("infinite")))
    with pytest.raises(LMFError, match="The search ended"):
        tuning.tune(recipe(), data, tmp_path / "search")
