"""Front ends for video: the shipped mini-Xception against PyTorch, its taps, other networks, and frames of zeros."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from networks import answer, filled
from other_backend import pytorch

from keras_lmf import zoo
from keras_lmf.backbones import frames
from keras_lmf.errors import LMFError
from keras_lmf.zoo import read_testvectors

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "zoo" / "mini-xception"
PAD = ((0, 0), (0, 1), (0, 0), (0, 0), (0, 0))  # one frame of zeros after a clip
STARTS = dict(zip(frames.TAPS, np.cumsum([0, *frames.TAPS.values()])))


def pictures(*shape: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.02, 1, shape).astype("float32")


@pytest.fixture(scope="module")
def published() -> keras.Model:
    return zoo.load_backbone("mini-xception")


def test_the_shipped_weights_answer_their_test_vectors(published):
    """PyTorch's answers."""
    assert published.count_params() == 58423
    assert not published.trainable_weights
    inputs, stored = read_testvectors(SHIPPED / "testvectors.npz")
    np.testing.assert_allclose(answer(published, inputs["frames"]), stored["embedding"], atol=1e-4)


@pytest.mark.long
@pytest.mark.backends("torch")
def test_the_shipped_weights_answer_as_the_original_in_pytorch(published, tmp_path):
    clips = pictures(2, 3, 64, 64, 1)
    np.save(tmp_path / "pictures.npy", 255 * clips.reshape(-1, 64, 64, 1))
    expected = pytorch("mini_xception", tmp_path)["taps"].reshape(2, 3, -1)
    assert np.ptp(expected, axis=(0, 1)).max() > 0.05, "the pictures must differ for this to say something"
    np.testing.assert_allclose(answer(published, clips), expected, atol=1e-4)


@pytest.mark.parametrize("taps", [("block_1",), ("block_4",), ("logits", "block_2"), ("block_3", "block_1")])
def test_taps_come_in_the_order_asked_for_and_nothing_is_built_above_them(published, taps):
    clips = pictures(1, 3, 64, 64, 1)
    every = answer(published, clips)
    model = filled(frames.mini_xception((3, 64, 64, 1), taps=taps), published)
    expected = [every[..., STARTS[tap] : STARTS[tap] + frames.TAPS[tap]] for tap in taps]
    np.testing.assert_allclose(answer(model, clips), np.concatenate(expected, axis=-1), atol=1e-5)
    names = {layer.name for layer in model.layers}
    highest = max(list(frames.TAPS).index(tap) for tap in taps)
    assert [tap in names for tap in frames.TAPS] == [i <= highest for i in range(5)]


def test_frames_of_zeros_are_rows_of_zeros_and_change_no_other(published):
    clips = pictures(2, 3, 64, 64, 1)
    expected = answer(published, clips)
    longer = answer(zoo.load_backbone("mini-xception", (4, 64, 64, 1)), np.pad(clips, PAD))
    np.testing.assert_allclose(longer[:, :3], expected, atol=1e-5)
    assert (longer[:, 3] == 0).all()
    clips[0, 2:], clips[1, 0] = 0, 0
    found = answer(published, clips)
    there = np.array([[1, 1, 0], [0, 1, 1]], bool)
    assert (found[~there] == 0).all()
    np.testing.assert_allclose(found[there], expected[there], atol=1e-5)


@pytest.mark.long
@pytest.mark.backends("torch")
def test_arrays_of_a_file_become_a_backbone(tmp_path):
    theirs = pytorch("mini_xception_files", tmp_path)
    found, expected = theirs["parameters"]
    assert found == expected
    model = zoo.load_backbone(tmp_path / "random")
    np.testing.assert_array_equal(model.get_layer("logits").bias, theirs["bias"])
    other, text = map(str, theirs["messages"])
    assert "conv2d_7_1/bias:0 is float32 of (8,), not (7,)" in other
    assert "text.hdf5 does not hold mini-Xception's weights" in text
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("channels", [1, 3])
def test_an_application_sees_each_frame_as_keras_says(channels):
    """Its own preprocessing and resizing, by NumPy: MobileNet takes numbers from -1 to 1."""
    model = frames.application((2, 16, 16, channels), network="MobileNet", size=(32, 32), seed=4)
    clips = pictures(1, 2, 16, 16, channels)
    body = model.get_layer("network")
    large = np.asarray(keras.ops.image.resize(clips[0], (32, 32), interpolation="bilinear"))
    expected = body(np.broadcast_to(large, (2, 32, 32, 3)) * 2.0 - 1.0)
    found = answer(model, clips)
    assert found.shape == (1, 2, 1024)
    assert np.abs(found).max() > 0
    np.testing.assert_allclose(found[0], keras.ops.convert_to_numpy(expected), rtol=1e-3, atol=1e-5)
    clips[:, 1] = 0
    assert (answer(model, clips)[:, 1] == 0).all()
    assert not model.trainable_weights
    again = frames.application((2, 16, 16, channels), network="MobileNet", size=(32, 32), seed=4)
    for ours, weight in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, weight)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: frames.mini_xception((64, 64)),
            r"\(frames, height, width, 1\) .* received \(64, 64\)",
        ),
        (lambda: frames.mini_xception((3, 64, 64, 3)), r"\(frames, height, width, 1\)"),
        (lambda: frames.mini_xception((4, 4, 1)), "pictures of at least 5 × 5 pixels, received 4 × 4"),
        (lambda: frames.mini_xception(taps=("block4",)), "Did you mean 'block_4'"),
        (lambda: frames.mini_xception(taps=()), "taps of mini_xception must be one or more different ones"),
        (
            lambda: frames.mini_xception(taps=("logits", "logits")),
            "taps of mini_xception must be one or more different ones",
        ),
        (lambda: frames.application(network="MobileNetV3Smal"), "Did you mean 'MobileNetV3Small'"),
        (lambda: frames.application(network="mobilenet"), "Unknown network"),
        (lambda: frames.application(weights="imagenette"), "Did you mean 'imagenet'"),
        (
            lambda: frames.application((2, 16, 16, 1)),
            r"MobileNetV3Small can't be made for frames of \(16, 16",
        ),
    ],
)
def test_what_can_not_be_built_is_refused(make, says):
    with pytest.raises(LMFError, match=says):
        make()


def test_one_picture_is_a_clip_of_one_frame(published):
    clips = pictures(3, 1, 64, 64, 1)
    clips[1] = 0
    model = filled(frames.mini_xception((64, 64, 1), taps=tuple(frames.TAPS)), published)
    one = filled(frames.mini_xception((1, 64, 64, 1), taps=tuple(frames.TAPS)), published)
    assert model.output_shape == (None, sum(frames.TAPS.values()))
    np.testing.assert_allclose(answer(model, clips[:, 0]), answer(one, clips)[:, 0], atol=1e-6)
    assert not answer(model, clips[:, 0])[1].any()


def test_mirror_is_the_mean_of_both_sides(published):
    clips = pictures(2, 3, 64, 64, 1)
    clips[0, 2] = 0
    model = filled(frames.mini_xception((3, 64, 64, 1), taps=tuple(frames.TAPS), mirror=True), published)
    both = answer(published, clips), answer(published, clips[:, :, :, ::-1])
    assert np.abs(both[0] - both[1]).max() > 0.01
    np.testing.assert_allclose(answer(model, clips), (both[0] + both[1]) / 2, atol=1e-5)
    assert model.count_params() == published.count_params()
