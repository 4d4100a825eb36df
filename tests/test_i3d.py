"""I3D: names and shapes of the published checkpoint, and the whole network written in NumPy."""

from __future__ import annotations

import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow
from loud_model import export
from networks import answer
from numpy_networks import batch_norm, convolve, max_pool, relu
from real_corpora import ROOT, needs_data

from keras_lmf.backbones import i3d, load_i3d_variables
from keras_lmf.errors import LMFError
from keras_lmf.models import load_i3d_checkpoint
from keras_lmf.runtime import open_artifact

pytestmark = needs_data  # the names of the checkpoint
SHAPE = (10, 33, 40, 3)  # no size is a multiple of its strides, so that every kind of padding is met
SCOPE = "RGB/inception_i3d/"


@pytest.fixture(scope="module")
def shapes() -> dict[str, tuple[int, ...]]:
    path = Path(ROOT, "reference", "i3d_rgb_imagenet_variables.json")
    return {name: tuple(shape) for name, shape in json.loads(path.read_text()).items()}


@pytest.fixture(scope="module")
def variables(shapes) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    drawn = {}
    for name, shape in shapes.items():
        if name.endswith("/w"):
            drawn[name] = random.normal(0, math.sqrt(2 / math.prod(shape[:-1])), shape)
        elif name.endswith("variance"):
            drawn[name] = random.uniform(0.5, 1.5, shape)
        else:
            drawn[name] = random.normal(0, 0.2, shape)
    return {name: array.astype("float32") for name, array in drawn.items()}


@pytest.fixture(scope="module")
def model(variables) -> keras.Model:
    return load_i3d_variables(i3d(SHAPE, units=8, seed=0), variables)


class Original:
    """The published network up to Mixed_5c, from the paper's figure 3 and the names of the checkpoint."""

    def __init__(self, variables: dict[str, np.ndarray]) -> None:
        self._variables = variables

    def unit(self, x: np.ndarray, name: str, stride: int = 1) -> np.ndarray:
        x = convolve(x, self._variables[f"{SCOPE}{name}/conv_3d/w"], stride)
        mean, variance, beta = (
            self._variables[f"{SCOPE}{name}/batch_norm/{word}"].reshape(-1)
            for word in ("moving_mean", "moving_variance", "beta")
        )
        return relu(batch_norm(x, mean, variance, beta=beta))

    def mixed(self, x: np.ndarray, name: str) -> np.ndarray:
        last = "Conv3d_0a_3x3" if name == "Mixed_5b" else "Conv3d_0b_3x3"
        first, second = (self.unit(x, f"{name}/Branch_{i}/Conv3d_0a_1x1") for i in (1, 2))
        return np.concatenate(
            [
                self.unit(x, f"{name}/Branch_0/Conv3d_0a_1x1"),
                self.unit(first, f"{name}/Branch_1/Conv3d_0b_3x3"),
                self.unit(second, f"{name}/Branch_2/{last}"),
                self.unit(max_pool(x, (3, 3, 3), (1, 1, 1)), f"{name}/Branch_3/Conv3d_0b_1x1"),
            ],
            axis=-1,
        )

    def maps(self, clips: np.ndarray) -> np.ndarray:
        """(batch, frames, height, width, 3) → (batch, steps, rows, columns, 1024)."""
        x = max_pool(self.unit(clips, "Conv3d_1a_7x7", 2), (1, 3, 3), (1, 2, 2))
        x = self.unit(self.unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3")
        x = max_pool(x, (1, 3, 3), (1, 2, 2))
        for letter in "bc":
            x = self.mixed(x, f"Mixed_3{letter}")
        x = max_pool(x, (3, 3, 3), (2, 2, 2))
        for letter in "bcdef":
            x = self.mixed(x, f"Mixed_4{letter}")
        x = max_pool(x, (2, 2, 2), (2, 2, 2))
        for letter in "bc":
            x = self.mixed(x, f"Mixed_5{letter}")
        return x


def features_of(model: keras.Model) -> keras.Model:
    return keras.Model(model.input, model.get_layer("features").output)


@pytest.mark.slow
def test_the_network_is_the_published_one(model, variables):
    clip = np.random.default_rng(1).uniform(0.02, 1, (1, *SHAPE)).astype("float32")
    original = Original(variables)
    expected = original.maps(2 * clip - 1).mean(axis=(1, 2, 3))
    assert expected.std() > 0.05, "it must not be dead for this to say something"
    np.testing.assert_allclose(answer(features_of(model), clip), expected, rtol=1e-3, atol=1e-4)
    # The second of two steps has frames of zeros alone, which enter as what lies beyond the clip: one step counts.
    clip[:, 5:] = 0
    cut = np.where(clip == 0, 0, 2 * clip - 1)
    np.testing.assert_allclose(
        answer(features_of(model), clip), original.maps(cut)[:, 0].mean(axis=(1, 2)), rtol=1e-3, atol=1e-4
    )
    assert np.isfinite(answer(model, np.zeros_like(clip))).all()


class Read(dict):
    """Variables that remember who was asked for."""

    def __getitem__(self, name: str) -> np.ndarray:
        self.asked = [*getattr(self, "asked", []), name]
        return super().__getitem__(name)


def test_every_variable_but_the_actions_is_read_once(model, shapes, variables):
    read = Read(variables)
    load_i3d_variables(model, read)
    assert sorted(read.asked) == sorted(name for name in shapes if "/Logits/" not in name)
    total = sum(math.prod(shapes[name]) for name in read.asked)
    assert total == 12294544
    assert model.count_params() == total + 8 * (1024 + 1)


@pytest.mark.long
def test_a_tflite_file_of_builtin_ops_agrees(model, tmp_path):
    frames = keras.Input(SHAPE, name="face")
    head = keras.layers.Dense(2, name="emotion", kernel_initializer=keras.initializers.GlorotUniform(3))
    whole = keras.Model({"face": frames}, {"emotion": head(model(frames))}, name="i3d")
    folder = export(whole, tmp_path, ("tflite",), descriptions={})
    clip = np.random.default_rng(1).uniform(0.02, 1, (1, *SHAPE)).astype("float32")
    found = open_artifact(folder / "model.tflite").predict({"face": clip})["emotion"]
    expected = keras.ops.convert_to_numpy(whole({"face": clip})["emotion"])
    assert np.abs(found - expected).max() <= 1e-4 * max(1, np.abs(expected).max())


def test_a_checkpoint_of_tensorflow_is_read(model, variables, tmp_path):
    path = tmp_path / "model.ckpt"
    names = list(variables)
    tensorflow.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[variables[name] for name in names],
    )
    loaded = load_i3d_checkpoint(i3d(SHAPE, units=8, seed=1), path)
    for layer in model.layers:
        if layer.name != "embedding":
            for ours, theirs in zip(
                loaded.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)
    (data,) = tmp_path.glob("model.ckpt.data-*")
    data.write_bytes(data.read_bytes()[:1000])
    for wrong in (path, tmp_path / "missing.ckpt", data):
        with pytest.raises(LMFError, match=r"no checkpoint of TensorFlow that can be read"):
            load_i3d_checkpoint(model, wrong)


def test_older_shapes_of_statistics_fit_and_others_do_not(model, variables):
    name = f"{SCOPE}Mixed_4d/Branch_1/Conv3d_0b_3x3/batch_norm/moving_mean"
    load_i3d_variables(model, {**variables, name: variables[name].reshape(1, 1, 1, 1, -1) + 1})
    norm = model.get_layer("Mixed_4d_Branch_1_Conv3d_0b_3x3_norm")
    np.testing.assert_array_equal(norm.moving_mean, variables[name] + 1)
    before = model.get_weights()
    for spoilt, says in (
        ({key: value for key, value in variables.items() if key != name}, f"has no '{name}'"),
        ({**variables, name: variables[name][1:]}, r"has the shape \(255,\) instead of \(256,\)"),
    ):
        changed = {key: value + 1 for key, value in spoilt.items()}
        with pytest.raises(LMFError, match=says):
            load_i3d_variables(model, changed)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
