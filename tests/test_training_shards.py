"""Training on shards is training in memory, to the last bit; and what soft labels and joined corpora change."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from resume_worker import recipe as small_recipe
from resume_worker import sequences
from scipy.special import log_softmax

from keras_lmf.data import Batches, Dataset
from keras_lmf.data.shards import Shards
from keras_lmf.recipe import Recipe
from keras_lmf.target import Target
from keras_lmf.training import Run, train
from keras_lmf.training.optimizer import compiled
from keras_lmf.training.stages import stage_of

SAMPLES = 1600
SPLITS = np.repeat(["train", "valid", "test"], [10, 7, 5])
RECIPE = Recipe(
    name="tones",
    seed=3,
    corpus={"name": "synthetic"},
    target={"name": "emotion", "classes": ["calm", "excited"]},
    inputs={
        "voice": {
            "shape": [SAMPLES],
            "front_end": {"name": "log_mel", "bands": 6},
            "backbone": {"name": "average_pooling", "units": [3], "dropout": 0.2},
        },
        "face": {"shape": [3], "backbone": {"name": "mlp", "units": [3]}},
    },
    fusion={"name": "low_rank", "units": 3, "rank": 1},
    training={
        "loss": "cross_entropy",
        "epochs": 3,
        "batch_size": 4,
        "learning_rate": 0.01,
        "schedule": "cosine",
        "augmentation": {"copies": 2},
    },
)


def on_disk(folder: Path) -> Dataset:
    """Two tones in noise as int16 in two files; faces as float32 in one."""
    random, rows = np.random.default_rng(6), len(SPLITS)
    labels = np.arange(rows) % 2
    sound = 6000 * np.sin(np.arange(SAMPLES) * np.array([0.15, 0.35])[labels][:, None])
    sound = (sound + 1500 * random.standard_normal(sound.shape)).astype(np.int16)
    sound[:, 1400:] = 0
    paths = [folder / f"voice-{i}.npy" for i in range(2)]
    for path, part in zip(paths, np.split(sound, [9])):
        np.save(path, part)
    np.save(folder / "face.npy", (random.standard_normal((rows, 3)) + labels[:, None]).astype(np.float32))
    return Dataset(
        name="tones",
        target=Target(name="emotion", classes=("calm", "excited")),
        inputs={
            "voice": Shards(paths, 32767, "voice"),
            "face": Shards([folder / "face.npy"], None, "face"),
        },
        labels=labels,
        groups=SPLITS,
        ids=np.array([f"clip{row}" for row in range(rows)]),
        splits=SPLITS,
    )


class Stop(keras.callbacks.Callback):
    """Ctrl-C in the second epoch, of five steps."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations >= 7:
            raise KeyboardInterrupt


def assert_same_weights(ours: Run, theirs: Run) -> None:
    for one, other in zip(ours.model.get_weights(), theirs.model.get_weights(), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


@pytest.mark.long
def test_an_interrupted_run_on_shards_has_the_weights_answers_and_temperature_of_one_in_memory(tmp_path):
    disk = on_disk(tmp_path)
    memory = dataclasses.replace(disk, inputs={name: np.asarray(rows) for name, rows in disk.inputs.items()})
    run = train(RECIPE, memory, tmp_path / "memory")
    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, disk, tmp_path / "disk", callbacks=[Stop()])
    left = tmp_path / "disk" / ".partial-features"
    assert not left.exists()
    left.mkdir()  # as a kill would leave them
    (left / "voice-train.npy").write_bytes(b"\x93NUMPY")
    resumed = train(RECIPE, disk, tmp_path / "disk")
    assert resumed.history.index.tolist() == [1, 2, 3]
    assert_same_weights(resumed, run)
    for name in ("history.csv", "calibration.json"):
        assert (resumed.folder / name).read_bytes() == (run.folder / name).read_bytes()
    assert resumed.evaluate("test", resamples=0).metrics == run.evaluate("test", resamples=0).metrics
    names = [sorted(path.name for path in each.folder.iterdir()) for each in (run, resumed)]
    assert names[0] == names[1], "no features stay behind"


def softened(share: float) -> Dataset:
    """The tiny data with soft labels: `share` of a vote goes to the next class."""
    data = sequences()
    hard = np.eye(3)[data.labels]
    return dataclasses.replace(data, soft_labels=(1 - share) * hard + share * np.roll(hard, 1, axis=1))


def face_alone(**training) -> Recipe:
    return small_recipe().select(["video"]).replace(fusion={"name": "none"}, training=training)


def test_one_hot_soft_labels_train_as_hard_ones():
    words, weights, logged = face_alone(), [], []
    for data in (sequences(), softened(0)):
        model = compiled(words, 4, stage_of(words, 0))
        batches = Batches(data.select(["video"])["train"], 8, seed=1)
        logged.append(model.fit(batches, epochs=3, shuffle=False, verbose=0).history)
        weights.append(model.get_weights())
    for hard, soft in zip(*weights, strict=True):
        np.testing.assert_allclose(soft, hard, atol=1e-6)
    assert logged[0]["war"] == logged[1]["war"]
    np.testing.assert_allclose(logged[0]["loss"], logged[1]["loss"], rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_cross_entropy_with_the_soft_labels_and_war_counts_the_hard_ones(smoothing):
    words = face_alone(label_smoothing=smoothing)
    valid = softened(0.7).select(["video"])["valid"]  # the largest share is never the label's
    model = compiled(words, 1, stage_of(words, 0))
    logged = model.evaluate(Batches(valid, 20), verbose=0, return_dict=True)
    logits = model.predict(valid.inputs, verbose=0)["emotion"].astype(np.float64)
    shares = valid.soft_labels * (1 - smoothing) + smoothing / 3
    assert logged["loss"] == pytest.approx(
        -(shares * log_softmax(logits, axis=1)).sum(axis=1).mean(), rel=1e-5
    )
    assert logged["war"] == pytest.approx(np.mean(logits.argmax(axis=1) == valid.labels))


class Seen(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1


@pytest.mark.slow
def test_a_recipe_can_ask_for_batches_of_corpora(tmp_path):
    words = face_alone(epochs=1, batches="corpora", schedule="cosine")
    data = sequences()
    data = dataclasses.replace(data, corpora=np.where(np.arange(len(data)) % 30 < 20, "large", "small"))
    seen = Seen()
    train(words, data, tmp_path / "run", callbacks=[seen])
    assert seen.steps == 5  # twice the 20 training rows of the larger, by 8
    assert face_alone(batches="rows").fingerprint == face_alone().fingerprint
