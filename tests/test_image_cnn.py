"""image_cnn: against convolutions in NumPy, and what it can't see."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from numpy_networks import batch_norm, convolve, max_pool, relu

from keras_lmf.backbones import image_cnn
from keras_lmf.errors import LMFError
from keras_lmf.models import build
from keras_lmf.publishing.vectors import write_vectors
from keras_lmf.recipe import Recipe
from keras_lmf.recognition import Recognizer

SHAPE = (14, 10, 2)


def pictures(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(size=(count, *SHAPE)).astype("float32")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """With statistics and shifts of batch normalisation as training would leave them."""
    built = image_cnn(SHAPE, filters=(4, 6), dropout=0.5, seed=3)
    random = np.random.default_rng(1)
    for weight in built.weights:
        if weight.path.split("/")[-1] in ("gamma", "beta", "moving_mean", "moving_variance"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    return built


def by_hand(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """The same network in NumPy, in double precision."""
    weights = {weight.path: np.asarray(weight, "float64") for weight in model.weights}

    def convolved(x: np.ndarray, name: str) -> np.ndarray:
        parts = (
            weights[f"norm_{name}/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return batch_norm(convolve(x, weights[f"convolution_{name}/kernel"]), *parts)

    x = x.astype("float64")
    x = (x - x.mean((1, 2, 3), keepdims=True)) / x.std((1, 2, 3), keepdims=True)
    x = relu(convolved(x, "stem"))
    for i in range(2):
        if i:
            x = max_pool(x, (2, 2), (2, 2))
        shortcut = weights.get(f"shortcut_{i}/kernel")
        before = x if shortcut is None else convolve(x, shortcut)
        x = relu(convolved(relu(convolved(x, f"{i}_a")), f"{i}_b") + before)
    return x.mean((1, 2))


def test_it_is_the_network_written_by_hand(model):
    x = pictures()
    expected = by_hand(model, x)
    assert expected.std() > 0.1
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_mirror_images_are_averaged(model):
    both = image_cnn(SHAPE, filters=(4, 6), dropout=0.5, mirror=True, seed=3)
    both.set_weights(model.get_weights())
    x = pictures()
    expected = (by_hand(model, x) + by_hand(model, x[:, :, ::-1])) / 2
    np.testing.assert_allclose(both.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(by_hand(model, x) - expected).max() > 1e-3


def test_exposure_and_contrast_are_not_seen(model):
    x = pictures()
    np.testing.assert_allclose(
        model.predict(0.3 * x + 0.2, verbose=0), model.predict(x, verbose=0), rtol=1e-3, atol=1e-4
    )


def test_one_grey_is_no_division_by_zero(model):
    grey = model.predict(np.stack([np.zeros(SHAPE), np.full(SHAPE, 0.7)]), verbose=0)
    np.testing.assert_allclose(grey[0], grey[1], atol=1e-3)
    assert np.isfinite(grey).all()


def test_the_receptive_field_is_that_of_the_docstring():
    """9 · 2^(n − 1) − 2 pixels: 16 for two blocks. Positive kernels and pictures: no ReLU hides a change."""
    model = image_cnn((80, 8, 1), filters=(3, 3), seed=0)
    for weight in model.weights:
        if weight.path.endswith("kernel"):
            weight.assign(keras.ops.abs(weight))
    body = keras.Model(model.get_layer("convolution_stem").input, model.get_layer("relu_1_b").output)
    before = np.ones((1, 80, 8, 1), "float32")
    raised = before + 100 * np.eye(80, dtype="float32")[:, :, None, None]
    moved = np.abs(np.asarray(body(raised)) - np.asarray(body(before))).max(axis=(2, 3)) > 1e-3
    assert moved.sum(axis=0).max() == 16


def test_a_picture_has_channels():
    with pytest.raises(
        LMFError,
        match=r"image of shape \(height, width, channels\) without the batch axis, received \(48, 48\)",
    ):
        image_cnn((48, 48))


def recipe_of(shape: tuple[int, ...], **settings) -> Recipe:
    backbone = {"name": "image_cnn", "filters": [4, 6]}
    return Recipe(
        name="faces",
        corpus={"name": "fer2013"},
        target={"name": "emotion", "classes": ["happy", "sad"]},
        inputs={"face": {"shape": shape, "backbone": backbone, **settings}},
        fusion={"name": "none"},
        training={"loss": "cross_entropy"},
    )


def test_a_run_judges_the_pictures_of_a_film(tmp_path):
    recipe = recipe_of((16, 16, 1), frame_rate=5)
    recipe.write(tmp_path / "recipe.toml")
    model = build(recipe)
    model.save_weights(tmp_path / "model.weights.h5")
    recognizer = Recognizer(tmp_path, face_detector=lambda frame: np.zeros((0, 4)))
    assert (recognizer.modalities, recognizer.seconds) == (("face",), 0.2)
    picture = pictures(1)[0, :10, :10, :1].repeat(2, 0)[:16].repeat(2, 1)[:, :16]
    answer = recognizer({"face": picture})
    logits = keras.ops.convert_to_numpy(model({"face": picture[None]})["emotion"])[0]
    assert list(answer.probabilities.values()) == pytest.approx(np.exp(logits) / np.exp(logits).sum(), 1e-5)


def test_vectors_of_pictures_are_pictures(tmp_path):
    model = build(recipe_of((16, 16, 1), frame_rate=5))
    run = SimpleNamespace(recipe=recipe_of((16, 16, 1), frame_rate=5), model=model)
    write_vectors(tmp_path / "testvectors.npz", run, None)
    with np.load(tmp_path / "testvectors.npz") as arrays:
        drawn = arrays["input/face"]
    assert drawn.shape == (8, 16, 16, 1)
    assert 0 < drawn[:-1].min() < drawn.max() <= 1
    assert not drawn[-1].any()
    assert drawn[:-1].std(axis=(1, 2, 3)).min() > 0.1
