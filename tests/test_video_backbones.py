"""Video backbones: padding, rows alone, receptive field, training behind padding, and a TFLite file of each."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
from drawn_weights import drawn
from loud_model import export
from networks import answer

from keras_lmf.backbones import cnn_2plus1d, cnn_gru, cnn_lstm, frames
from keras_lmf.runtime import open_artifact

SHAPE = (5, 16, 16, 1)
MAKERS = {
    "cnn_lstm": functools.partial(cnn_lstm, units=6),
    "cnn_gru": functools.partial(
        cnn_gru, units=6, network=functools.partial(frames.mini_xception, taps=("block_1", "logits"))
    ),
    "cnn_2plus1d": functools.partial(cnn_2plus1d, filters=(4, 6), units=6, seed=3),
}


def clips(rows: int = 3, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.02, 1, (rows, *SHAPE)).astype("float32")


@pytest.fixture(scope="module")
def models() -> dict[str, keras.Model]:
    keras.utils.set_random_seed(1)
    return {name: drawn(make(SHAPE)) for name, make in MAKERS.items()}


@pytest.mark.parametrize("name", MAKERS)
def test_frames_of_zeros_after_a_clip_change_nothing(models, name):
    rows = clips()
    rows[:, 3:] = 0
    expected = answer(models[name], rows)
    assert expected.shape == (3, 6)
    assert np.ptp(expected, axis=0).max() > 1e-3, "the clips must differ for this to say something"
    longer = MAKERS[name]((9, *SHAPE[1:]))
    longer.set_weights(models[name].get_weights())
    found = answer(longer, np.pad(rows, ((0, 0), (0, 4), (0, 0), (0, 0), (0, 0))))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(answer(models[name], rows[1:2])[0], expected[1], atol=1e-5)
    assert np.isfinite(answer(models[name], np.zeros_like(rows))).all()


@pytest.mark.long
@pytest.mark.parametrize("name", MAKERS)
def test_a_tflite_file_of_builtin_ops_agrees(models, name, tmp_path):
    face = keras.Input(SHAPE, name="face")
    head = keras.layers.Dense(2, name="emotion", kernel_initializer=keras.initializers.GlorotUniform(3))
    model = keras.Model({"face": face}, {"emotion": head(models[name](face))}, name=name)
    folder = export(model, tmp_path, ("tflite",), descriptions={})
    rows = clips()
    rows[1, 2:], rows[2] = 0, 0
    found = open_artifact(folder / "model.tflite").predict({"face": rows})["emotion"]
    expected = keras.ops.convert_to_numpy(model({"face": rows})["emotion"])
    assert np.abs(found - expected).max() <= 1e-4 * max(1, np.abs(expected).max())


def test_parameters_are_those_of_the_docstrings():
    assert cnn_lstm().count_params() == 100017
    assert cnn_2plus1d().count_params() == 48464


def test_cnn_2plus1d_is_a_3d_convolution_of_that_kernel():
    """One block against one Conv3D, whose kernel is the outer product of a picture's and of time's."""
    model = cnn_2plus1d((4, 6, 6, 1), filters=(1,), units=2, seed=5)
    spatial, temporal = (np.asarray(model.get_layer(f"{word}_0").kernel) for word in ("spatial", "temporal"))
    model.get_layer("spatial_0").kernel.assign(
        np.abs(spatial)
    )  # so that the ReLU between them changes nothing
    model.get_layer("temporal_0").kernel.assign(np.abs(temporal))
    kernel = np.abs(temporal[:, 0, 0, 0])[:, None, None] * np.abs(spatial[:, :, 0, 0])
    rows = np.random.default_rng(0).uniform(0.5, 1, (2, 4, 6, 6, 1)).astype("float32")
    padded = np.pad(2 * rows[..., 0] - 1, ((0, 0), (1, 1), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3), axis=(1, 2, 3))
    maps = np.einsum("btyxijk,ijk->btyx", windows, kernel) / (1 + 1e-3)  # two norms with variance 1
    pooled = maps.reshape(2, 4, 3, 2, 3, 2).max(axis=(3, 5)).mean(axis=(2, 3))
    found = answer(keras.Model(model.input, model.get_layer("pooling").output), rows)
    np.testing.assert_allclose(found, np.stack([pooled.mean(1), pooled.std(1)], axis=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("blocks", [1, 2])
def test_receptive_field_of_the_convolutions(blocks):
    """One pixel changes before the pooling what lies within 2 n + 1 frames and 3 · 2^n − 2 pixels."""
    model = cnn_2plus1d((11, 24, 24, 1), filters=(2,) * blocks, units=2, seed=1)
    hidden = keras.Model(model.input, model.get_layer(f"pool_{blocks - 1}").output)
    for layer in model.layers:  # positive weights: ReLU and maximum hide nothing
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([np.full(layer.kernel.shape, 0.1)])
    base = np.full((1, 11, 24, 24, 1), 0.6, "float32")

    def seen(rows: np.ndarray) -> np.ndarray:
        """(rows, frames, height) of the outputs that differ from the base's."""
        maps = answer(hidden, np.concatenate([base, rows])).reshape(len(rows) + 1, 11, 24 >> blocks, -1)
        return np.abs(maps[1:] - maps[:1]).max(axis=3) > 1e-7

    frame = np.repeat(base, 11, axis=0)
    frame[np.arange(11), np.arange(11)] += 0.2
    assert seen(frame)[:, 5].any(axis=1).sum() == 2 * blocks + 1
    line = np.repeat(base, 24, axis=0)
    line[np.arange(24), :, np.arange(24)] += 0.2
    assert seen(line)[:, 5, (24 >> blocks) // 2].sum() == 3 * 2**blocks - 2


def test_padding_changes_no_statistic_of_a_training_step():
    rows = clips(4)
    first = cnn_2plus1d(SHAPE, filters=(3, 4), units=4, seed=2)
    second = cnn_2plus1d((8, *SHAPE[1:]), filters=(3, 4), units=4, seed=2)
    first(rows, training=True)
    second(np.pad(rows, ((0, 0), (0, 3), (0, 0), (0, 0), (0, 0))), training=True)
    assert np.abs(np.asarray(first.get_layer("temporal_0_norm").moving_mean)).max() > 1e-4
    for ours, weight in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(ours, weight, atol=1e-5)
