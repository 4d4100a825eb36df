"""Shards: an array on disk is the array in memory, whoever asks for its rows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from bombs import Bomb
from tiny import columns

from keras_lmf.data import Augmentation, Batches, Dataset, augmented
from keras_lmf.data.corpora.joined import join
from keras_lmf.data.shards import Shards, write_rows
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.calibration import fit_subset_temperatures
from keras_lmf.evaluation.subsets import only, presence
from keras_lmf.export import export_model
from keras_lmf.lazy import LazyArray, joined, moments
from keras_lmf.runtime import open_artifact
from keras_lmf.sidecar import Sidecar

RANDOM = np.random.default_rng(4)
SOUND = RANDOM.integers(-32768, 32767, (6, 50), np.int16, endpoint=True)
PICTURES = RANDOM.integers(0, 255, (6, 4, 5, 3), np.uint8, endpoint=True)
FEATURES = RANDOM.standard_normal((6, 4, 2)).astype(np.float32)
FEATURES[1, 2:] = 0
MEMORY = {
    "sound": SOUND.astype(np.float32) / np.float32(32767),
    "pictures": PICTURES.astype(np.float32) / np.float32(255),
    "features": FEATURES,
}


@pytest.fixture
def lazy(tmp_path: Path) -> dict[str, Shards]:
    """The arrays of `MEMORY` in two or three files each."""
    cuts = {
        "sound": (SOUND, 32767, [2, 3]),
        "pictures": (PICTURES, 255, [5]),
        "features": (FEATURES, None, [1]),
    }
    found = {}
    for name, (array, scale, places) in cuts.items():
        paths = [tmp_path / f"{name}-{i}.npy" for i in range(len(places) + 1)]
        for path, part in zip(paths, np.split(array, places)):
            np.save(path, part)
        found[name] = Shards(paths, scale, name)
    return found


INDICES = {
    "one": 4,
    "negative": -1,
    "slice": slice(1, 5),
    "steps": slice(None, None, -2),
    "list": [5, 0, 5, 2],
    "none": [],
    "mask": np.array([True, False, False, True, True, False]),
    "axes": (slice(1, 4), 2),
    "two": (np.array([3, 0]), slice(1, 3), 1),
    "cell": (2, 1),
    "ellipsis": (Ellipsis, 1),
    "all": slice(None),
}


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("name", MEMORY)
def test_rows_are_those_of_numpy(lazy, name, index):
    key = INDICES[index]
    key = np.array(key, int) if isinstance(key, list) else key
    if index == "two" and MEMORY[name].ndim < 3:
        key = key[:2]
    found, expected = lazy[name][key], MEMORY[name][key]
    assert type(found) is type(expected)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", MEMORY)
def test_it_is_an_array_to_numpy(lazy, name):
    found, expected = lazy[name], MEMORY[name]
    assert (found.shape, found.ndim, found.dtype, len(found)) == (
        expected.shape,
        expected.ndim,
        np.float32,
        6,
    )
    np.testing.assert_array_equal(np.asarray(found), expected)
    np.testing.assert_array_equal(np.asarray(found, np.float64), expected.astype(np.float64))
    np.testing.assert_array_equal(found != 0, expected != 0)
    np.testing.assert_array_equal(2 * found, 2 * expected)
    np.testing.assert_array_equal(np.stack(list(found)), expected)
    assert (found.min(), found.max()) == (expected.min(), expected.max())
    with pytest.raises(IndexError):
        found[6]
    with pytest.raises(IndexError):
        found[np.ones((6, 4), bool)]


def test_chosen_rows_stay_lazy_and_have_a_digest_of_their_own(lazy):
    sound = lazy["sound"]
    chosen = sound.rows(np.array([4, 1, 5])).rows(np.array([True, False, True]))
    assert isinstance(chosen, LazyArray)
    np.testing.assert_array_equal(chosen[:], MEMORY["sound"][[4, 5]])
    again = sound.rows(np.array([4, 5]))
    assert chosen.digest == again.digest
    assert len({sound.digest, chosen.digest, sound.rows(np.array([5, 4])).digest}) == 3
    both = joined([chosen, sound])
    np.testing.assert_array_equal(both[[0, 3, 2]], MEMORY["sound"][[4, 1, 0]])
    np.testing.assert_array_equal(both[:], MEMORY["sound"][[4, 5, 0, 1, 2, 3, 4, 5]])
    np.testing.assert_array_equal(joined([SOUND, SOUND]), np.concatenate([SOUND, SOUND]))


def test_written_rows_are_a_npy_file(tmp_path):
    shards = write_rows(tmp_path / "new" / "rows.npy", iter([FEATURES[:2], FEATURES[2:]]), 6, "digest")
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "rows.npy", allow_pickle=False), FEATURES)
    np.testing.assert_array_equal(shards[:], FEATURES)


def test_wrong_files_are_refused(tmp_path, lazy):
    good = tmp_path / "features-0.npy"
    bad = {
        "float64.npy": np.zeros((2, 3)),
        "flat.npy": np.zeros(3, np.float32),
        "fortran.npy": np.asfortranarray(np.zeros((2, 3, 2), np.float32)),
        "wide.npy": np.zeros((2, 4, 3), np.float32),
    }
    for name, array in bad.items():
        np.save(tmp_path / name, array)
        with pytest.raises(LMFError, match=name):
            Shards([good, tmp_path / name], None, "")
    (tmp_path / "short.npy").write_bytes(good.read_bytes()[:-1])
    (tmp_path / "empty.npy").write_bytes(b"")
    np.savez(tmp_path / "archive.npz", np.zeros((2, 3), np.float32))
    for name in ("short.npy", "empty.npy", "archive.npz", "absent.npy"):
        with pytest.raises(LMFError, match=name):
            Shards([tmp_path / name], None, "")
    with pytest.raises(LMFError, match="no file"):
        Shards([], None, "")


def test_a_pickle_is_never_run(tmp_path):
    bomb = np.empty((1, 1), object)
    bomb[0, 0] = Bomb(tmp_path / "fired")
    np.save(tmp_path / "bomb.npy", bomb, allow_pickle=True)
    with pytest.raises(LMFError, match=r"bomb\.npy"):
        Shards([tmp_path / "bomb.npy"], None, "")
    assert not (tmp_path / "fired").exists()


def test_a_number_that_is_not_finite_is_told_when_it_is_read(tmp_path):
    np.save(tmp_path / "bad.npy", np.where(np.arange(12).reshape(6, 2) == 7, np.nan, 1).astype(np.float32))
    shards = Shards([tmp_path / "bad.npy"], None, "")
    assert shards[:3].shape == (3, 2)
    with pytest.raises(LMFError, match=r"bad\.npy, row 3"):
        shards[[5, 3]]


def datasets(lazy: dict[str, Shards]) -> tuple[Dataset, Dataset]:
    """The same numbers on disk and in memory."""
    mask = (FEATURES != 0).any(axis=-1)
    parts = columns(corpora=["a", "b"] * 3, soft_labels=np.full((6, 3), 1 / 3), masks={"features": mask})
    return Dataset(**parts | {"inputs": dict(lazy)}), Dataset(**parts | {"inputs": dict(MEMORY)})


def test_a_dataset_keeps_them_lazy_and_gives_the_numbers_of_one_in_memory(lazy, tmp_path):
    disk, memory = datasets(lazy)
    for part in (
        disk,
        disk["train"],
        disk.select(["sound"]),
        disk.take(np.arange(4)),
        disk["train"].take(np.arange(2)),
    ):
        assert all(isinstance(values, LazyArray) for values in part.inputs.values())
    for split in memory.split_names:
        for name in MEMORY:
            np.testing.assert_array_equal(disk[split].inputs[name][:], memory[split].inputs[name])
    for ours, theirs in zip(disk.statistics("features"), memory.statistics("features"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(disk.steps("features"), memory.steps("features"))
    assert disk.summary() == memory.summary()
    assert Dataset.load(disk.save(tmp_path / "tiny.npz")).fingerprint == memory.fingerprint
    other = dataclasses.replace(disk, inputs={**disk.inputs, "sound": lazy["sound"].rows(np.arange(6)[::-1])})
    assert len({disk.fingerprint, other.fingerprint, memory.fingerprint}) == 3
    with pytest.raises(LMFError, match="input/sound: 5 rows, must be 6"):
        dataclasses.replace(disk, inputs={"sound": lazy["sound"].rows(np.arange(5))}, masks={})


def test_joined_corpora_stay_on_disk(lazy):
    disk, memory = (
        join({"one": data, "two": dataclasses.replace(data, corpora=None)}) for data in datasets(lazy)
    )
    for name, values in memory.inputs.items():
        assert isinstance(disk.inputs[name], LazyArray)
        np.testing.assert_array_equal(disk.inputs[name][:], values)


@pytest.mark.parametrize("of", ["rows", "corpora"])
def test_batches_are_those_of_memory(lazy, of):
    disk, memory = (Batches(data["train"], 3, seed=2, of=of) for data in datasets(lazy))
    assert len(disk) == len(memory)
    for (ours, _), (theirs, _) in zip(disk, memory):
        for name in MEMORY:
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_moments_in_blocks_are_numpys(monkeypatch):
    steps = np.random.default_rng(0).normal(1000, 3, (50, 3))
    steps[:, 1] = 0.1
    mean, variance = moments(lambda: iter([steps[:0], steps[:7], steps[7:]]))
    np.testing.assert_allclose(mean, steps.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(variance[[0, 2]], steps.var(axis=0)[[0, 2]], rtol=1e-12)
    assert variance[1] == 0


def test_small_blocks_change_no_answer(lazy, monkeypatch):
    monkeypatch.setattr("keras_lmf.lazy.NUMBERS", 20)  # rows by one or two
    sound = lazy["sound"]
    assert (sound.min(), sound.max()) == (MEMORY["sound"].min(), MEMORY["sound"].max())
    disk, memory = datasets(lazy)
    mean, variance = disk.statistics("features")
    steps = memory.steps("features")
    np.testing.assert_allclose(mean, steps.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(variance, steps.var(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(disk.steps("features"), steps)


def test_presence_and_absence_are_those_of_memory(tmp_path):
    rows = SOUND.copy()
    rows[[1, 4]] = 0
    np.save(tmp_path / "rows.npy", rows)
    inputs = {"sound": Shards([tmp_path / "rows.npy"], 32767, ""), "features": FEATURES}
    assert presence(inputs)["sound"].tolist() == [True, False, True, True, False, True]
    kept = only(inputs, ["features"])
    assert kept["sound"].shape == rows.shape
    assert not kept["sound"].any()
    assert only(inputs, ["sound"])["sound"] is inputs["sound"]


def test_augmented_rows_are_those_of_memory(lazy):
    settings = Augmentation(copies=3, sample_rate=1000)
    disk, memory = (augmented(data["train"], settings, seed=1, modality="sound") for data in datasets(lazy))
    assert isinstance(disk.inputs["sound"], LazyArray)
    assert len(disk.inputs["sound"]) == 12
    for name in MEMORY:
        np.testing.assert_array_equal(disk.inputs[name][:], memory.inputs[name])
    np.testing.assert_array_equal(disk.inputs["sound"][[9, 2]], memory.inputs["sound"][[9, 2]])
    assert disk.ids.tolist() == memory.ids.tolist()
    others = [augmented(datasets(lazy)[0]["train"], settings, seed=s, modality="sound") for s in (1, 2)]
    digests = [split.inputs["sound"].digest for split in (disk, *others)]
    assert digests[0] == digests[1] != digests[2]


def model() -> keras.Model:
    inputs = {name: keras.Input(values.shape[1:], name=name) for name, values in MEMORY.items()}
    flat = [keras.layers.Flatten()(tensor) for tensor in inputs.values()]
    logits = keras.layers.Dense(3, name="emotion")(keras.layers.Concatenate()(flat))
    return keras.Model(inputs, {"emotion": logits})


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="files are written on TensorFlow")
@pytest.mark.usefixtures("exported_in_process")
def test_a_model_is_exported_on_shards(lazy, tmp_path):
    disk, memory = datasets(lazy)
    (artifact,) = export_model(
        model(), tmp_path, ["tflite-int8"], evaluation=disk["train"], calibration=disk["train"], resamples=0
    )
    inputs = Sidecar.read(artifact.path).inputs
    for name, values in memory["train"].inputs.items():
        assert inputs[name].calibration_range == pytest.approx((values.min(), values.max()))
    logits = open_artifact(artifact.path).predict(memory["train"].inputs)["emotion"]
    assert artifact.metrics["war"] == np.mean(logits.argmax(axis=1) == memory["train"].labels)


def test_a_model_answers_and_is_calibrated_as_in_memory(lazy, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_lmf.runtime.keras_model.ROWS_PER_BATCH", 4)
    runtime = open_artifact(model())
    np.testing.assert_array_equal(runtime.predict(lazy)["emotion"], runtime.predict(MEMORY)["emotion"])
    labels = np.arange(6) % 3
    temperatures = [
        fit_subset_temperatures(lambda x: runtime.predict(x)["emotion"], inputs, labels, least_rows=3)
        for inputs in (lazy, MEMORY)
    ]
    assert len(temperatures[0]) == 6
    assert temperatures[0] == temperatures[1]
    np.save(
        tmp_path / "huge.npy", np.where(np.arange(6)[:, None, None] == 5, 1e13, FEATURES).astype(np.float32)
    )
    huge = Shards([tmp_path / "huge.npy"], None, "")
    with pytest.raises(LMFError, match="input 'features', row 5"):
        runtime.predict({**lazy, "features": huge})
    with pytest.raises(LMFError, match="received a list"):
        runtime.predict({**lazy, "features": FEATURES.tolist()})
