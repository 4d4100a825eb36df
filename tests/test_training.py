"""train: what is learned from which data, what the folder holds, and what mistakes are answered with."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from resume_worker import recipe, sequences
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

from keras_lmf.data import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.sidecar import Sidecar
from keras_lmf.training import Run, train

SHORT = {
    "inputs": {"audio": {"backbone": {"name": "bilstm", "units": 3}}, "video": {"backbone": {"name": "mlp"}}},
    "training": {"epochs": 12, "learning_rate": 0.3, "fusion_learning_rate": 0.1, "patience": 3},
}


class Epochs(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.seen.append(epoch)


@pytest.fixture(scope="module")
def epochs() -> Epochs:
    return Epochs()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, epochs: Epochs) -> Run:
    """A run that overfits within a few epochs."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    (folder / ".partial-left.npz").write_bytes(b"half")
    return train(recipe(**SHORT), sequences(), folder, callbacks=[epochs])


@pytest.mark.slow
def test_the_best_epoch_is_kept_and_patience_ends_the_run(run: Run, epochs: Epochs) -> None:
    losses = run.history["val_loss"]
    best = int(losses.idxmin())
    assert list(losses.index) == list(range(1, len(losses) + 1))
    assert len(losses) == best + 3 < 12  # patience
    assert epochs.seen == list(range(len(losses)))
    valid = sequences()["valid"]
    reopened = Run.open(run.folder, sequences())
    logits = reopened.model.predict(valid.inputs, verbose=0)["emotion"].astype(np.float64)
    assert log_loss(valid.labels, softmax(logits, axis=1)) == pytest.approx(losses.min(), rel=1e-4)


def test_the_temperature_is_that_of_the_kept_model(run: Run) -> None:
    valid = sequences()["valid"]
    logits = Run.open(run.folder).model.predict(valid.inputs, verbose=0)["emotion"].astype(np.float64)
    best = minimize_scalar(
        lambda log: log_loss(valid.labels, softmax(logits / np.exp(log), axis=1)),
        bounds=np.log([0.05, 20]),
        method="bounded",
        options={"xatol": 1e-6},
    )
    assert run.temperature == pytest.approx(np.exp(best.x), rel=1e-3)
    assert 0.06 < run.temperature < 19  # an end of the range would say little


def test_the_folder_explains_itself(run: Run) -> None:
    assert sorted(path.name for path in run.folder.iterdir()) == [
        ".lock", "calibration.json", "environment.json", "history.csv", "history.png", "model.weights.h5",
        "recipe.toml", "state.npz",
    ]  # fmt: skip
    facts = json.loads((run.folder / "environment.json").read_text())
    assert facts["backend"] == keras.backend.backend()
    assert facts["packages"]["keras"] == keras.__version__
    assert facts["recipe"] == recipe(**SHORT).fingerprint
    assert facts["data"] == sequences().fingerprint
    assert Run.open(run.folder).recipe == recipe(**SHORT)
    with h5py.File(run.folder / "model.weights.h5") as file:
        assert "optimizer" not in file
    assert (run.folder / "history.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_evaluate_equals_scikit_learn(run: Run) -> None:
    test = sequences()["test"]
    predicted = run.model.predict(test.inputs, verbose=0)["emotion"].argmax(axis=1)
    metrics = run.evaluate("test", resamples=0).metrics
    assert metrics["war"] == pytest.approx(accuracy_score(test.labels, predicted))
    assert metrics["uar"] == pytest.approx(balanced_accuracy_score(test.labels, predicted))


def test_a_finished_run_is_returned_as_it_is(run: Run) -> None:
    before = run.model.get_weights()
    (run.folder / "recipe.toml").unlink()  # as when a kill came right after the first state
    again = Epochs()
    same = train(recipe(**SHORT), sequences(), run.folder, callbacks=[again])
    assert again.seen == []
    for ours, theirs in zip(same.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert Run.open(run.folder).recipe == recipe(**SHORT)


@pytest.mark.slow
def test_the_test_split_changes_nothing(run: Run, tmp_path: Path) -> None:
    other = train(recipe(**SHORT), sequences(test_shift=100.0), tmp_path / "other")
    for ours, theirs in zip(other.model.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("damage", ["truncated", "random", "empty"])
def test_a_damaged_state_is_an_error(run: Run, tmp_path: Path, damage: str) -> None:
    raw = (run.folder / "state.npz").read_bytes()
    noise = np.random.default_rng(0).bytes(4000)
    (tmp_path / "state.npz").write_bytes(
        {"truncated": raw[: len(raw) // 2], "random": noise, "empty": b""}[damage]
    )
    with pytest.raises(LMFError, match=r"state\.npz is damaged"):
        train(recipe(**SHORT), sequences(), tmp_path)


def test_another_recipe_or_other_data_in_the_folder_is_an_error(run: Run) -> None:
    with pytest.raises(LMFError, match="another recipe"):
        train(recipe(**SHORT, seed=12), sequences(), run.folder)
    with pytest.raises(LMFError, match="other data"):
        train(recipe(**SHORT), sequences(seed=4), run.folder)


def test_a_folder_that_is_no_run_is_an_error(run: Run, tmp_path: Path) -> None:
    with pytest.raises(LMFError, match=r"no recipe\.toml"):
        Run.open(tmp_path)
    (tmp_path / "recipe.toml").write_text("name = ")
    with pytest.raises(LMFError, match=r"no model\.weights\.h5"):
        Run.open(tmp_path)
    (tmp_path / "model.weights.h5").write_bytes(b"noise")
    with pytest.raises(LMFError, match=r"recipe\.toml is not a readable TOML"):
        Run.open(tmp_path)
    run.recipe.write(tmp_path / "recipe.toml")
    with pytest.raises(LMFError, match="no readable HDF5 file"):
        _ = Run.open(tmp_path).model
    with pytest.raises(LMFError, match=r"no state\.npz"):
        train(run.recipe, sequences(), tmp_path)
    with pytest.raises(LMFError, match="is a file"):
        train(run.recipe, sequences(), tmp_path / "recipe.toml")


def test_data_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    data: Dataset = sequences()
    with pytest.raises(LMFError, match=r"inputs\.video\.shape"):
        train(recipe(inputs={"video": {"shape": (4,)}}), data, tmp_path / "run")
    renamed = dataclasses.replace(data, target=data.target.model_copy(update={"name": "mood"}))
    with pytest.raises(LMFError, match="target"):
        train(recipe(), renamed, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="files are written on TensorFlow")
@pytest.mark.usefixtures("exported_in_process")
def test_a_run_exports_with_its_own_facts(run: Run, tmp_path: Path) -> None:
    reopened = Run.open(run.folder, sequences())
    assert reopened.model.spec == reopened.spec == run.spec
    (artifact,) = reopened.export(tmp_path / "out", ["tflite"], resamples=0)
    sidecar = Sidecar.read(artifact.path)
    assert sidecar.temperature == run.temperature == run.spec.temperature
    assert (sidecar.target, sidecar.recipe) == (run.recipe.target, run.recipe.spec.recipe)
    found = reopened.evaluate("test", resamples=0, artifact=artifact.path)
    assert artifact.metrics == found.metrics
    assert artifact.table.loc["war", "floor"] == found.table.loc["war", "floor"]
