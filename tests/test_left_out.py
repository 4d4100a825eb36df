"""Leave one corpus out: nothing of a corpus reaches the training of the models that are judged on it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.metrics import accuracy_score

from keras_lmf.backend import nested_layers
from keras_lmf.cli import main
from keras_lmf.data import Dataset
from keras_lmf.data.corpora.joined import join
from keras_lmf.errors import LMFError
from keras_lmf.models import build, fitted_layers, set_standardization
from keras_lmf.publishing.retrainings import left_out
from keras_lmf.recipe import Recipe
from keras_lmf.target import Target
from keras_lmf.training import LeaveOneCorpusOut, leave_one_corpus_out
from keras_lmf.training import left_out as left_out_module
from keras_lmf.zoo import Enrolled, Entry, LeftOut, Metric, Spread, cards

CLASSES = ("angry", "happy", "sad", "surprised")
SPREAD = Spread(mean=0.75, sd=0.125, runs=2)
SPLITS = ["train"] * 6 + ["valid"] * 3 + ["test"] * 3


def corpus(name: str, place: int, classes: tuple[str, ...] = CLASSES[:3]) -> Dataset:
    """Twelve rows of each class. The feature `place` is the class. The others are noise, and in the test split the next
    class: they mislead what learnt from another corpus."""
    count, splits = len(classes), np.tile(SPLITS, len(classes))
    labels = np.repeat(np.arange(count), len(SPLITS))
    voice = np.random.default_rng(place).normal(0, 5, (len(labels), 3))
    voice[splits == "test"] = ((labels + 1) % count)[splits == "test", None]
    voice[:, place] = labels
    return Dataset(
        name=name,
        target=Target(name="emotion", classes=classes),
        inputs={"voice": voice},
        labels=labels,
        groups=splits,
        ids=np.array([f"clip{row}" for row in range(len(labels))]),
        splits=splits,
    )


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Three corpora; the last alone has "surprised"."""
    return join({"one": corpus("one", 0), "two": corpus("two", 1), "three": corpus("three", 2, CLASSES)})


def recipe(**changes) -> Recipe:
    return Recipe(
        name="voices",
        seed=4,
        corpus={"name": ["one.npz", "two.npz", "three.npz"]},
        target={"name": "emotion", "classes": CLASSES},
        inputs={"voice": {"shape": [3], "backbone": {"name": "mlp", "units": [8]}}},
        fusion={"name": "none"},
        training={"loss": "cross_entropy", "epochs": 2, "batches": "corpora"},
    ).replace(**changes)


class FakeRun:
    """A training that was not: its answers are the first class that it met, or what `answers` says."""

    def __init__(self, recipe: Recipe, data: Dataset, folder: Path, answers=None) -> None:
        self.recipe, self.data, self.folder, self.answers = recipe, data, folder, answers

    @property
    def model(self):
        return self

    def dataset(self) -> Dataset:
        return self.data

    def predict(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"emotion": np.eye(4)[self.answers(inputs["voice"])]}


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


def recall(labels: np.ndarray, answers: np.ndarray) -> float:
    """Mean over the classes that occur."""
    return np.mean([np.mean(answers[labels == label] == label) for label in np.unique(labels)])


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


def test_the_card_has_both_figures(entry_folder):
    entry = Entry.read(entry_folder)
    (entry_folder / "limits.md").write_text("Use it for: a\nNot for: b\n")
    table = pd.DataFrame(
        {
            "corpus": "synthetic",
            "metric": ["war", "war"],
            "seed": [0, 1],
            "others": [0.25, 0.75],
            "all": [0.875, 0.9375],
            "floor": 0.125,
            "rows": 40,
            "without": "calm, bored",
        }
    )
    LeaveOneCorpusOut("title", table).save(entry_folder)
    found = left_out(entry_folder)
    others, both = Spread(mean=0.5, sd=np.std([0.25, 0.75], ddof=1), runs=2), found["synthetic"]["war"].all
    expected = LeftOut(others=others, all=both, floor=0.125, rows=40, without=("calm", "bored"))
    assert found == {"synthetic": {"war": expected}}
    assert both.mean == 0.90625
    joined = entry.model_copy(update={"corpus": ("synthetic", "mine"), "left_out": found})
    joined.write(entry_folder)
    assert Entry.read(entry_folder) == joined
    card = cards.card(entry_folder, joined)
    for figure in ("0.500 ± 0.354", "0.906 ± 0.044", "0.125", "calm, bored"):
        assert figure in card
    assert "clips of the speaker enrolled" not in card
    enrolled = (Enrolled(clips=10, others=SPREAD.model_copy(update={"mean": 0.6875}), all=SPREAD),)
    measured = expected.model_copy(update={"enrolled": enrolled, "enrolled_rows": 33, "speakers_left_out": 2})
    known = joined.model_copy(update={"left_out": {"synthetic": {"war": measured}}})
    known.write(entry_folder)
    assert Entry.read(entry_folder) == known
    line = next(line for line in cards.card(entry_folder, known).splitlines() if "0.688 ± 0.125" in line)
    assert [cell.strip() for cell in line.split("|")][3:] == [
        *("10", "0.688 ± 0.125", "0.750 ± 0.125", "", "33", "", "2", "")
    ]
    assert "left_out" not in entry.to_json()


def test_an_entry_of_several_corpora_has_no_card_without(entry_folder):
    (entry_folder / "limits.md").write_text("Use it for: a\nNot for: b\n")
    complete = {"metrics": {"weights": {"war": Metric(value=0.75)}}, "seeds": {"weights": {"war": SPREAD}}}
    entry = Entry.read(entry_folder).model_copy(update=complete)
    entry.write(entry_folder)
    assert cards.pages(entry_folder.parent)
    entry.model_copy(update={"corpus": ("synthetic", "mine")}).write(entry_folder)
    with pytest.raises(LMFError, match="left_out"):
        cards.pages(entry_folder.parent)


SPEAKERS, EACH, SAMPLES = ("a", "b", "few"), {"a": 16, "b": 18, "few": 14}, 1600


def voices(name: str, level: float) -> Dataset:
    """Noise, louder for the second class, and by an own factor for each of three speakers a split."""
    random = np.random.default_rng(int(level))
    groups, splits = [], []
    for split in ("train", "valid", "test"):
        for speaker in SPEAKERS:
            groups += [f"{name}-{split}-{speaker}"] * EACH[speaker]
            splits += [split] * EACH[speaker]
    labels = random.integers(0, 2, len(groups))
    own = {group: random.uniform(0.5, 2) for group in dict.fromkeys(groups)}
    loud = level * 0.01 * (1 + labels) * np.array([own[group] for group in groups])
    voice = loud[:, None] * random.standard_normal((len(groups), SAMPLES)).clip(-3, 3)
    return Dataset(
        name=name,
        target=Target(name="emotion", classes=CLASSES[:2]),
        inputs={"voice": voice},
        labels=labels,
        groups=np.array(groups),
        ids=np.array([f"{name}{row}" for row in range(len(groups))]),
        splits=np.array(splits),
    )


def heard() -> Recipe:
    voice = {
        "shape": [SAMPLES],
        "front_end": {"name": "log_mel", "bands": 6, "sample_rate": 8000},
        "backbone": {"name": "average_pooling", "units": [4]},
    }
    return recipe(
        corpus={"name": ["one.npz", "two.npz"]},
        target={"name": "emotion", "classes": CLASSES[:2]},
        inputs={"voice": voice},
    )


class Untrained(FakeRun):
    """A run with random weights, and a standardisation of its own."""

    def __init__(self, recipe: Recipe, data: Dataset, folder: Path) -> None:
        super().__init__(recipe, data, folder)
        self._built = build(recipe)
        set_standardization(self._built, {"voice": (np.linspace(-9, 0, 6), np.linspace(0.5, 2, 6))})

    @property
    def model(self) -> keras.Model:
        return self._built


@pytest.mark.slow
def test_clips_of_the_speaker_move_the_centre(tmp_path, monkeypatch):
    """Accuracy and balanced accuracy as NumPy finds them; front ends are asked once for each corpus."""
    joined = join({"one": voices("one", 1), "two": voices("two", 9)})
    monkeypatch.setattr(left_out_module, "train", Untrained)
    run = Untrained(heard(), joined, tmp_path)
    asked = []
    made = left_out_module.split_features

    def counted(*arguments):
        asked.append(arguments)
        return made(*arguments)

    monkeypatch.setattr(left_out_module, "split_features", counted)
    found = leave_one_corpus_out(run)
    assert len(asked) == 2
    table = found.table.set_index(["corpus", "metric", "seed"])
    test = joined.take(joined.corpora == "one")["test"]
    model = run.model
    features = keras.ops.convert_to_numpy(model.get_layer("voice_front_end")(test.inputs["voice"]))
    (layer,) = fitted_layers(model, "voice", "standardization")
    centre = keras.ops.convert_to_numpy(layer.adapt_mean)
    spread = np.sqrt(keras.ops.convert_to_numpy(layer.adapt_variance))
    dense = next(layer for layer in nested_layers(model) if layer.name == "dense_0").get_weights()
    last = model.get_layer("emotion").get_weights()

    def answers(centres: np.ndarray) -> np.ndarray:
        pooled = ((features - centres[:, None]) / spread).mean(axis=1)
        return (np.maximum(pooled @ dense[0] + dense[1], 0) @ last[0] + last[1]).argmax(axis=1)

    row = table.loc[("one", "uar", 4)]
    assert row["all"] == pytest.approx(recall(test.labels, answers(np.tile(centre, (len(test), 1)))))
    kept = np.array([not group.endswith("few") for group in test.groups])
    assert (row["rows"], row["enrolled_rows"], row["speakers_left_out"]) == (48, 34, 1)
    for clips in (3, 10):
        draws = []
        for draw in range(10):
            random, centres = np.random.default_rng(draw), np.tile(centre, (len(test), 1))
            for speaker in sorted(set(test.groups[kept])):
                rows = np.flatnonzero(test.groups == speaker)
                order = random.random((len(rows), len(rows)))
                for i, place in enumerate(rows):
                    others = [rows[j] for j in np.argsort(order[i]) if j != i][:clips]
                    mean = np.mean([features[j].mean(axis=0) for j in others], axis=0)
                    centres[place] = centre + clips / (clips + 3) * (mean - centre)
            draws.append(answers(centres)[kept])
        for metric, oracle in (("war", accuracy_score), ("uar", recall)):
            expected = np.mean([oracle(test.labels[kept], one) for one in draws])
            assert table.loc[("one", metric, 4), f"all_enrolled_{clips}"] == pytest.approx(expected)
    assert table["all_enrolled_10"].nunique() > 1
    found.save(tmp_path)
    block = left_out(tmp_path)["one"]["uar"]
    told = found.table.query("corpus == 'one' and metric == 'uar'")
    assert [one.clips for one in block.enrolled] == [3, 10]
    assert block.enrolled[1].others.mean == pytest.approx(told["others_enrolled_10"].mean())
    assert (block.enrolled_rows, block.speakers_left_out) == (34, 1)
    assert f"{told['others_enrolled_3'].mean():.3f}" in found.to_markdown()


def test_without_a_speaker_of_many_clips_there_is_no_such_figure(tmp_path):
    nobody = {f"{who}_enrolled_{clips}": [np.nan] for who in ("others", "all") for clips in (3, 10)}
    raw = {"corpus": "one", "metric": "uar", "seed": 0, "others": 0.5, "all": 0.75, "floor": 0.25, "rows": 9}
    counts = {"enrolled_rows": 0, "speakers_left_out": 2, "without": ""}
    found = LeaveOneCorpusOut("title", pd.DataFrame(raw | nobody | counts))
    found.save(tmp_path)
    assert left_out(tmp_path)["one"]["uar"].enrolled is None
    assert "2 speakers" in found.to_markdown()
