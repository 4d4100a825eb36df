"""expression_net: against the network in NumPy, and the published weights against PyTorch's answers."""

from __future__ import annotations

from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from networks import answer
from numpy_networks import convolve, relu
from other_backend import pytorch

from keras_lmf import zoo
from keras_lmf.backbones.front_ends import expression_net
from keras_lmf.backbones.front_ends.expression_net import MEANS, TAPS
from keras_lmf.errors import LMFError
from keras_lmf.zoo import read_testvectors

SHIPPED = Path(__file__).parents[1] / "zoo" / "face-api-expression"
ALL = tuple(TAPS)


@pytest.fixture(scope="module")
def published() -> keras.Model:
    return zoo.load_backbone("face-api-expression")


def pictures(*shape: int) -> np.ndarray:
    """Smooth pictures, as faces are."""
    random = np.random.default_rng(0)
    coarse = random.uniform(0.1, 1, (*shape[:-3], 6, 6, shape[-1]))
    flat = coarse.reshape(-1, 6, 6, shape[-1])
    large = [cv2.resize(picture, shape[-2:-4:-1]).reshape(shape[-3:]) for picture in flat]
    return np.array(large, "float32").reshape(shape)


def filled(model: keras.Model, published: keras.Model) -> keras.Model:
    theirs = {weight.path: weight for weight in published.weights}
    for weight in model.weights:
        weight.assign(theirs[weight.path])
    return model


def by_hand(published: keras.Model, x: np.ndarray) -> np.ndarray:
    """The taps of pictures (rows, 112, 112, 3) in NumPy, in double precision."""
    weights = {
        weight.path: keras.ops.convert_to_numpy(weight).astype("float64") for weight in published.weights
    }

    def convolved(x: np.ndarray, name: str, stride: int) -> np.ndarray:
        if (kernel := weights.get(f"{name}/kernel")) is not None:
            return convolve(x, kernel, stride) + weights[f"{name}/bias"]
        depthwise = weights[f"{name}/depthwise_kernel"]
        maps = [convolve(x[..., i : i + 1], depthwise[:, :, i : i + 1], stride) for i in range(x.shape[-1])]
        return np.concatenate(maps, -1) @ weights[f"{name}/pointwise_kernel"][0, 0] + weights[f"{name}/bias"]

    x, found = x.astype("float64") - np.array(MEANS) / 255, []
    for block in range(1, 5):
        name = f"block_{block}_convolution"
        total = relu(convolved(x, f"{name}_0", 2))
        x = total
        for i in (1, 2, 3):
            total = total + convolved(x, f"{name}_{i}", 1)
            x = relu(total)
        found.append(x.mean((1, 2)))
    found.append(found[-1] @ weights["logits/kernel"] + weights["logits/bias"])
    return np.concatenate(found, axis=-1)


def test_the_shipped_weights_answer_their_test_vectors(published):
    """PyTorch's answers, in double precision."""
    assert published.count_params() == 323_687
    assert not published.trainable_weights
    inputs, stored = read_testvectors(SHIPPED / "testvectors.npz")
    np.testing.assert_allclose(answer(published, inputs["frames"]), stored["embedding"], atol=1e-4)


def test_it_is_the_network_written_by_hand(published):
    x = pictures(2, 112, 112, 3)
    expected = by_hand(published, x)
    assert np.ptp(expected[:, -7:], axis=0).max() > 0.1, "the pictures must differ for this to say something"
    model = filled(expression_net((112, 112, 3), taps=ALL), published)
    np.testing.assert_allclose(answer(model, x), expected, atol=1e-4)


def test_small_grey_pictures_are_enlarged_and_grey_is_all_three_colours(published):
    small = pictures(2, 48, 48, 1)
    large = np.array([cv2.resize(picture, (112, 112), interpolation=cv2.INTER_LINEAR) for picture in small])
    colour = filled(expression_net((112, 112, 3), taps=("logits",)), published)
    grey = filled(expression_net((48, 48, 1), taps=("logits",)), published)
    expected = answer(colour, np.repeat(large[..., None], 3, axis=-1))
    np.testing.assert_allclose(answer(grey, small), expected, atol=1e-4)


@pytest.mark.parametrize("taps", [("block_1",), ("logits", "block_2")])
def test_taps_come_in_the_order_asked_for_and_nothing_is_built_above_them(published, taps):
    clips = pictures(1, 2, 112, 112, 3)
    starts = dict(zip(TAPS, np.cumsum([0, *TAPS.values()])))
    every = answer(published, clips)
    model = filled(expression_net((2, 112, 112, 3), taps=taps), published)
    expected = [every[..., starts[tap] : starts[tap] + TAPS[tap]] for tap in taps]
    np.testing.assert_allclose(answer(model, clips), np.concatenate(expected, axis=-1), atol=1e-5)
    assert any("block_2" in weight.path for weight in model.weights) == (len(taps) == 2)


def test_mirror_is_the_mean_of_both_sides_but_in_training(published):
    clips = pictures(2, 2, 112, 112, 3)
    clips[0, 1] = 0
    model = filled(expression_net((2, 112, 112, 3), taps=ALL, mirror=True), published)
    both = answer(published, clips), answer(published, clips[:, :, :, ::-1])
    assert np.abs(both[0] - both[1]).max() > 0.01
    np.testing.assert_allclose(answer(model, clips), (both[0] + both[1]) / 2, atol=1e-4)
    assert (answer(model, clips)[0, 1] == 0).all()
    training = keras.ops.convert_to_numpy(model(clips, training=True))
    np.testing.assert_allclose(training, both[0], atol=1e-4)


@pytest.mark.long
@pytest.mark.backends("torch")
def test_arrays_of_a_folder_become_a_backbone(tmp_path):
    theirs = pytorch("expression_net_files", tmp_path)
    assert theirs["parameters"] == 323_687
    model = zoo.load_backbone(tmp_path / "random")
    np.testing.assert_array_equal(model.get_layer("network").get_layer("logits").bias, theirs["bias"])
    short, text, other, none = map(str, theirs["messages"])
    assert "does not hold the expression network's weights" in short
    assert "does not hold the expression network's weights" in text
    assert "holds other weights than the expression network's" in other
    assert "is missing" in none
    assert not (tmp_path / "made").exists()


def test_what_can_not_be_built_is_refused():
    with pytest.raises(LMFError, match="Did you mean 'block_4'"):
        expression_net(taps=("block4",))
    with pytest.raises(LMFError, match=r"\(frames, height, width, 1 or 3\)"):
        expression_net((3, 64, 64, 2))
