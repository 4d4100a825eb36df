"""Leave one corpus out: nothing of a corpus reaches the training of the models that are judged on it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from left_out_runs import CLASSES, FakeRun, corpus, recall, recipe
from sklearn.metrics import accuracy_score

from keras_lmf.cli import main
from keras_lmf.data import Dataset
from keras_lmf.data.corpora.joined import join
from keras_lmf.errors import LMFError
from keras_lmf.recipe import Recipe
from keras_lmf.training import leave_one_corpus_out


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Three corpora; the last alone has "surprised"."""
    return join({"one": corpus("one", 0), "two": corpus("two", 1), "three": corpus("three", 2, CLASSES)})


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    """The trainings that were asked for; each model answers by what the last feature holds."""
    runs: list[FakeRun] = []

    def fake(recipe: Recipe, data: Dataset, folder: Path) -> FakeRun:
        runs.append(FakeRun(recipe, data, folder, lambda voice: voice[:, 2].astype(int)))
        return runs[-1]

    monkeypatch.setattr("keras_lmf.training.left_out.train", fake)
    monkeypatch.setattr("keras_lmf.training.left_out.open_artifact", lambda model: model)
    return runs


def test_nothing_of_the_corpus_is_trained_on(data, trained, tmp_path):
    own = FakeRun(recipe(), data, tmp_path, lambda voice: voice[:, 0].astype(int))
    leave_one_corpus_out(own, seeds=2)
    assert sorted(
        run.folder.relative_to(tmp_path / "leave_one_corpus_out").name for run in trained
    ) == sorted(
        [
            "all-seed-5",
            *(f"without-{name}-seed-{seed}" for name in ("one", "two", "three") for seed in (4, 5)),
        ]
    )
    for run in trained:
        _, name, _, seed = f"x-{run.folder.name}".rsplit("-", 3)
        assert run.recipe == recipe(seed=int(seed))
        if name == "all":
            assert run.data is data
            continue
        assert set(run.data.corpora) == {"one", "two", "three"} - {name}
        assert run.data.split_names == ("train", "valid")
        rows = (data.corpora != name) & (data.splits != "test")
        assert run.data.ids.tolist() == data.ids[rows].tolist()


def test_both_are_judged_on_the_rows_of_that_corpus_s_test_split(data, trained, tmp_path):
    own = FakeRun(recipe(), data, tmp_path, lambda voice: voice[:, 0].astype(int))
    table = leave_one_corpus_out(own).table.set_index(["corpus", "metric"])
    for name in ("one", "two", "three"):
        test = (data.corpora == name) & (data.splits == "test")
        if name == "three":  # no other corpus has "surprised"
            test &= data.labels != 3
        assert set(table.loc[name, "without"]) == {"surprised" if name == "three" else ""}
        labels, voice = data.labels[test], data.inputs["voice"][test].astype(int)
        assert set(table.loc[name, "rows"]) == {9}
        for metric, oracle in (("war", accuracy_score), ("uar", recall)):
            row = table.loc[(name, metric)]
            assert row["others"] == pytest.approx(oracle(labels, voice[:, 2]))
            assert row["all"] == pytest.approx(oracle(labels, voice[:, 0]))
            assert row["floor"] == pytest.approx(1 / 3)


def test_data_of_one_corpus_are_refused(data, trained, tmp_path):
    alone = corpus("one", 0)
    for held in (alone, data.take(data.corpora == "one")):
        own = FakeRun(recipe(corpus={"name": "one.npz"}), held, tmp_path)
        with pytest.raises(LMFError, match=r"needs data of several.*'one\.npz' alone"):
            leave_one_corpus_out(own)
    without_test = data.take((data.corpora != "two") | (data.splits != "test"))
    with pytest.raises(LMFError, match="'two' has no test rows"):
        leave_one_corpus_out(FakeRun(recipe(), without_test, tmp_path))
    renamed = join({"../one": alone, "two": alone})
    with pytest.raises(LMFError, match="can't name a folder"):
        leave_one_corpus_out(FakeRun(recipe(), renamed, tmp_path))
    started = recipe(start={"from": "runs/earlier"})
    with pytest.raises(LMFError, match=r"starts from 'runs/earlier'.*without \[start\]"):
        leave_one_corpus_out(FakeRun(started, data, tmp_path))
    taught = recipe(training={"distillation": {"teacher": "runs/earlier"}})
    with pytest.raises(LMFError, match=r"learns from runs/earlier.*without \[training\.distillation\]"):
        leave_one_corpus_out(FakeRun(taught, data, tmp_path))
    assert not trained


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corpora of one's own, and `voices.toml` that joins them."""
    folder = tmp_path_factory.mktemp("corpora")
    for place, name in enumerate(("one", "two")):
        corpus(name, place, CLASSES[:2]).save(folder / f"{name}.npz")
    target = {"name": "emotion", "classes": CLASSES[:2]}
    training = {"epochs": 40, "learning_rate": 0.05, "patience": 40}
    recipe(corpus={"name": ["one.npz", "two.npz"]}, target=target, training=training).write(
        folder / "voices.toml"
    )
    return folder


@pytest.mark.long
def test_a_model_that_never_met_a_corpus_is_misled_there(folder):
    with contextlib.chdir(folder):
        runner = CliRunner()
        trained = runner.invoke(main, ["train", "voices.toml", "--data", ".", "--folder", "run"])
        assert trained.exit_code == 0, trained.output
        words = ["evaluate", "run", "--data", ".", "--leave-one-corpus-out"]
        told = runner.invoke(main, [*words, "--json"])
        assert told.exit_code == 0, told.output
        wrong = runner.invoke(main, [*words, "--split", "valid"])
        assert wrong.exit_code == 2
        again = runner.invoke(main, words)  # nothing is trained again
        assert again.exit_code == 0
    rows = pd.DataFrame(json.loads(told.stdout)).set_index(["corpus", "metric"])
    for name in ("one", "two"):
        assert rows.loc[(name, "war"), "others"] < rows.loc[(name, "war"), "floor"] == 0.5
        assert f"{rows.loc[(name, 'war'), 'all']:.3f}" in again.stdout
    written = pd.read_csv(folder / "run" / "leave_one_corpus_out.csv")
    assert written["others"].tolist() == pytest.approx(rows["others"].tolist())
