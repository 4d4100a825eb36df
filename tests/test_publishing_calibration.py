"""An entry's temperatures are fitted to rows that nobody learnt from, and refreshing them changes nothing else."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from exporting import exported_here
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

import keras_lmf as klmf
from keras_lmf.cli import main
from keras_lmf.data import Dataset
from keras_lmf.export import Latency
from keras_lmf.files import sha256
from keras_lmf.publishing import calibrations, costs
from keras_lmf.quickstart import recipe as quick_recipe
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.sidecar import Document, Sidecar
from keras_lmf.zoo import Entry

ZOO = Path(__file__).parents[1] / "zoo"
NAME = "lmf-synthetic-av"


class Known:
    """Stands for a model: it answers a row with 1 and its number where it has learnt from the row's speaker, else 0."""

    def __init__(self, speakers: set[int]) -> None:
        self.speakers = speakers

    def predict(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        speaker, row = inputs["audio"][:, 0], inputs["audio"][:, 1]
        return {"emotion": np.stack([np.isin(speaker, list(self.speakers)), row], axis=1).astype(float)}


def corpus(rows: int) -> Dataset:
    """Synthetic data, whose first features are the number of a row's speaker and its own."""
    data = klmf.data.load("synthetic", samples=rows)
    speaker = np.unique(data.groups, return_inverse=True)[1]
    marked = data.inputs["audio"].copy()
    marked[:, 0], marked[:, 1] = speaker, np.arange(rows)
    return dataclasses.replace(data, inputs=data.inputs | {"audio": marked})


def speakers(data: Dataset) -> set[int]:
    return set(data.inputs["audio"][:, 0].astype(int).tolist())


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trainings are replaced by `Known`; the splits that each could learn from."""
    given: list[str] = []

    def trained(recipe: Recipe, data: Dataset, folder: Path) -> SimpleNamespace:
        given.append(" ".join(name for name in data.split_names if name != "test"))
        return SimpleNamespace(model=Known(speakers(data)))

    monkeypatch.setattr(calibrations, "trained", trained)
    monkeypatch.setattr(calibrations, "open_artifact", lambda model: model)
    return given


@pytest.mark.parametrize(
    ("rows", "fit_on", "fusion", "answered", "trainings"),
    [
        (2000, "train", "low_rank", "valid", []),
        (2000, "train + valid", "low_rank", "valid", ["train"]),
        (600, "train", "low_rank", "train valid", ["train valid"] * 5),
        (600, "train + valid", "low_rank", "train valid", ["train"] * 5),
        (2000, "train", "decision", "train", ["train valid"] * 5),  # "valid" joins the parts
        (2000, "train + valid", "decision", "train valid", ["train"] * 5),
    ],
)
def test_every_row_is_answered_once_and_by_who_has_not_learnt_from_it(
    rows: int, fit_on: str, fusion: str, answered: str, trainings: list[str], fits: list[str], tmp_path: Path
) -> None:
    data = corpus(rows)
    recipe = quick_recipe("early").replace(fusion={"name": fusion}, training={"fit_on": fit_on})
    learnt = data.splits == "train"
    shipped = Known(speakers(data.take(learnt if fit_on == "train" else data.splits != "test")))
    found = calibrations.unseen_answers(recipe, data, shipped, tmp_path)
    known, row = found.logits.T
    assert not known.any()
    expected = np.flatnonzero(np.isin(data.splits, answered.split()))
    assert sorted(row.astype(int)) == expected.tolist()
    np.testing.assert_array_equal(found.labels, data.labels[row.astype(int)])
    np.testing.assert_array_equal(found.groups, data.groups[row.astype(int)])
    assert fits == trainings


def test_what_a_model_starts_from_may_know_every_speaker(fits: list[str], tmp_path: Path) -> None:
    data, shipped = corpus(600), Known(set())
    started = quick_recipe("low_rank").replace(start={"source": "somewhere"})
    assert (
        len(calibrations.unseen_answers(started, data, shipped, tmp_path).labels)
        == (data.splits == "valid").sum()
    )
    assert calibrations.unseen_answers(started, data.take(data.splits != "valid"), shipped, tmp_path) is None
    assert fits == []


def test_one_speaker_can_not_be_left_out(fits: list[str], tmp_path: Path) -> None:
    data = corpus(600)
    one = data.take((data.groups == data["train"].groups[0]) | (data.splits == "test"))
    assert calibrations.unseen_answers(quick_recipe("early"), one, Known(set()), tmp_path) is None
    assert fits == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ZOO / NAME, tmp_path / NAME))


@pytest.mark.slow
def test_calibrate_writes_the_temperature_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    before = Entry.read(folder)
    files = [path for path in folder.iterdir() if not path.name.endswith((".json", ".tflite"))]
    kept = {path.name: path.read_bytes() for path in files}
    rows = {name: values[:5] for name, values in klmf.data.load("synthetic")["test"].inputs.items()}
    answers = {path.name: open_artifact(path).predict(rows)["emotion"] for path in folder.glob("*.tflite")}
    uncalibrated = before.model_copy(update={"calibration": None})
    uncalibrated.write(folder)
    result = CliRunner().invoke(main, ["calibrate", str(folder), "--work", str(tmp_path / "work")])
    assert result.exit_code == 0, result.output
    data = klmf.data.load("synthetic")
    valid, test = (
        (open_artifact(klmf.load(folder)).predict(data[split].inputs)["emotion"], data[split].labels)
        for split in ("valid", "test")
    )

    def loss(log_temperature: float, logits: np.ndarray, labels: np.ndarray) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(labels)), labels].mean()

    best = minimize_scalar(loss, bounds=(-3, 3), method="bounded", args=valid, options={"xatol": 1e-8}).x
    entry = Entry.read(folder)
    assert entry.calibration.temperature == pytest.approx(np.exp(best), rel=1e-4)
    assert entry.calibration.nll_before == pytest.approx(loss(0, *test), rel=1e-5)
    assert entry.calibration.nll_after == pytest.approx(loss(best, *test), rel=1e-4)
    assert entry.calibration.rows == len(data["valid"])
    others = {"calibration": None, "files": {}, "costs": {}}
    assert entry.model_copy(update=others) == uncalibrated.model_copy(update=others)
    for name, content in kept.items():
        assert (folder / name).read_bytes() == content
    for key, record in entry.files.items():
        assert record.sha256 == sha256(folder / record.name)
        if record.name.endswith(".tflite"):
            path = folder / record.name
            sizes = {"bytes": record.bytes, "compressed_bytes": len(zlib.compress(path.read_bytes()))}
            assert entry.costs[key] == before.costs[key].model_copy(update=sizes)
            np.testing.assert_array_equal(open_artifact(path).predict(rows)["emotion"], answers[record.name])
            for said in (Sidecar.read(path), Document.inside(path)):
                assert said.temperature == entry.calibration.temperature


def test_numbers_have_no_temperature(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["calibrate", str(ZOO / "lmf-mosi-avt"), "--work", str(tmp_path)])
    assert result.exit_code == 1
    assert "'lmf-mosi-avt' gives numbers" in result.output


@pytest.mark.slow
def test_every_file_is_timed_and_those_that_are_not_shipped_are_written_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Entry.read(folder)
    monkeypatch.setattr(costs, "latency_of", lambda path, row, **_: Latency(12.5, 25.0, 8.0, 9.0, 1.0))
    with exported_here():
        found = costs.timed(folder)
    times = ("latency_p50_ms", "latency_p95_ms", "latency_p50_ms_two_threads", "peak_mib")
    for key, one in found.items():
        shipped = key in before.files
        # Those of `exported_here` are of what was written.
        assert [getattr(one, name) for name in times] == (
            [12.5, 25.0, 8.0, 1.0] if shipped else [1.0, 2.0, 0.75, 10.0]
        )
        if shipped:
            packed = zlib.compress((folder / before.files[key].name).read_bytes())
            assert one.compressed_bytes == len(packed)
        assert 0 < one.compressed_bytes < one.bytes == before.costs[key].bytes
    assert not {*found} <= {*before.files}
    assert json.loads((folder / "entry.json").read_text())["costs"].keys() == found.keys()
