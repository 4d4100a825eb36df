"""Factories: every backbone with every fusion, names, determinism, standardisation, drawing."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from keras_lmf import backbones
from keras_lmf.errors import LMFError
from keras_lmf.layers import EarlyFusion, LowRankFusion
from keras_lmf.models import build, fusion_model, set_standardization
from keras_lmf.recipe import Recipe

BACKBONES = {
    "mlp": {"units": [4]},
    "lstm": {"units": 4},
    "bilstm": {"units": 2},
    "gru": {"units": 4},
    "temporal_convolution": {"filters": [4], "kernel_size": 3, "units": 4},
    "published_feature": {"units": 4},
    "published_text": {"hidden_units": 4, "units": 4},
}
VECTORS = ("mlp", "published_feature")
FUSIONS = {"early": {}, "tensor": {}, "low_rank": {"units": 6, "rank": 2}}
WIDTHS = {"audio": 3, "video": 5, "text": 2}


def recipe(fusion="low_rank", target=None, **words) -> Recipe:
    """A recipe whose modalities have the given backbones; classes unless a target is given."""
    words = words or {"audio": "bilstm", "video": "mlp", "text": "gru"}
    return Recipe(
        name="toy-av.1",
        seed=5,
        corpus={"name": "synthetic"},
        target=target or {"name": "emotion", "classes": ["calm", "happy", "sad"]},
        inputs={
            name: {
                "shape": [WIDTHS[name]] if word in VECTORS else [4, WIDTHS[name]],
                "backbone": {"name": word, **BACKBONES[word]},
            }
            for name, word in words.items()
        },
        fusion={"name": fusion, **FUSIONS[fusion]},
        head={"units": [8], "dropout": 0.2},
        training={"loss": "mae" if target else "cross_entropy"},
    )


def arrays(model, rows=6, seed=0):
    generator = np.random.default_rng(seed)
    return {
        name: generator.standard_normal((rows, *tensor.shape[1:])).astype("float32")
        for name, tensor in model.input.items()
    }


def digest(model) -> str:
    return hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_with_every_fusion_builds_and_trains(backbone, fusion):
    model = build(recipe(fusion, audio=backbone, video="mlp"))
    assert list(model.input) == ["audio", "video"]
    assert {name: tensor.shape for name, tensor in model.output.items()} == {"emotion": (None, 3)}
    inputs, labels = arrays(model), {"emotion": np.array([0, 1, 2, 0, 1, 2])}
    # With dicts in and out; eager, since compiling all of these takes a minute and tells nothing more.
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in model.trainable_weights]
    assert np.isfinite(model.train_on_batch(inputs, labels))
    for weight, old in zip(model.trainable_weights, before):
        assert np.isfinite(weight).all()
        assert (np.asarray(weight) != old).any(), weight.path


def test_outputs_are_logits_of_the_right_width():
    model = build(recipe())
    output = np.asarray(model(arrays(model))["emotion"])
    assert output.shape == (6, 3)
    assert (output < 0).any()
    regression = build(recipe(target={"name": "sentiment", "range": [-3, 3]}))
    assert regression.output["sentiment"].shape == (None, 1)
    assert regression.output_names == ["sentiment"]


def test_names_are_those_of_the_recipe():
    model = build(recipe())
    assert model.name == "toy_av_1"
    assert model.output_names == ["emotion"]
    names = [layer.name for layer in model.layers]
    assert {"audio", "video", "text", "audio_backbone", "fusion", "head_0", "emotion"} <= set(names)
    assert model.get_layer("fusion").modalities == ("audio", "video", "text")
    assert model.get_layer("fusion").widths == (8, 4, 4)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(
    "modalities", [subset for size in (1, 2, 3) for subset in itertools.permutations(WIDTHS, size)][:9]
)
def test_any_subset_of_modalities(fusion, modalities):
    model = build(recipe(fusion).select(list(modalities)))
    assert tuple(model.input) == modalities
    assert np.isfinite(model(arrays(model))["emotion"]).all()
    assert ("fusion" in [layer.name for layer in model.layers]) == (len(modalities) > 1)


def test_a_missing_modality_is_an_error():
    model = build(recipe())
    inputs = arrays(model)
    del inputs["video"]
    with pytest.raises((ValueError, KeyError), match="video"):
        model(inputs)


def test_the_order_of_keys_in_a_batch_does_not_matter():
    model = build(recipe())
    inputs = arrays(model)
    swapped = dict(reversed(inputs.items()))
    np.testing.assert_array_equal(model(swapped)["emotion"], model(inputs)["emotion"])


@pytest.mark.slow
def test_the_same_recipe_gives_the_same_weights_here_and_in_another_process(tmp_path):
    toy = recipe()
    keras.utils.set_random_seed(1)
    first = digest(build(toy))
    keras.utils.set_random_seed(2)
    assert digest(build(toy)) == first
    assert digest(build(toy.replace(seed=6))) != first
    script = (
        "import hashlib, sys; from keras_lmf.recipe import Recipe; from keras_lmf.models import build;"
        "weights = build(Recipe.read(sys.argv[1])).get_weights();"
        "print(hashlib.sha256(b''.join(weight.tobytes() for weight in weights)).hexdigest())"
    )
    path = toy.write(tmp_path / "recipe.toml")
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == first


def test_modalities_of_equal_shape_start_differently():
    same = {"shape": [3], "backbone": {"name": "mlp", "units": [4]}}
    model = build(recipe().replace(inputs={"audio": same, "video": same}).select(["audio", "video"]))
    audio, video = (model.get_layer(f"{name}_backbone").get_layer("dense_0") for name in ("audio", "video"))
    assert (audio.get_weights()[0] != video.get_weights()[0]).all()


def test_the_drawing_shows_modalities_fusion_and_target():
    text = keras.utils.model_to_dot(build(recipe()), show_layer_names=True).to_string()
    for name in ("audio", "video", "text", "fusion", "emotion"):
        assert name in text


def test_saved_and_loaded(tmp_path):
    model = build(recipe())
    path = tmp_path / "model.keras"
    model.save(path)
    inputs = arrays(model)
    expected = np.asarray(model(inputs)["emotion"])
    loaded = keras.saving.load_model(path)
    np.testing.assert_allclose(np.asarray(loaded(inputs)["emotion"]), expected, rtol=1e-6, atol=1e-7)


def standardized_by_scikit_learn(model):
    """Raw padded inputs, the same standardised on their real steps, and the statistics of these steps."""
    raw, scaled, statistics = {}, {}, {}
    for name, values in arrays(model, rows=20).items():
        values = values * 30 + 7
        mask = np.ones(values.shape[:-1], bool)
        if values.ndim == 3:
            lengths = np.random.default_rng(1).integers(1, values.shape[1] + 1, size=(20, 1))
            mask = np.arange(values.shape[1]) < lengths
        scaler = StandardScaler().fit(values[mask])
        raw[name], scaled[name] = np.zeros_like(values), np.zeros_like(values)
        raw[name][mask] = values[mask]
        scaled[name][mask] = scaler.transform(values[mask])
        statistics[name] = (scaler.mean_, scaler.var_)
    return raw, scaled, statistics


def with_user_named_backbones():
    parts = {
        "audio": backbones.lstm((4, 3), units=4, seed=1, name="ears"),
        "video": backbones.mlp((5,), units=[4], seed=2, name="eyes"),
    }
    return fusion_model(parts, LowRankFusion(6, rank=2, seed=3), {"emotion": 3}, seed=4)


@pytest.mark.parametrize("make", [lambda: build(recipe()), with_user_named_backbones])
def test_standardization_is_that_of_scikit_learn(make, tmp_path):
    """Raw inputs after set_standardization = inputs scaled by scikit-learn before it; padding plays no part."""
    model = make()
    raw, scaled, statistics = standardized_by_scikit_learn(model)
    before, expected = np.asarray(model(raw)["emotion"]), np.asarray(model(scaled)["emotion"])
    set_standardization(model, statistics)
    received = np.asarray(model(raw)["emotion"])
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(received - before).max() > 0.01
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = make()
    fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(np.asarray(fresh(raw)["emotion"]), received, rtol=1e-5, atol=1e-6)


def test_standardization_of_one_modality_leaves_the_others():
    model = with_user_named_backbones()
    set_standardization(model, {"audio": (np.full(3, 2.0), np.full(3, 9.0))})
    mean = model.get_layer("ears").get_layer("standardization").adapt_mean
    np.testing.assert_array_equal(np.ravel(mean), [2, 2, 2])
    assert not np.any(model.get_layer("eyes").get_layer("standardization").adapt_mean)
    with pytest.raises(LMFError, match=r"Unknown modality 'adio'.*Did you mean 'audio'"):
        set_standardization(model, {"adio": (np.zeros(3), np.ones(3))})


def test_parts_of_the_users_own_with_a_head_and_two_targets():
    image = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    head = [keras.layers.Dense(5, activation="relu", name="hidden")]
    parts = {"image": image, "audio": backbones.mlp((3,), units=[4])}
    model = fusion_model(parts, EarlyFusion(), {"emotion": 3, "arousal": 1}, head=head, name="own")
    outputs = model(arrays(model))
    assert {name: value.shape for name, value in outputs.items()} == {"emotion": (6, 3), "arousal": (6, 1)}
    assert set(model.output_names) == {"emotion", "arousal"}
    assert model.get_layer("hidden").input.shape == (None, 8)


@pytest.mark.parametrize("parts", [({}, {"y": 1}), ({"audio": backbones.mlp}, {})])
def test_nothing_to_fuse_or_to_predict_is_refused(parts):
    with pytest.raises(LMFError, match="one or more"):
        fusion_model(parts[0], EarlyFusion(), parts[1])
