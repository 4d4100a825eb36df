"""Features of joined corpora, moved to one common mean before a training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from keras_lmf.backbones.sequence import STANDARDIZATION
from keras_lmf.data import Dataset
from keras_lmf.lazy import LazyArray
from keras_lmf.models import fitted_layers
from keras_lmf.recipe import Recipe
from keras_lmf.target import Target
from keras_lmf.training import train
from keras_lmf.training.fitted import centered_apart

ROWS = 24


def joined(**changes: object) -> Dataset:
    """Vectors and sequences of three corpora, of which the third has no training rows."""
    random = np.random.default_rng(0)
    corpora = np.array(["one", "two", "three"])[np.arange(ROWS) % 3]
    offset = np.select([corpora == "one", corpora == "two"], [5.0, -1.0], 9.0)
    steps = random.standard_normal((ROWS, 4, 2)) + offset[:, None, None]
    steps[::5, 2:] = 0
    data = Dataset(
        name="joined",
        target=Target(name="emotion", classes=("calm", "excited")),
        inputs={"face": random.standard_normal((ROWS, 3)) + offset[:, None], "voice": steps},
        masks={"voice": (steps != 0).any(axis=-1)},
        labels=np.arange(ROWS) % 2,
        groups=np.arange(ROWS).astype(str),
        ids=np.arange(ROWS).astype(str),
        splits=np.where((np.arange(ROWS) % 4 == 0) | (corpora == "three"), "valid", "train"),
        corpora=corpora,
    )
    return dataclasses.replace(data, **changes)


def test_every_corpus_gets_the_mean_of_all_means() -> None:
    data = joined()
    moved = centered_apart(data, ["face", "voice"])
    train = data.splits == "train"
    for modality in ("face", "voice"):
        old, new = data.inputs[modality], moved.inputs[modality]
        real = (old != 0).any(axis=-1)
        rows = {name: (data.corpora == name) & train for name in ("one", "two")}
        means = {name: old[own][real[own]].mean(axis=0) for name, own in rows.items()}
        common = (means["one"] + means["two"]) / 2
        for name, own in rows.items():
            np.testing.assert_allclose(new[own][real[own]].mean(axis=0), common, atol=1e-6)
            every = data.corpora == name  # "valid" goes the same way
            shift = np.broadcast_to(common - means[name], old[every].shape)[real[every]]
            np.testing.assert_allclose((new - old)[every][real[every]], shift, atol=1e-6)
        assert not new[~real].any()
        unknown = data.corpora == "three"
        np.testing.assert_array_equal(new[unknown], old[unknown])


def test_one_modality_one_corpus_and_an_array_on_disk() -> None:
    data = joined()
    moved = centered_apart(data, ["face"])
    np.testing.assert_array_equal(moved.inputs["voice"], data.inputs["voice"])
    alone = joined(corpora=None)
    np.testing.assert_array_equal(centered_apart(alone, ["face"]).inputs["face"], alone.inputs["face"])
    lazy = joined(inputs={**data.inputs, "face": LazyArray([data.inputs["face"]], "face")})
    found = centered_apart(lazy, ["face"])
    assert isinstance(found.inputs["face"], LazyArray)
    np.testing.assert_array_equal(np.asarray(found.inputs["face"]), moved.inputs["face"])
    assert found.fingerprint != lazy.fingerprint


@pytest.mark.parametrize("center", ["all", "corpora"])
def test_a_training_standardises_by_the_means_it_is_told(center: str, tmp_path: Path) -> None:
    data = joined().select(["face"])
    data = data.take(
        (data.corpora == "one") | (np.arange(ROWS) % 6 == 1)
    )  # more of one corpus than of the other
    recipe = Recipe(
        name="joined",
        corpus={"name": "joined.npz"},
        target=data.target,
        inputs={"face": {"shape": [3], "backbone": {"name": "mlp", "units": [2]}}},
        fusion={"name": "none"},
        training={"loss": "cross_entropy", "epochs": 1, "center": center},
    )
    run = train(recipe, data, tmp_path / "run")
    (layer,) = fitted_layers(run.model, "face", STANDARDIZATION)
    train_rows = data.splits == "train"
    means = [data.inputs["face"][train_rows & (data.corpora == name)].mean(axis=0) for name in ("one", "two")]
    expected = np.mean(means, axis=0) if center == "corpora" else data.inputs["face"][train_rows].mean(axis=0)
    np.testing.assert_allclose(np.ravel(layer.mean), expected, atol=1e-5)
