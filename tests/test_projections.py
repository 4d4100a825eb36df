"""Backbones that are fitted to the training split, against scikit-learn and numpy."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

import keras_lmf as klmf
from keras_lmf.errors import LMFError
from keras_lmf.training.fitted import fit_on_train

ROWS, STEPS = 60, 5
NUMBERS = np.random.default_rng(0)


def data() -> klmf.data.Dataset:
    """A sequence with padding and a vector, both of features that go together; a quarter of the rows is no training."""
    mixing = NUMBERS.normal(size=(6, 6))
    sequence = NUMBERS.normal(size=(ROWS, STEPS, 6)) @ mixing + 3
    return klmf.data.Dataset(
        name="drawn",
        target=klmf.Target(name="mood", range=(-1, 1)),
        inputs={"audio": sequence, "video": NUMBERS.normal(size=(ROWS, 4)) * [1, 10, 1, 1] + 5},
        labels=NUMBERS.uniform(-1, 1, ROWS),
        groups=np.arange(ROWS).astype(str),
        ids=np.arange(ROWS).astype(str),
        splits=np.where(np.arange(ROWS) % 4, "train", "valid"),
        masks={"audio": np.arange(STEPS) < NUMBERS.integers(1, STEPS + 1, ROWS)[:, None]},
    )


def recipe(audio: str, video: str, fusion: dict | None = None) -> klmf.Recipe:
    def part(shape: tuple[int, ...], name: str) -> dict:
        return {"shape": shape, "backbone": {"name": name, "components": 2}}

    return klmf.Recipe(
        name="projected",
        corpus={"name": "drawn"},
        target={"name": "mood", "range": (-1, 1)},
        inputs={"audio": part((STEPS, 6), audio), "video": part((4,), video)},
        fusion=fusion or {"name": "early"},
        training={"loss": "mae", "epochs": 2},
    )


def fused(model: keras.Model, rows: dict[str, np.ndarray]) -> np.ndarray:
    """What the fusion gives: both modalities' components, side by side."""
    return np.asarray(keras.Model(model.input, model.get_layer("fusion").output).predict(rows, verbose=0))


def test_principal_components_are_scikit_learns_and_training_leaves_them(tmp_path: Path) -> None:
    corpus = data()
    run = klmf.train(recipe("principal_components", "principal_components"), corpus, tmp_path / "run")
    train, valid = corpus["train"], corpus["valid"]
    oracle = StandardScaler().fit(train.inputs["video"])
    components = PCA(2).fit(oracle.transform(train.inputs["video"]))
    deviation = components.transform(oracle.transform(train.inputs["video"])).std(axis=0)
    expected = components.transform(oracle.transform(valid.inputs["video"])) / deviation
    np.testing.assert_allclose(fused(run.model, valid.inputs)[:, 2:], expected, atol=1e-4)


def test_of_a_sequence_real_steps_alone_count() -> None:
    corpus = data()
    model = klmf.build(recipe("principal_components", "truncated_svd"))
    fit_on_train(model, corpus, corpus.inputs)
    train, mask = corpus["train"], corpus["train"].masks["audio"]
    oracle = StandardScaler().fit(train.inputs["audio"][mask])
    steps = PCA(2, whiten=True).fit(oracle.transform(train.inputs["audio"][mask]))
    means = [
        steps.transform(oracle.transform(row[real])).mean(axis=0)
        for row, real in zip(train.inputs["audio"], mask)
    ]
    # scikit-learn divides by n − 1 to whiten.
    shrunk = np.sqrt(mask.sum() / (mask.sum() - 1))
    np.testing.assert_allclose(
        fused(model, train.inputs)[:, :2], np.array(means) * shrunk, atol=1e-3, rtol=1e-3
    )


def test_singular_vectors_are_numpys() -> None:
    corpus = data()
    model = klmf.build(recipe("principal_components", "truncated_svd"))
    fit_on_train(model, corpus, corpus.inputs)
    raw = corpus["train"].inputs["video"].astype(float)
    scores = raw @ np.linalg.svd(raw, full_matrices=False)[2][:2].T
    expected = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    found = fused(model, corpus["train"].inputs)[:, 2:]
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-3)  # signs are free


def test_they_keep_steps_for_a_fusion_of_steps() -> None:
    pair = recipe("principal_components", "principal_components")
    sections = pair.model_dump(exclude_none=True)
    sections["inputs"]["video"]["shape"] = (STEPS, 4)
    sections["fusion"] = {"name": "step_by_step", "each": {"name": "low_rank", "units": 4, "rank": 2}}
    model = klmf.build(klmf.Recipe(**sections))
    assert model({"audio": np.ones((2, STEPS, 6)), "video": np.ones((2, STEPS, 4))})["mood"].shape == (2, 1)


def test_a_constant_feature_harms_nothing() -> None:
    corpus = data()
    corpus.inputs["video"][:, 1:] = 7.0  # one direction is left
    model = klmf.build(recipe("principal_components", "principal_components"))
    fit_on_train(model, corpus, corpus.inputs)
    found = fused(model, corpus["train"].inputs)[:, 2:]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, 1], 0, atol=1e-6)


def test_more_components_than_features_are_refused() -> None:
    with pytest.raises(LMFError, match="4"):
        klmf.backbones.principal_components((4,), components=5)


def test_the_fit_draws_nothing_at_random() -> None:
    """Wide rows, of which scikit-learn would take a random solver."""
    rows = 560
    wide = klmf.data.Dataset(
        name="wide",
        target=klmf.Target(name="mood", range=(-1, 1)),
        inputs={name: NUMBERS.normal(size=(rows, 300)) for name in ("audio", "video")},
        labels=np.zeros(rows),
        groups=np.arange(rows).astype(str),
        ids=np.arange(rows).astype(str),
        splits=np.full(rows, "train"),
    )
    sections = recipe("principal_components", "truncated_svd").model_dump(exclude_none=True)
    for part in sections["inputs"].values():
        part["shape"] = (300,)
    kernels = []
    for _ in range(2):
        model = klmf.build(klmf.Recipe(**sections))
        fit_on_train(model, wide, wide.inputs)
        kernels.append([np.asarray(weight) for weight in model.get_weights()])
    for one, other in zip(*kernels):
        np.testing.assert_array_equal(one, other)


def test_a_start_keeps_what_it_was_fitted_to(tmp_path: Path) -> None:
    short = recipe("principal_components", "truncated_svd").replace(
        training={"epochs": 1, "learning_rate": 1e-9}
    )
    model = klmf.build(short)
    klmf.models.set_standardization(model, {"audio": (np.full(6, 5.0), np.full(6, 4.0))})
    run = klmf.train(short, data(), tmp_path / "run", start=model)
    for found, given in zip(run.model.get_weights(), model.get_weights()):
        np.testing.assert_allclose(found, given, atol=1e-6)
