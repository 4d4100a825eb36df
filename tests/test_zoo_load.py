"""load: an entry's weights, a run's, one's own; every check refuses what it should."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from zoo_entry import NAME, Mirror, recipe, rewrite

import keras_lmf as klmf
from keras_lmf.errors import LMFError
from keras_lmf.models import build
from keras_lmf.zoo import Entry, read_testvectors, write_testvectors


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """What matters of a training run's folder, with weights of another seed than the entry's."""
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    recipe(name="mine").write(folder / "recipe.toml")
    build(recipe(seed=99)).save_weights(folder / "model.weights.h5")
    return folder


def same_weights(model, path: Path) -> bool:
    """Whether every array of the file is among the model's weights, and as many."""
    stored: list[np.ndarray] = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: stored.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    held = model.get_weights()
    return len(stored) == len(held) and all(
        any(array.shape == weight.shape and np.array_equal(array, weight) for weight in held)
        for array in stored
    )


def test_a_folder_gives_the_model_that_answers_by_its_formula(home: Path, entry_folder: Path) -> None:
    model = klmf.load(entry_folder)
    assert same_weights(model, entry_folder / "model.weights.h5")
    weights = {}
    for weight in model.weights:
        weights.setdefault(weight.path, []).append(np.array(weight, "float64"))
    inputs, expected = read_testvectors(entry_folder / "testvectors.npz")
    embeddings = []
    for i, name in enumerate(("audio", "video")):
        part = {key: values[i] for key, values in weights.items() if len(values) == 2}
        standard = (inputs[name] - part["standardization/mean"]) / np.sqrt(part["standardization/variance"])
        embeddings.append(np.maximum(standard @ part["dense_0/kernel"] + part["dense_0/bias"], 0))
    product = np.ones((5, 2, 4))
    for name, embedding in zip(("audio", "video"), embeddings):
        factor = embedding @ weights[f"fusion/kernel_{name}"][0] + weights[f"fusion/factor_bias_{name}"][0]
        product *= factor.reshape(5, 2, 4)
    fused = np.einsum("r,nro->no", weights["fusion/rank_weights"][0], product) + weights["fusion/bias"][0]
    logits = fused @ weights["emotion/kernel"][0] + weights["emotion/bias"][0]
    np.testing.assert_allclose(expected["emotion"], logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict(inputs, verbose=0)["emotion"], logits, rtol=1e-4, atol=1e-5)


def test_a_name_is_fetched_and_only_what_loading_needs(mirror: Mirror, home: Path) -> None:
    model = klmf.load(NAME)
    assert same_weights(model, home / NAME / "model.weights.h5")
    assert f"{NAME}/extra.bin" not in mirror.asked


def test_weights_of_ones_own(home: Path, entry_folder: Path, run_folder: Path, tmp_path: Path) -> None:
    file = run_folder / "model.weights.h5"
    recipe_file = recipe().write(tmp_path / "alone.toml")
    for model in (
        klmf.load(run_folder),
        klmf.load(str(run_folder)),
        klmf.load(file),
        klmf.load(entry_folder, weights=file),
        klmf.load(str(recipe_file), weights=str(file)),
    ):
        assert same_weights(model, file)
    assert not same_weights(klmf.load(entry_folder), file)


def test_weights_of_a_compiled_model_bring_their_optimizer_along(home: Path, tmp_path: Path) -> None:
    model = build(recipe())
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    path = tmp_path / "own.weights.h5"
    model.save_weights(path)
    recipe().write(tmp_path / "recipe.toml")
    for loaded, weight in zip(klmf.load(path).get_weights(), model.get_weights()):
        np.testing.assert_array_equal(loaded, weight)


def test_what_lacks_is_said(home: Path, run_folder: Path, tmp_path: Path) -> None:
    file = run_folder / "model.weights.h5"
    lonely = tmp_path / "lonely.weights.h5"
    lonely.write_bytes(file.read_bytes())
    cases = [
        ((lonely,), r"no recipe.toml lies beside it.*weights="),
        ((run_folder / "recipe.toml",), "holds no weights. Give weights="),
        ((file, file), "Give one of them"),
        ((tmp_path,), "holds no entry.json or recipe.toml"),
        ((tmp_path / "nowhere",), "There is no file or folder"),
        ((run_folder, tmp_path / "x.weights.h5"), "does not exist"),
        ((run_folder, run_folder / "recipe.toml"), "is not a .weights.h5 file"),
    ]
    for arguments, reason in cases:
        with pytest.raises(LMFError, match=reason):
            klmf.load(*arguments)
    (tmp_path / "model.keras").write_bytes(b"")
    with pytest.raises(LMFError, match=r"A \.keras file is a program"):
        klmf.load(tmp_path / "model.keras")
    file.unlink()
    with pytest.raises(LMFError, match="train it to the end first"):
        klmf.load(run_folder)


def test_another_recipe_is_refused(home: Path, entry_folder: Path) -> None:
    recipe(training={"epochs": 7}).write(entry_folder / "recipe.toml")
    with pytest.raises(LMFError, match="is not the recipe of the zoo entry"):
        klmf.load(entry_folder)
    (entry_folder / "recipe.toml").unlink()
    with pytest.raises(LMFError, match=r"recipe\.toml: no such file"):
        klmf.load(entry_folder)


def test_a_comment_in_the_recipe_changes_nothing(home: Path, entry_folder: Path) -> None:
    path = entry_folder / "recipe.toml"
    path.write_text("# what was searched\n" + path.read_text())
    klmf.load(entry_folder)


def test_an_entry_that_contradicts_its_recipe_is_refused(home: Path, entry_folder: Path) -> None:
    rewrite(entry_folder, corpus="cmu_mosi")
    with pytest.raises(LMFError, match="says corpus cmu_mosi, its recipe says synthetic"):
        klmf.load(entry_folder)


def test_other_paths_or_shapes_are_refused_before_the_file_is_read(home: Path, entry_folder: Path) -> None:
    (entry_folder / "model.weights.h5").write_bytes(b"nothing")
    entry = Entry.read(entry_folder)
    swapped = (*entry.weights[:-2], entry.weights[-1], entry.weights[-2])
    rewrite(entry_folder, weights=swapped)
    with pytest.raises(LMFError, match=r"weight 16 is .*emotion/kernel.* in the model"):
        klmf.load(entry_folder)
    rewrite(entry_folder, weights=entry.weights[:-1], parameters=entry.parameters - 2)
    with pytest.raises(LMFError, match=r"none in entry\.json"):
        klmf.load(entry_folder)


def test_a_flipped_bit_is_refused(home: Path, entry_folder: Path) -> None:
    path = entry_folder / "model.weights.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(LMFError, match="Nothing was read"):
        klmf.load(entry_folder)


def test_weights_that_load_but_answer_otherwise_are_refused(home: Path, entry_folder: Path) -> None:
    build(recipe(seed=4)).save_weights(entry_folder / "model.weights.h5")
    rewrite(entry_folder)
    with pytest.raises(LMFError, match="does not answer its test vectors: 'emotion' is off by"):
        klmf.load(entry_folder)


@pytest.mark.parametrize("case", ["shape", "output", "nan"])
def test_test_vectors_that_do_not_fit_are_refused(home: Path, entry_folder: Path, case: str) -> None:
    path = entry_folder / "testvectors.npz"
    inputs, outputs = read_testvectors(path)
    if case == "shape":
        inputs["audio"] = inputs["audio"][:, 1:]
    elif case == "output":
        outputs = {"mood": outputs["emotion"]}
    else:
        outputs["emotion"][0, 0] = np.nan
    write_testvectors(path, inputs, outputs)
    rewrite(entry_folder)
    with pytest.raises(LMFError, match=r"testvectors\.npz"):
        klmf.load(entry_folder)


def test_own_weights_of_another_architecture_are_refused(
    home: Path, entry_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "other.weights.h5"
    build(recipe(fusion={"rank": 1})).save_weights(path)
    with pytest.raises(LMFError, match="does not hold the weights of the model"):
        klmf.load(entry_folder, weights=path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(LMFError, match="no readable HDF5 file"):
        klmf.load(entry_folder, weights=path)


def test_the_entry_says_its_own_name_in_the_bundle(home: Path, entry_folder: Path, tmp_path: Path) -> None:
    bundled = tmp_path / "package" / "keras_lmf" / "_zoo" / "renamed"
    bundled.parent.mkdir(parents=True)
    entry_folder.rename(bundled)
    assert json.loads((bundled / "entry.json").read_text())["name"] == NAME
    with pytest.raises(LMFError, match=f"is of the entry '{NAME}', not of 'renamed'"):
        klmf.load("renamed")
