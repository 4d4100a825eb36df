"""Pictures change in training only, by what was asked for."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lmf.backbones import picture_augmentation
from keras_lmf.errors import LMFError
from keras_lmf.models import build
from keras_lmf.recipe import Recipe

SHAPE = (14, 10, 1)
AFFINE = {"rotation": 20, "shift": 0.2, "zoom": 0.2}
CHANGES = [AFFINE, {"erasing": 0.3}, {"blur": 1.0}, {"brightness": 0.4}, {"contrast": 0.8}]


def pictures(count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.3, 0.7, size=(count, *SHAPE)).astype("float32")


def numbers(tensor: object) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("changes", CHANGES)
def test_pictures_change_in_training_only(changes):
    model, x = picture_augmentation(SHAPE, **changes, seed=3), pictures()
    x[2] = 0
    np.testing.assert_array_equal(numbers(model(x, training=False)), x)
    np.testing.assert_array_equal(numbers(model(x)), x)
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)
    changed = numbers(model(x, training=True))
    assert np.abs(changed - x).max(axis=(1, 2, 3))[[0, 1, 3, 4, 5]].max() > 1e-2
    assert not changed[2].any()  # absent
    assert 0 <= changed.min() <= changed.max() <= 1
    again = numbers(model(x, training=True))
    assert np.abs(again - changed).max() > 1e-2  # anew each time


def test_it_is_saved_and_loaded(tmp_path):
    model = picture_augmentation(SHAPE, **AFFINE, erasing=0.3, blur=0.5, brightness=0.1, contrast=0.1, seed=3)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = pictures()
    np.testing.assert_array_equal(numbers(again(x)), x)
    np.testing.assert_allclose(numbers(again(x, training=True)), numbers(model(x, training=True)), atol=1e-6)


def test_brightness_moves_all_pixels_alike():
    x = pictures()
    moved = numbers(picture_augmentation(SHAPE, brightness=0.2, seed=1)(x, training=True)) - x
    np.testing.assert_allclose(np.ptp(moved, axis=(1, 2, 3)), 0, atol=1e-5)
    assert 0.02 < np.abs(moved).max() <= 0.2 + 1e-5


def test_nothing_asked_for_changes_nothing():
    x = pictures()
    np.testing.assert_array_equal(numbers(picture_augmentation(SHAPE)(x, training=True)), x)


def test_a_part_too_small_to_erase_is_refused():
    with pytest.raises(LMFError, match=r"erasing must be 0, or 0\.02 to 1, received 0\.01"):
        picture_augmentation(SHAPE, erasing=0.01)


def recipe(face: dict, augmentation: dict | None) -> Recipe:
    return Recipe(
        name="faces",
        corpus={"name": "ferplus"},
        target={"name": "emotion", "classes": ["happy", "sad"]},
        inputs={"face": face},
        fusion={"name": "none"},
        training={"loss": "cross_entropy", "picture_augmentation": augmentation},
    )


FACE = {"shape": SHAPE, "backbone": {"name": "image_cnn", "filters": [4]}}


def test_a_recipe_with_it_answers_as_one_without():
    with_it, plain = build(recipe(FACE, AFFINE)), build(recipe(FACE, None))
    shared = [weight for weight in with_it.weights if "seed" not in weight.path]
    for weight, own in zip(shared, plain.weights, strict=True):
        np.testing.assert_array_equal(numbers(weight), numbers(own))
    x = {"face": pictures()}
    np.testing.assert_array_equal(numbers(with_it(x)["emotion"]), numbers(plain(x)["emotion"]))
    assert (
        np.abs(numbers(with_it(x, training=True)["emotion"] - plain(x, training=True)["emotion"])).max()
        > 1e-3
    )


@pytest.mark.parametrize(
    "face",
    [
        {"shape": [20], "backbone": {"name": "mlp"}},
        {"shape": [4, 64, 64, 1], "backbone": {"name": "cnn_2plus1d"}},
        {"shape": [64, 64, 1], "front_end": {"name": "mini_xception"}, "backbone": {"name": "mlp"}},
    ],
)
def test_what_never_learns_from_changed_pictures_is_refused(face):
    with pytest.raises(LMFError, match=r"picture_augmentation needs an input of pictures, .* fine_tuned"):
        recipe(face, AFFINE)
