"""The shipped GE2E weights, what is refused in a folder like theirs, and the script that made it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from other_backend import pytorch

import keras_lmf as klmf
from keras_lmf import zoo
from keras_lmf.errors import LMFError
from keras_lmf.zoo import read_testvectors, write_testvectors

ROOT = Path(__file__).parents[1]
ZOO = ROOT / "zoo"
SHIPPED = ZOO / "ge2e"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "ge2e"))


def changed(folder: Path, change: Callable[[dict], object]) -> None:
    path = folder / "backbone.json"
    fields = json.loads(path.read_text(encoding="utf-8"))
    change(fields)
    path.write_text(json.dumps(fields), encoding="utf-8")


def recorded(folder: Path, key: str, name: str) -> None:
    """Makes backbone.json say what the file is now."""
    content = (folder / name).read_bytes()
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    changed(folder, lambda fields: fields["files"][key].update(facts))


@pytest.mark.slow
def test_the_shipped_weights_load_and_are_those_of_the_file():
    model = zoo.load_backbone("ge2e")
    assert not model.trainable_weights
    with h5py.File(SHIPPED / "model.weights.h5") as file:
        stored: list[np.ndarray] = []
        file.visititems(lambda _, item: stored.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    assert sorted(map(np.sum, stored)) == sorted(map(np.sum, model.get_weights()))
    inputs, expected = read_testvectors(SHIPPED / "testvectors.npz")  # PyTorch's answers
    found = np.asarray(model(inputs["waveform"]))
    assert found.shape == (len(inputs["waveform"]), 3 * 768 + 256)
    np.testing.assert_allclose(found, expected["embedding"], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found[:, -256:], axis=1), 1, rtol=1e-5)


def test_a_backbone_is_no_entry():
    with pytest.raises(LMFError, match=r"'ge2e' is a backbone, no model by itself: .*'keras-lmf show ge2e'"):
        klmf.load("ge2e")


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(LMFError, match=r"Unknown backbone 'ge2'\. Did you mean 'ge2e'\?"):
        zoo.load_backbone("ge2")


def flipped(folder: Path) -> None:
    path = folder / "model.weights.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(folder: Path) -> None:
    path = folder / "testvectors.npz"
    path.write_bytes(path.read_bytes()[:-1])


def transposed(folder: Path) -> None:
    changed(folder, lambda fields: fields["weights"][0].__setitem__(1, [1024, 40]))


def other_weights(folder: Path) -> None:
    """Well-formed weights with one number off, and the record that goes with them."""
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        bias: list[h5py.Dataset] = []
        file.visititems(lambda _, item: bias.append(item) if getattr(item, "shape", 0) == (1024,) else None)
        bias[0][300] += 3.0
    recorded(folder, "weights", "model.weights.h5")


def other_inputs(folder: Path) -> None:
    inputs, outputs = read_testvectors(folder / "testvectors.npz")
    write_testvectors(folder / "testvectors.npz", {"waveform": inputs["waveform"][:, :800]}, outputs)
    recorded(folder, "testvectors", "testvectors.npz")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (flipped, r"model\.weights\.h5 has the sha256 \w+ instead of \w+\. Nothing was read from it"),
        (cut, r"testvectors\.npz has \d+ bytes instead"),
        (lambda folder: (folder / "model.weights.h5").unlink(), r"model\.weights\.h5 is missing"),
        (lambda folder: (folder / "backbone.json").unlink(), "is no backbone of the zoo"),
        (lambda folder: (folder / "backbone.json").write_text("{"), r"backbone\.json"),
        (lambda folder: changed(folder, lambda f: f.update(hook="os")), r"backbone\.json: .*hook"),
        (lambda folder: changed(folder, lambda f: f.pop("source")), r"backbone\.json: .*source"),
        (lambda folder: changed(folder, lambda f: f.update(schema_version=2)), "schema_version"),
        (lambda folder: changed(folder, lambda f: f.update(shape=[2**40])), "shape"),
        (
            lambda folder: changed(folder, lambda f: f["files"].pop("testvectors")),
            "'files' lacks testvectors",
        ),
        (
            lambda folder: changed(
                folder, lambda f: f["files"]["weights"].update(name="../model.weights.h5")
            ),
            r"backbone\.json: files",
        ),
        (transposed, "are not those of the front end 'ge2e'"),
        (other_weights, "does not answer its test vectors"),
        (other_inputs, r"don't fit the model"),
    ],
)
def test_a_folder_that_is_not_what_it_says_is_refused(folder, spoil, says):
    spoil(folder)
    with pytest.raises(LMFError, match=says) as caught:
        zoo.load_backbone(folder)
    assert str(folder.name) in str(caught.value)


@pytest.mark.long
@pytest.mark.backends("torch")
def test_weights_saved_by_pytorch_become_a_backbone(tmp_path):
    theirs = pytorch("ge2e", tmp_path)
    found, expected = theirs["parameters"]
    assert found == expected
    assert hashlib.sha256((tmp_path / "random.pt").read_bytes()).hexdigest() in str(theirs["source"])
    answer = np.asarray(zoo.load_backbone(tmp_path / "random")(theirs["waveform"]))
    np.testing.assert_allclose(answer[:, 2 * 768 : 2 * 768 + 256], theirs["mean"], atol=1e-5)
    np.testing.assert_allclose(answer[:, -256:], theirs["speaker"], atol=1e-5)


@pytest.mark.long
@pytest.mark.backends("torch")
def test_hostile_and_other_files_are_refused_and_run_and_write_nothing(tmp_path):
    theirs = pytorch("ge2e_refusals", tmp_path)
    assert theirs["touched"], "the hostile file does run code, if it is let"
    assert len(theirs["files"]) == 5
    for file, message in zip(theirs["files"], theirs["messages"], strict=True):
        assert f"{file} does not hold the GE2E encoder's weights" in str(message)
    assert not (tmp_path / "canary").exists()
    assert not (tmp_path / "made").exists()


@pytest.mark.long
def test_an_entrys_weights_and_a_runs_are_both_ones_own(tmp_path):
    """The entry's file holds what was trained alone, a run's the published front end, too."""
    entry = ZOO / "ge2e-ravdess-voice"
    expected = klmf.load(entry)
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.toml").write_bytes((entry / "recipe.toml").read_bytes())
    expected.save_weights(run / "model.weights.h5")
    for model in (klmf.load("ge2e-ravdess-voice", weights=entry / "model.weights.h5"), klmf.load(run)):
        for ours, weight in zip(model.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, weight)
    with pytest.raises(LMFError, match="does not hold the weights of the model"):
        klmf.load("ge2e-ravdess-voice", weights=ZOO / "lmf-mosi-avt" / "model.weights.h5")
