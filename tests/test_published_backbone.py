"""The shipped GE2E weights, what is refused in a folder like theirs, and the script that made it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

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


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("convert_ge2e", ROOT / "examples" / "convert_ge2e.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (flipped, r"model\.weights\.h5 has the sha256 \w+ instead of \w+\. Nothing was read from it"),
        (cut, r"testvectors\.npz has \d+ bytes instead"),
        (lambda folder: (folder / "model.weights.h5").unlink(), r"model\.weights\.h5 is missing"),
        (lambda folder: (folder / "backbone.json").unlink(), "is no backbone of the zoo"),
        (lambda folder: (folder / "backbone.json").write_text("{"), r"backbone\.json"),
        (lambda folder: changed(folder, lambda f: f.update(hook="os")), r"backbone\.json: hook: "),
        (lambda folder: changed(folder, lambda f: f.pop("source")), r"backbone\.json: source: "),
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


def test_weights_saved_by_pytorch_become_a_backbone(example, tmp_path):
    torch.manual_seed(3)
    lstm, linear = torch.nn.LSTM(40, 256, 3, batch_first=True), torch.nn.Linear(256, 256)
    state = {f"lstm.{name}": value for name, value in lstm.state_dict().items()}
    state |= {f"linear.{name}": value for name, value in linear.state_dict().items()}
    # The published file holds more, which is left where it is.
    state |= {"similarity_weight": torch.ones(1), "similarity_bias": torch.zeros(1)}
    torch.save({"step": 7, "model_state": state}, tmp_path / "random.pt")
    backbone = example.convert(tmp_path / "random.pt", tmp_path / "random")
    assert backbone.parameters == sum(
        value.numel() for name, value in state.items() if "similarity" not in name and "bias_hh" not in name
    )
    assert hashlib.sha256((tmp_path / "random.pt").read_bytes()).hexdigest() in backbone.source

    model = zoo.load_backbone(tmp_path / "random")
    random = np.random.default_rng(5)
    waveform = (random.standard_normal((2, 25600)) * 0.1).astype("float32")
    mel = np.array(model.get_layer("spectrum")(model.get_layer("level")(waveform)))
    with torch.no_grad():
        outputs, (last, _) = lstm(torch.from_numpy(mel))
        speaker = torch.relu(linear(last[-1])).numpy()
    found = np.asarray(model(waveform))
    np.testing.assert_allclose(found[:, 2 * 768 : 2 * 768 + 256], outputs.mean(1).numpy(), atol=1e-5)
    np.testing.assert_allclose(
        found[:, -256:], speaker / np.linalg.norm(speaker, axis=1, keepdims=True), atol=1e-5
    )


class Touch:
    """Unpickled freely, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


def test_a_hostile_file_runs_nothing_and_writes_nothing(example, tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "hostile.pt"
    torch.save({"model_state": Touch(canary)}, path)
    torch.load(path, weights_only=False)
    assert canary.exists(), "it does run code, if it is let"
    canary.unlink()
    with pytest.raises(LMFError, match=r"hostile\.pt does not hold the GE2E encoder's weights"):
        example.convert(path, tmp_path / "made")
    assert not canary.exists()
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "content",
    [
        lambda: {"model_state": {"lstm.weight_ih_l0": torch.zeros(1024, 40)}},
        lambda: {"model_state": {name: torch.zeros(3) for name in torch.nn.LSTM(40, 256, 3).state_dict()}},
        lambda: [torch.zeros(3)],
    ],
)
def test_other_tensors_are_refused(example, tmp_path, content):
    torch.save(content(), tmp_path / "other.pt")
    with pytest.raises(LMFError, match=r"other\.pt does not hold the GE2E encoder's weights"):
        example.convert(tmp_path / "other.pt", tmp_path / "made")
    with pytest.raises(LMFError, match=r"none\.pt does not hold"):
        example.convert(tmp_path / "none.pt", tmp_path / "made")


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
        klmf.load("ge2e-ravdess-voice", weights=ZOO / "cnn-ravdess-voice" / "model.weights.h5")
