"""train, evaluate and export of a zoo entry: what load checks is checked, and the published numbers come out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from command_line import command
from zoo_entry import NAME, Mirror, recipe, rewrite

import keras_lmf as klmf
from keras_lmf.models import build
from keras_lmf.zoo import Entry, description, file_records

BUNDLED = "lmf-synthetic-av"
ZOO = Path(__file__).parents[1] / "zoo"


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in a folder of their own."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def evaluated(source: object) -> dict:
    result = command("evaluate", source, "--resamples", 0, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def accuracy(model) -> float:
    test = klmf.data.load("synthetic")["test"]
    logits = model.predict(test.inputs, verbose=0)["emotion"]
    return float(np.mean(logits.argmax(axis=1) == test.labels))


def test_evaluate_prints_the_published_metrics(work: Path) -> None:
    found, entry = evaluated(BUNDLED), Entry.read(ZOO / BUNDLED)
    assert found.keys() == entry.metrics["weights"].keys()
    for name, metric in entry.metrics["weights"].items():
        assert found[name]["value"] == pytest.approx(metric.value, abs=1e-6)
        assert found[name]["floor"] == pytest.approx(metric.floor, abs=1e-6)
    assert [path.name for path in work.iterdir()] == ["runs"], "a folder NAME would hide the entry"
    assert (work / "runs" / BUNDLED / "test").is_dir()


@pytest.mark.slow
@pytest.mark.usefixtures("exported_in_process")
def test_export_tells_the_entrys_licences_and_inputs(work: Path) -> None:
    result = command("export", BUNDLED, "--formats", "tflite", "--json")
    assert result.exit_code == 0, result.output
    entry = Entry.read(ZOO / BUNDLED)
    published = entry.metrics["tflite"]["war"].value
    assert json.loads(result.stdout)[0]["war"] == pytest.approx(published, abs=1e-6)
    facts = json.loads((work / "runs" / BUNDLED / "exported" / "model.tflite.json").read_text())
    assert facts["licence"] == {"code": "Apache-2.0", "weights": "Apache-2.0", "data": entry.licences.data}
    for name, spec in entry.inputs.items():
        assert facts["inputs"][name]["unit"] == spec.unit
        assert facts["inputs"][name]["description"] == spec.description


def test_the_weights_are_those_of_the_record(home: Path, entry_folder: Path) -> None:
    weights = entry_folder / "model.weights.h5"
    weights.rename(entry_folder / "other.weights.h5")
    names = {"weights": "other.weights.h5", "testvectors": "testvectors.npz"}
    entry = Entry.read(entry_folder)
    entry.model_copy(update={"files": file_records(entry_folder, names)}).write(entry_folder)
    decoy = build(recipe(seed=5))
    decoy.save_weights(weights)
    found = evaluated(entry_folder)["war"]["value"]
    assert found == pytest.approx(accuracy(klmf.load(entry_folder)), abs=1e-12)
    assert found != pytest.approx(accuracy(decoy), abs=1e-3)


@pytest.mark.parametrize("words", [["evaluate"], ["export", "--formats", "tflite"]])
def test_what_load_refuses_is_refused(home: Path, entry_folder: Path, words: list[str]) -> None:
    path = entry_folder / "recipe.toml"
    good = path.read_text()
    path.write_text(good.replace("seed = 3", "seed = 4"))
    result = command(*words, entry_folder)
    assert result.exit_code == 1
    assert "is not the recipe of the zoo entry" in result.stderr
    with pytest.raises(klmf.LMFError, match="is not the recipe"):
        klmf.zoo.recipe(entry_folder)
    path.write_text(good)
    assert klmf.zoo.recipe(entry_folder) == recipe()
    build(recipe(seed=4)).save_weights(entry_folder / "model.weights.h5")
    rewrite(entry_folder)
    result = command(*words, entry_folder)
    assert result.exit_code == 1
    assert "does not answer its test vectors" in result.stderr


def test_a_fetch_that_was_killed_is_completed(mirror: Mirror, home: Path) -> None:
    klmf.zoo.fetch(NAME, files=["weights"])
    (home / NAME / "recipe.toml").unlink()
    assert evaluated(NAME)["war"]["value"] == pytest.approx(accuracy(klmf.load(NAME)), abs=1e-12)
    assert (home / NAME / "recipe.toml").is_file()


def with_seeds(folder: Path, mean: float, sd: float, runs: int = 5) -> Entry:
    spread = {"mean": mean, "sd": sd, "runs": runs}
    entry = Entry.read(folder)
    entry = Entry.model_validate(entry.model_dump() | {"seeds": {"weights": {"war": spread, "uar": spread}}})
    entry.write(folder)
    return entry


@pytest.mark.parametrize("runs", range(2, 11))
def test_the_interval_is_the_prediction_interval(entry_folder: Path, runs: int) -> None:
    entry = with_seeds(entry_folder, 0.5, 0.1, runs)
    # From the definition: scipy's quantile, in units of the deviation of a further value from the mean.
    low, high = scipy.stats.t.interval(0.95, runs - 1, 0.5, 0.1 * np.sqrt(1 + 1 / runs))
    inside, outside = description.compare(
        {"war": high - 1e-6, "uar": low - 1e-6, "f1": 0}, entry
    ).itertuples()
    assert (inside.low, inside.high) == pytest.approx((low, high), abs=1e-6)
    assert (inside.Index, inside.agrees) == ("war", True)
    assert (outside.Index, outside.agrees) == ("uar", False)


@pytest.mark.slow
def test_check_trains_a_new_seed_and_can_fail(home: Path, entry_folder: Path, work: Path) -> None:
    words = ("train", entry_folder, "--check", "--json")
    short = recipe(training={"epochs": 2})
    short.write(entry_folder / "recipe.toml")
    entry = with_seeds(entry_folder, 0.5, 0.3).model_copy(update={"recipe_sha256": short.fingerprint})
    entry.write(entry_folder)
    result = command(*words)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)  # one JSON alone
    folder = work / told["folder"]
    assert folder == work / "runs" / f"{NAME}-check"
    assert klmf.Recipe.read(folder / "recipe.toml").seed == 5
    assert told["check"]["war"]["agrees"]
    assert "holds this run already" not in result.stderr

    metrics = klmf.Run.open(folder).evaluate("test", resamples=0).metrics
    assert told["check"]["war"]["value"] == pytest.approx(metrics["war"])
    for shifted, code in (("uar", 0), ("war", 1)):  # the first metric alone decides
        spreads = {
            name: {"mean": metrics[name] - 0.3 * (name == shifted), "sd": 0.001, "runs": 5}
            for name in ("war", "uar")
        }
        Entry.model_validate(entry.model_dump() | {"seeds": {"weights": spreads}}).write(entry_folder)
        result = command(*words)
        assert result.exit_code == code, result.output
        assert "holds this run already" in result.stderr
        check = json.loads(result.stdout)["check"]
        assert [name for name, row in check.items() if not row["agrees"]] == [shifted]


@pytest.mark.parametrize("runs", [0, 1])
def test_check_without_seeds_is_refused_before_training(home: Path, entry_folder: Path, runs: int) -> None:
    entry = with_seeds(entry_folder, 0.5, 0, runs or 1)
    if not runs:
        entry.model_copy(update={"seeds": {}}).write(entry_folder)
    result = command("train", entry_folder, "--check")
    assert result.exit_code == 1
    assert "no figures over several seeds" in result.stderr
    assert not Path("runs").exists()


def test_render_says_what_is_missing(entry_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "missing"):
        result = command("render", tmp_path / folder)
        assert result.exit_code == 1
        assert "There is no zoo entry" in result.stderr
    entry = Entry.read(entry_folder)
    (entry_folder / "limits.md").write_text("Use it for: a\nNot for: b\n\nMade up.")
    for changes, words in (
        ({"metrics": {}}, "metrics.weights lacks a metric"),
        ({"metrics": {"weights": entry.metrics["weights"]}, "seeds": {}}, "seeds.weights lacks war, uar"),
        ({}, "metrics.extra lacks uar"),
    ):
        entry.model_copy(update=changes).write(entry_folder)
        result = command("render", entry_folder.parent)
        assert result.exit_code == 1
        assert words in result.stderr


def test_a_damaged_entry_leaves_the_others_in_the_list(mirror: Mirror, home: Path) -> None:
    klmf.zoo.fetch(NAME, files=[])
    shutil.copytree(home / NAME, home / "damaged")
    (home / "damaged" / "entry.json").write_text("{")
    code = "from keras_lmf.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code, "list", "--json"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    listed = [row["name"] for row in json.loads(result.stdout)]
    assert NAME in listed
    assert "damaged" not in listed
    (line,) = result.stderr.splitlines()
    assert line.startswith("Left out of the list: ")
    assert str(home / "damaged" / "entry.json") in line
