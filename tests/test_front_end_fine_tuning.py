"""fine_tuned: the top blocks of a published front end learn along, the others stay as published."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_lmf import zoo
from keras_lmf.data import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.models import build, pretrained
from keras_lmf.recipe import Recipe
from keras_lmf.recipe.front_ends import FRONT_ENDS
from keras_lmf.target import Target
from keras_lmf.training import Run, train

EMOTION = Target(name="emotion", classes=("happy", "sad"))
SIDE = 16


def faces() -> Dataset:
    """Bright ones are happy."""
    random, labels = np.random.default_rng(0), np.arange(24) % 2
    pictures = random.uniform(0.1, 0.5, (24, SIDE, SIDE, 1)) + 0.4 * (1 - labels)[:, None, None, None]
    return Dataset(
        name="faces",
        target=EMOTION,
        labels=labels,
        splits=["train"] * 16 + ["valid"] * 8,
        inputs={"face": pictures.astype("float32")},
        groups=[f"person-{i}" for i in range(24)],
        ids=[f"face-{i}" for i in range(24)],
    )


def recipe(front_end: dict | None = None, **training: object) -> Recipe:
    words = {"name": "mini_xception", "taps": ["block_2"], "fine_tuned": 1, **(front_end or {})}
    return Recipe(
        name="faces",
        corpus={"name": "ferplus"},
        target=EMOTION.model_dump(exclude_none=True),
        inputs={
            "face": {"shape": [SIDE, SIDE, 1], "front_end": words, "backbone": {"name": "mlp", "units": []}}
        },
        fusion={"name": "none"},
        training={"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "loss": "cross_entropy", **training},
    )


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Path without the model's own name → values."""
    found = {}
    for weight in model.weights:
        found[weight.path.removeprefix(f"{model.name}/")] = keras.ops.convert_to_numpy(weight)
    return found


@pytest.mark.slow
def test_only_the_top_block_moves_and_the_run_keeps_what_it_learnt(tmp_path: Path) -> None:
    run = train(recipe(), faces(), tmp_path / "run")
    published, tuned = (
        weights(zoo.load_backbone("mini-xception")),
        weights(run.model.get_layer("face_front_end")),
    )
    assert set(tuned) <= set(published)
    moved = {path for path, values in tuned.items() if (values != published[path]).any()}
    assert moved == {path for path in tuned if path.startswith("block_2")}
    again = Run(tmp_path / "run", recipe(), faces()).model
    x = {"face": faces()["valid"].inputs["face"]}
    np.testing.assert_array_equal(
        again.predict(x, verbose=0)["emotion"], run.model.predict(x, verbose=0)["emotion"]
    )
    # A zoo entry's file then holds the front end, too.
    assert pretrained.names(run.recipe) == {}
    assert pretrained.behind_front_ends(run.recipe, run.model) is run.model


@pytest.mark.long
def test_standardisation_is_that_of_the_published_features(tmp_path: Path) -> None:
    run = train(recipe(epochs=1, front_end_learning_rate=1e-9), faces(), tmp_path / "run")
    body = zoo.load_backbone("mini-xception", (SIDE, SIDE, 1))
    x = faces()["train"].inputs["face"]
    found = keras.ops.convert_to_numpy(body(x))[:, 16:48]  # block_2 follows the 16 of block_1
    layer = run.model.get_layer("face_backbone").get_layer("standardization")
    np.testing.assert_allclose(np.asarray(layer.adapt_mean).ravel(), found.mean(0), rtol=1e-3, atol=1e-4)


@pytest.mark.long
def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    class InterruptOnce(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if epoch == 0:
                raise KeyboardInterrupt

    augmented = recipe(picture_augmentation={"rotation": 10, "brightness": 0.1})
    whole = train(augmented, faces(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(augmented, faces(), tmp_path / "parts", callbacks=[InterruptOnce()])
    parts = train(augmented, faces(), tmp_path / "parts")
    for old, new in zip(whole.model.get_weights(), parts.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


# Word → of its topmost block: what its weights' paths begin with, and how many there are (Whisper's: three norms of two
# less one, four products of attention of which one has no bias, two of the feed-forward layers).
TOP = {
    "ge2e": ("linear", 2),
    "whisper": ("block_1", 15),
    "whisper_convolutions": ("convolution_2", 3),
    "mini_xception": ("logits", 2),
    "expression_net": ("logits", 2),
}


@pytest.mark.parametrize("word", TOP)
def test_the_topmost_block_of_each_published_front_end(word: str) -> None:
    section = FRONT_ENDS[word]
    setting, taps = section.published
    shape = (4800,) if section.media == "waveform" else (16, 16, 1)
    chosen = (1,) if word == "whisper" else taps
    model = section(name=word, fine_tuned=1, **{setting: chosen}).build(shape, "own_front_end")
    begins, count = TOP[word]
    paths = [weight.path for weight in model.trainable_weights]
    assert len(paths) == count
    assert all(path.startswith(f"own_front_end/{begins}") for path in paths)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: recipe({"fine_tuned": 7}), "has 6 blocks to train, fine_tuned is 7"),
        (
            lambda: recipe({"fine_tuned": 0}, front_end_learning_rate=0.1),
            "for front ends with fine_tuned blocks",
        ),
        (lambda: recipe(center="corpora"), "center 'corpora' is for features that stay as they are"),
        (
            lambda: recipe({"name": "application", "network": "MobileNet", "taps": None}),
            "has 0 blocks to train|taps",
        ),
    ],
)
def test_what_can_not_be_tuned_is_refused(make: object, says: str) -> None:
    with pytest.raises(LMFError, match=says):
        make()


def test_rates_of_the_front_end_and_of_the_rest() -> None:
    from keras_lmf.training.optimizer import compiled
    from keras_lmf.training.stages import stage_of

    for words, multiplier in ((recipe(), 0.1), (recipe(front_end_learning_rate=0.002), 0.2)):
        model = compiled(words, 3, stage_of(words, 0))
        assert model.optimizer.multipliers == {"face_front_end": pytest.approx(multiplier)}
    paths = [weight.path for weight in build(recipe()).get_layer("face_front_end").weights]
    assert all(path.startswith("face_front_end/") for path in paths)
