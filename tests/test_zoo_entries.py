"""The entries of the repository: they load, every file answers the test vectors, and the metrics are the files'."""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from exporting import exported_here

import keras_lmf as klmf
from keras_lmf.runtime import open_artifact
from keras_lmf.sidecar import Sidecar
from keras_lmf.zoo import Entry, cards, read_testvectors

ZOO = Path(__file__).parents[1] / "zoo"
NAMES = sorted(path.parent.name for path in ZOO.glob("*/entry.json"))
# Those that take sound or pictures take minutes, and the others are many.
ENTRIES = [
    pytest.param(
        name, marks=pytest.mark.slow if name in ("lmf-mosi-avt", "lmf-synthetic-av") else pytest.mark.long
    )
    for name in NAMES
]
FILES = [
    (name, key)
    for name in NAMES
    for key, file in Entry.read(ZOO / name).files.items()
    if file.name.endswith(".tflite")
]
FLOAT32 = 1e-4


@functools.lru_cache(maxsize=3)
def corpus(name: str, options: str) -> klmf.data.Dataset:
    return klmf.data.load(name, **json.loads(options))


def corpus_of(name: str) -> klmf.data.Dataset:
    """The corpus of an entry; skips where it isn't there."""
    recipe = klmf.Recipe.read(ZOO / name / "recipe.toml")
    if recipe.corpus.name != "synthetic" and "KERAS_LMF_DATA" not in os.environ:
        pytest.skip("needs KERAS_LMF_DATA, the folder of the corpora")
    return corpus(recipe.corpus.name, json.dumps(recipe.corpus.options))


def test_there_are_entries():
    assert NAMES


@pytest.mark.parametrize("name", ENTRIES)
def test_entry_loads_by_name_and_is_exported_without_another_word(name, tmp_path):
    entry = Entry.read(ZOO / name)
    model = klmf.load(name)  # checks sha256, shapes and test vectors
    assert list(model.output) == [entry.target.name]
    with exported_here():
        if "tflite" not in entry.costs:  # a note of the entry says why
            with pytest.raises(klmf.LMFError, match="differs from the Keras model"):
                klmf.export_model(model, tmp_path, ["tflite"])
            return
        (artifact,) = klmf.export_model(model, tmp_path, ["tflite"])
    assert Sidecar.read(artifact.path).spec == entry.spec
    inputs, expected = read_testvectors(ZOO / name / "testvectors.npz")
    answers = open_artifact(artifact.path).predict(inputs)[entry.target.name]
    assert np.abs(answers - expected[entry.target.name]).max() <= FLOAT32


@pytest.mark.parametrize(("name", "key"), FILES)
def test_file_answers_the_test_vectors(name, key):
    entry = Entry.read(ZOO / name)
    inputs, expected = read_testvectors(ZOO / name / "testvectors.npz")
    answers = open_artifact(ZOO / name / entry.files[key].name).predict(inputs)
    # A quantised file is as near as it was on the test split; these rows are not of it, so allow twice that.
    allowed = FLOAT32 if key == "tflite" else 2 * entry.costs[key].difference_max
    for target, values in expected.items():
        assert np.abs(answers[target] - values).max() <= allowed


@pytest.mark.parametrize("name", ENTRIES)
def test_metrics_are_those_of_the_published_file(name):
    entry, test = Entry.read(ZOO / name), corpus_of(name)["test"]
    # float32 where it is shipped, else the first that is.
    key = min((key for entry_name, key in FILES if entry_name == name), key=len, default="weights")
    artifact = klmf.load(name) if key == "weights" else ZOO / name / entry.files[key].name
    outputs = open_artifact(artifact).predict(
        {modality: test.inputs[modality] for modality in entry.modalities}
    )
    measured = klmf.evaluate(outputs, test, resamples=0).metrics
    # docs/export.md: what processors may differ in.
    allowed = 1e-6 if key in ("weights", "tflite", "tflite-float16") else 0.5 / len(test)
    for metric, published in entry.metrics[key].items():
        assert measured[metric] == pytest.approx(published.value, abs=allowed)


@pytest.mark.parametrize("name", ENTRIES)
def test_the_test_vectors_are_nobodys(name):
    """No row of a corpus is in the repository: every vector is a tenth of a standard deviation or more from each."""
    data = corpus_of(name)
    inputs, _ = read_testvectors(ZOO / name / "testvectors.npz")
    for modality, vectors in inputs.items():
        rows, vectors = data.inputs[modality].reshape(len(data), -1), vectors.reshape(len(vectors), -1)
        scale = np.maximum(rows[::7].std(axis=0), 1e-6)
        rows, vectors = rows / scale, vectors[vectors.any(axis=1)] / scale  # zeros are an absent modality
        squares = (rows**2).sum(axis=1)[:, None] - 2 * rows @ vectors.T + (vectors**2).sum(axis=1)
        nearest = np.sqrt(np.maximum(squares, 0).min(axis=0) / rows.shape[1])
        assert (nearest > 0.1).all(), (modality, nearest)


@pytest.mark.parametrize("name", ENTRIES)
def test_the_cards_snippets_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    card = (ZOO / name / "CARD.md").read_text(encoding="utf-8")
    names: dict = {}
    for snippet in re.findall(r"^```python\n(.*?)^```$", card, flags=re.DOTALL | re.MULTILINE):
        exec(snippet, names)
        answer, entry = np.asarray(names["answer"]), Entry.read(ZOO / name)
        assert answer.shape == (1, entry.target.size)
        assert np.isfinite(answer).all()


def test_files_are_small():
    """All of them together: tests/test_wheel.py."""
    size = {path: path.stat().st_size for path in ZOO.rglob("*") if path.is_file()}
    assert max(size[path] for path in size if path.name.endswith(".weights.h5")) <= 16_000_000
    assert max(size[path] for path in size if path.suffix == ".tflite") <= 2**23


def test_no_page_is_stale():
    assert cards.stale_pages(ZOO) == []
