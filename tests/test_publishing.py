"""publish makes an entry that loads, whose card is true, and whose numbers are those of the written files."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as oracle
from click.testing import CliRunner
from exporting import exported_here

import keras_lmf as klmf
from keras_lmf.cli import main
from keras_lmf.export import exporter
from keras_lmf.publishing import entries, exports, retrainings
from keras_lmf.publishing.entries import alone
from keras_lmf.publishing.retrainings import trained
from keras_lmf.quickstart import recipe as quick_recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.zoo import Entry, Spread, file_records
from keras_lmf.zoo.files import loss_of

pytestmark = pytest.mark.slow

NAME = "lmf-synthetic-av"
SEEDS = 2
SAMPLES = 2000  # of fewer, the temperature is fitted by five trainings more
LIMITS = "Use it for: a try.\nNot for: earnest.\n\nRandom numbers.\n"


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[Path, Path]:
    """The folder of a tiny entry, and where its runs are."""
    zoo, work = tmp_path_factory.mktemp("zoo"), tmp_path_factory.mktemp("work")
    tiny = quick_recipe("low_rank").replace(
        name=NAME, corpus={"options": {"samples": SAMPLES}}, training={"epochs": 2}
    )
    tiny.write(zoo / NAME / "recipe.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exports, "FORMATS", ("tflite", "tflite-float16"))  # each takes seconds
        with exported_here():
            entries.publish(zoo / NAME, work, seeds=SEEDS)
    (zoo / NAME / "limits.md").write_text(LIMITS)
    return zoo / NAME, work


def test_the_best_seed_on_validation_is_shipped(published):
    folder, work = published
    losses = [pd.read_csv(work / f"seed-{seed}" / "history.csv")["val_loss"].min() for seed in range(SEEDS)]
    assert klmf.Recipe.read(folder / "recipe.toml").seed == int(np.argmin(losses))
    assert (folder / "model.weights.h5").read_bytes() == (
        work / f"seed-{int(np.argmin(losses))}" / "model.weights.h5"
    ).read_bytes()


def test_entry_loads_and_says_what_its_files_answer(published):
    folder, _ = published
    entry = Entry.read(folder)
    test = klmf.data.load("synthetic", samples=SAMPLES)["test"]
    model = klmf.load(folder)
    for key, file in entry.files.items():
        if not file.name.endswith(".tflite"):
            continue
        logits = open_artifact(folder / file.name).predict(test.inputs)["emotion"]
        accuracy = oracle.accuracy_score(test.labels, logits.argmax(axis=1))
        assert entry.metrics[key]["war"].value == pytest.approx(accuracy, abs=1e-6)
        difference = np.abs(logits - model.predict(test.inputs, batch_size=1, verbose=0)["emotion"]).max()
        assert entry.costs[key].difference_max == pytest.approx(difference, abs=1e-6)
        assert entry.costs[key].bytes == (folder / file.name).stat().st_size


def test_files_are_written_anew_from_the_weights(published, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(published[0], tmp_path / NAME))
    before = Entry.read(folder)
    about_files = (
        "The tflite-float16 file is not shipped: it was too long.",
        "No tflite-int8 file: it failed.",
    )
    (folder / "model-int8.tflite").write_bytes((folder / "model.tflite").read_bytes())  # of another time
    (folder / "mine.tflite").write_bytes(b"a user's")
    files = before.files | file_records(folder, {"tflite-int8": "model-int8.tflite"})
    notes = {"protocol": (*before.protocol, *about_files), "files": files}
    before.model_copy(update=notes).write(folder)
    monkeypatch.setattr(exports, "FORMATS", ("tflite", "tflite-dynamic"))
    with exported_here():
        result = CliRunner().invoke(main, ["renew", str(folder), "--work", str(tmp_path / "work")])
    assert result.exit_code == 0, result.output
    entry = Entry.read(folder)
    assert sorted(path.name for path in folder.glob("*.tflite")) == [
        "mine.tflite",
        "model-dynamic.tflite",
        "model.tflite",
    ]
    assert {"tflite", "tflite-dynamic"} == set(entry.costs) == set(entry.metrics) - {"weights"}
    for name in ("model.weights.h5", "testvectors.npz", "recipe.toml"):
        assert (folder / name).read_bytes() == (published[0] / name).read_bytes()
    kept = {"files", "metrics", "costs", "seeds"}
    assert entry.model_dump(exclude=kept) == before.model_dump(exclude=kept)
    assert entry.metrics["weights"] == before.metrics["weights"]
    assert entry.seeds["weights"] == before.seeds["weights"]
    test = klmf.data.load("synthetic", samples=SAMPLES)["test"]
    keras_logits = klmf.load(folder).predict(test.inputs, batch_size=1, verbose=0)["emotion"]
    for key in entry.costs:
        logits = open_artifact(folder / entry.files[key].name).predict(test.inputs)["emotion"]
        accuracy = oracle.accuracy_score(test.labels, logits.argmax(axis=1))
        assert entry.metrics[key]["war"].value == pytest.approx(accuracy, abs=1e-6)
        assert entry.costs[key].difference_max == pytest.approx(np.abs(logits - keras_logits).max(), abs=1e-6)
        spread = entry.seeds[key]["war"]
        assert (spread.mean, spread.runs) == (entry.metrics[key]["war"].value, 1)
        lost = oracle.accuracy_score(test.labels, keras_logits.argmax(axis=1)) - accuracy
        assert loss_of(entry, key).share == pytest.approx(lost, abs=1e-6)  # not against the mean of all seeds


def test_seeds_are_summarised_per_file(published):
    folder, work = published
    entry = Entry.read(folder)
    test = klmf.data.load("synthetic", samples=SAMPLES)["test"]
    scores = []
    for seed in range(SEEDS):
        file = work / f"seed-{seed}" / "exported" / "model-float16.tflite"
        logits = open_artifact(file).predict(test.inputs)["emotion"]
        scores.append(oracle.balanced_accuracy_score(test.labels, logits.argmax(axis=1)))
    spread = entry.seeds["tflite-float16"]["uar"]
    assert spread.mean == pytest.approx(np.mean(scores))
    assert spread.sd == pytest.approx(np.std(scores, ddof=1))
    assert spread.runs == SEEDS


def test_card_is_rendered_and_its_snippet_runs(published, monkeypatch):
    folder, _ = published
    runner = CliRunner()
    assert runner.invoke(main, ["render", str(folder.parent), "--check"]).exit_code == 1
    assert runner.invoke(main, ["render", str(folder.parent)]).exit_code == 0
    assert runner.invoke(main, ["render", str(folder.parent), "--check"]).exit_code == 0
    card = (folder / "CARD.md").read_text()
    assert "Random numbers." in card
    assert (folder / "files.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.chdir(folder.parent)  # a folder is accepted wherever a name is
    names: dict = {}
    for snippet in re.findall(r"```python\n(.*?)```", card, re.DOTALL):
        exec(snippet, names)
        assert names["answer"].shape == (1, 2)
    assert names["file"].suffix == ".tflite"
    card_path = folder / "CARD.md"
    card_path.write_text(card.replace("Random", "True"))
    result = runner.invoke(main, ["render", str(folder.parent), "--check"])
    assert result.exit_code == 1
    assert "CARD.md" in result.output
    (folder / "limits.md").rename(folder / "limits")
    result = runner.invoke(main, ["render", str(folder.parent)])
    assert result.exit_code == 1
    assert "limits.md is missing" in result.output
    (folder / "limits").rename(folder / "limits.md")


def test_pages_have_the_folds_and_every_trial(published, tmp_path):
    zoo = tmp_path / "zoo"
    shutil.copytree(published[0].parent, zoo)
    folds = pd.DataFrame({"fold": [0, 1, 2], "war": [0.5, 0.75, 1.0]})
    folds.to_csv(zoo / NAME / "cross_validation.csv", index=False)
    entry = Entry.read(zoo / NAME)
    crossed = retrainings.cross_validation(zoo / NAME)
    by_modality = {"audio": {"war": Spread(mean=0.625, sd=0.125, runs=4)}}
    table = pd.DataFrame({"model": ["fused", *["trained alone"] * 2, *["product of experts"] * 2]})
    table["there"], table["seed"] = ["all", "audio", "audio", "all", "all"], [0, 0, 1, 0, 1]
    table["war"], table["nll"] = [0.9, 0.25, 0.75, 0.5, 1.0], 1.0
    table.to_csv(zoo / NAME / "experts.csv", index=False)
    update = {"cross_validation": crossed, "alone": by_modality, "warning": "Drawn at random."}
    update["experts"] = retrainings.experts(zoo / NAME)
    entry.model_copy(update=update).write(zoo / NAME)
    assert Entry.read(zoo / NAME).alone == by_modality
    trials = pd.DataFrame({"fold": 0, "trial": [0, 1], "seed": 0, "metric": "war", "value": [0.625, 0.875]})
    trials.to_csv(zoo / NAME / "trials.csv", index=False)
    (tmp_path / "README.md").write_text("before\n<!-- table zoo -->\nstale\n<!-- end zoo -->\nafter\n")
    assert CliRunner().invoke(main, ["render", str(zoo)]).exit_code == 0
    card = (zoo / NAME / "CARD.md").read_text()
    assert "3 folds 0.750 ± 0.250" in card
    assert "0.750 ± 0.250" in card  # the mean, and the deviation with n − 1, of .5, .75 and 1
    assert card.startswith(f"# {NAME}\n\n**Drawn at random.**\n")
    assert re.search(r"\| metric +\| all inputs +\| audio +\|", card)
    assert re.search(r"\| accuracy +\| \d\.\d{3} ± \d\.\d{3} +\| 0\.625 ± 0\.125 +\|", card)
    beside = re.search(
        r"\| metric +\| this model +\| audio, trained alone +\| product of experts +\|.*\n.*\n(.*)", card
    )
    assert re.search(
        r"\| 0\.500 ± 0\.354 +\| 0\.750 ± 0\.354 +\|", beside[1]
    )  # sd of two: half their distance · √2
    results = pd.read_csv(zoo / "results.csv")
    assert results[results["split"] == "valid"]["value"].tolist() == [0.625, 0.875]
    assert f"[{NAME}](zoo/{NAME}/CARD.md)" in (page := (tmp_path / "README.md").read_text())
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "stale" not in page
    assert CliRunner().invoke(main, ["render", str(zoo), "--check"]).exit_code == 0
    (tmp_path / "README.md").write_text("<!-- table zoo -->")
    result = CliRunner().invoke(main, ["render", str(zoo)])
    assert result.exit_code == 1
    assert "<!-- end zoo -->" in result.output


def test_a_finished_run_of_another_backend_is_taken(tmp_path):
    data = klmf.data.load("synthetic", samples=200)
    recipe = quick_recipe("early").replace(training={"epochs": 1})
    run = klmf.train(recipe, data, tmp_path)
    state = dict(np.load(tmp_path / "state.npz"))
    progress = json.loads(str(state["progress"])) | {"fingerprint": "of another backend"}
    np.savez(tmp_path / "state.npz", **state | {"progress": np.array(json.dumps(progress))})
    with pytest.raises(klmf.LMFError, match="another backend"):
        klmf.train(recipe, data, tmp_path)
    for ours, theirs in zip(trained(recipe, data, tmp_path).model.get_weights(), run.model.get_weights()):
        np.testing.assert_array_equal(ours, theirs)
    unfinished = json.dumps(progress | {"finished": False})
    np.savez(tmp_path / "state.npz", **state | {"progress": np.array(unfinished)})
    for other in (recipe, recipe.replace(training={"epochs": 2})):
        with pytest.raises(klmf.LMFError, match="another backend"):
            trained(other, data, tmp_path)


def test_each_modality_alone_is_judged(tmp_path):
    data = klmf.data.load("synthetic", samples=200)
    needs_both = quick_recipe("low_rank").replace(training={"epochs": 1})
    recipe = needs_both.replace(presence={"dropout": 0.3})
    runs = [klmf.train(recipe.replace(seed=seed), data, tmp_path / f"{seed}") for seed in (0, 1)]
    found = alone(runs)
    assert list(found) == ["audio", "video"]
    test = data["test"]
    for seed, run in enumerate(runs):
        inputs = {"audio": np.zeros_like(test.inputs["audio"]), "video": test.inputs["video"]}
        answers = run.model.predict(inputs, verbose=0)["emotion"].argmax(axis=1)
        expected = oracle.balanced_accuracy_score(test.labels, answers)
        assert found["video"][seed]["uar"] == pytest.approx(expected)
    assert alone([dataclasses.replace(runs[0], recipe=needs_both)]) == {}


def test_a_sidecar_lies_beside_every_file(published):
    folder, _ = published
    entry = Entry.read(folder)
    for key in ("tflite", "tflite-float16"):
        facts = json.loads((folder / entry.files[f"{key}-sidecar"].name).read_text())
        assert facts["sha256"] == entry.files[key].sha256
        assert facts["labels"] == list(entry.target.classes)
        assert "standard deviations" in facts["inputs"]["audio"]["unit"]


@pytest.mark.long
def test_a_format_that_fails_leaves_the_others(tmp_path, monkeypatch):
    folder = tmp_path / NAME
    tiny = quick_recipe("early").replace(
        name=NAME, corpus={"options": {"samples": SAMPLES}}, training={"epochs": 1}
    )
    tiny.replace(training={"fit_on": "train + valid"}).write(folder / "recipe.toml")
    monkeypatch.setattr(exports, "FORMATS", ("tflite", "tflite-dynamic"))
    export = exporter._export

    def without_dynamic(name, *arguments):
        if name == "tflite-dynamic":
            raise klmf.LMFError("no dynamic today")
        return export(name, *arguments)

    monkeypatch.setattr(exporter, "_export", without_dynamic)
    with exported_here():
        entry = entries.publish(folder, tmp_path / "work", seeds=1)
    assert "tflite" in entry.files
    assert "tflite-dynamic" not in {*entry.files, *entry.metrics, *entry.seeds}
    assert any(note == "No tflite-dynamic file: no dynamic today" for note in entry.protocol)
    assert any("Fitted on train + valid for 1 epochs" in note for note in entry.protocol)


def test_check_needs_an_entry(published):
    folder, _ = published
    result = CliRunner().invoke(main, ["train", str(folder / "recipe.toml"), "--check"])
    assert result.exit_code == 1
    assert "--check compares with a zoo entry" in result.output


def test_other_backend_is_refused_before_training(monkeypatch, tmp_path):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    quick_recipe("early").write(tmp_path / "recipe.toml")
    with pytest.raises(klmf.LMFError, match="KERAS_BACKEND=tensorflow"):
        entries.publish(tmp_path, tmp_path / "work")
    assert not (tmp_path / "work").exists()
