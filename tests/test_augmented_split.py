"""A split with augmented copies of its rows: what they are called, and what they depend on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from keras_lmf.data import Augmentation, Dataset, augmented
from keras_lmf.errors import LMFError
from keras_lmf.target import Target


def data(rows: int = 4) -> Dataset:
    waveforms = np.array(
        [0.1 * np.sin(frequency * np.arange(8000)) for frequency in range(1, rows + 1)], np.float32
    )
    names = np.array([f"clip{row}" for row in range(rows)])
    return Dataset(
        name="tones",
        target=Target(name="emotion", classes=("low", "high")),
        inputs={"voice": waveforms, "face": np.arange(rows * 6).reshape(rows, 3, 2)},
        masks={"face": np.tile([True, True, False], (rows, 1))},
        labels=np.arange(rows) % 2,
        groups=names,
        ids=names,
        splits=np.full(rows, "train"),
    )


def test_a_split_grows_by_its_copies():
    split = data()["train"]
    grown = augmented(split, Augmentation(copies=3), seed=5)
    assert len(grown) == 12
    np.testing.assert_array_equal(grown.inputs["voice"][:4], split.inputs["voice"])
    assert len(np.unique(grown.inputs["voice"], axis=0)) == 12
    assert grown.ids.tolist()[:5] == ["clip0", "clip1", "clip2", "clip3", "clip0+1"]
    assert len(set(grown.ids)) == 12
    for name, values in (("labels", split.labels), ("groups", split.groups)):
        np.testing.assert_array_equal(getattr(grown, name), np.tile(values, 3))
    np.testing.assert_array_equal(grown.inputs["face"], np.tile(split.inputs["face"], (3, 1, 1)))
    np.testing.assert_array_equal(grown.masks["face"], np.tile(split.masks["face"], (3, 1)))
    assert (np.abs(grown.inputs["voice"]) <= 1).all()
    assert grown.inputs["voice"].dtype == np.float32
    assert (grown.name, grown.target) == (split.name, split.target)


def test_copies_are_a_corpus_of_their_own():
    joined = dataclasses.replace(data(3), corpora=np.array(["emodb", "nemo", "nemo"]))
    grown = augmented(joined["train"], Augmentation(copies=2))
    assert grown.corpora.tolist() == [
        "emodb",
        "nemo",
        "nemo",
        "emodb, changed",
        "nemo, changed",
        "nemo, changed",
    ]
    assert augmented(data(3)["train"], Augmentation(copies=2)).corpora is None


def test_one_copy_is_the_split_itself():
    split = data()["train"]
    np.testing.assert_array_equal(
        augmented(split, Augmentation(copies=1)).inputs["voice"], split.inputs["voice"]
    )


def test_a_copy_depends_on_seed_id_and_number_alone():
    split, fewer = data()["train"], data(2)["train"]
    grown = augmented(split, Augmentation(copies=3), seed=5)
    again = augmented(split, Augmentation(copies=3), seed=5)
    np.testing.assert_array_equal(grown.inputs["voice"], again.inputs["voice"])
    rows = [grown.ids.tolist().index(name) for name in ("clip0+2", "clip1+2")]
    alone = augmented(fewer, Augmentation(copies=3), seed=5).inputs["voice"][4:]
    np.testing.assert_array_equal(grown.inputs["voice"][rows], alone)
    other = augmented(split, Augmentation(copies=3), seed=6)
    assert (grown.inputs["voice"][4:] != other.inputs["voice"][4:]).any(axis=1).all()
    before = np.random.get_state()[1].copy()
    augmented(split, Augmentation())
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_what_can_not_be_augmented():
    split = data()["train"]
    with pytest.raises(LMFError, match=r"Unknown modality 'vioce'\. Did you mean 'voice'"):
        augmented(split, Augmentation(), modality="vioce")
    with pytest.raises(LMFError, match=r"input/face: shape \(4, 3, 2\); only waveforms"):
        augmented(split, Augmentation(), modality="face")
    with pytest.raises(LMFError, match="seed must be a whole number"):
        augmented(split, Augmentation(), seed=-1)
