"""Features of joined corpora, moved to one common mean before a training."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_lmf.data import Dataset
from keras_lmf.lazy import LazyArray
from keras_lmf.target import Target
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
