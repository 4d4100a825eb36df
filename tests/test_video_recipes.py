"""Recipes that name a video backbone: any with any audio backbone and any fusion, their sizes, and refusals."""

from __future__ import annotations

import inspect
from pathlib import Path

import keras
import numpy as np
import pytest
from loud_model import export

from keras_lmf import backbones
from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.models import build, pretrained
from keras_lmf.recipe import Recipe, run_spec
from keras_lmf.recipe.front_ends import NETWORKS
from keras_lmf.runtime import open_artifact
from keras_lmf.training import features, train

SAMPLES, FRAMES = 1600, 3
VOICES = {
    "spectrogram": {
        "shape": [SAMPLES],
        "front_end": {"name": "log_mel", "bands": 8},
        "backbone": {"name": "spectrogram_cnn", "filters": [3], "units": 4},
    },
    "ge2e": {
        "shape": [SAMPLES],
        "front_end": {"name": "ge2e", "layers": [1]},
        "backbone": {"name": "mlp", "units": [4]},
    },
}
FACES = {
    "mini_xception": {
        "shape": [FRAMES, 64, 64, 1],
        "frame_rate": 25.0,
        "front_end": {"name": "mini_xception"},
        "backbone": {"name": "gru", "units": 3},
    },
    "cnn_2plus1d": {
        "shape": [FRAMES, 16, 16, 1],
        "frame_rate": 25.0,
        "backbone": {"name": "cnn_2plus1d", "filters": [2, 3], "units": 3},
    },
    "application": {
        "shape": [2, 32, 32, 3],
        "front_end": {"name": "application", "network": "MobileNet", "weights": "random"},
        "backbone": {"name": "lstm", "units": 3},
    },
    "i3d": {"shape": [8, 32, 32, 3], "backbone": {"name": "i3d", "units": 3}},
}
FUSIONS = {
    "early": {"name": "early"},
    "tensor": {"name": "tensor"},
    "low_rank": {"name": "low_rank", "units": 4, "rank": 2},
}
# Every pair of two words; large networks, which take long, stand once.
COMBINATIONS = [
    ("spectrogram", "mini_xception", "early"),
    ("ge2e", "mini_xception", "low_rank"),
    ("spectrogram", "mini_xception", "tensor"),
    ("ge2e", "cnn_2plus1d", "early"),
    ("spectrogram", "cnn_2plus1d", "low_rank"),
    ("ge2e", "cnn_2plus1d", "tensor"),
    ("spectrogram", "application", "tensor"),
    ("spectrogram", "i3d", "low_rank"),
]


def recipe(inputs: dict, fusion: dict, **changes) -> Recipe:
    return Recipe(
        name="clips",
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": ["calm", "excited"]},
        inputs=inputs,
        fusion=fusion,
        training={"loss": "cross_entropy", "epochs": 1, "batch_size": 8},
        **changes,
    )


def dataset(words: Recipe, rows: int = 12) -> Dataset:
    random = np.random.default_rng(1)
    face = random.uniform(0.1, 1, (rows, *words.inputs["face"].shape)).astype("float32")
    face[::3, 2:] = 0
    return Dataset(
        name="noise",
        target=words.target,
        inputs={"voice": 0.1 * random.standard_normal((rows, SAMPLES)).astype("float32"), "face": face},
        labels=np.arange(rows) % 2,
        groups=np.arange(rows).astype(str),
        ids=np.arange(rows).astype(str),
        splits=np.repeat(["train", "valid"], [8, rows - 8]),
    )


@pytest.mark.long
@pytest.mark.parametrize(("voice", "face", "fusion"), COMBINATIONS)
def test_any_audio_with_any_video_and_any_fusion(voice, face, fusion, tmp_path: Path):
    """Builds, trains a step, which moves both backbones, and exports: the file answers as the trained model."""
    inputs = {"voice": VOICES[voice], "face": FACES[face]}
    words = recipe(inputs, FUSIONS[fusion], presence={"dropout": 0.2})
    start = build(words)
    run = train(words, dataset(words), tmp_path / "run")
    for modality in words.inputs:
        name = f"{modality}_backbone"
        pairs = zip(
            start.get_layer(name).trainable_weights, run.model.get_layer(name).trainable_weights, strict=True
        )
        assert any(np.abs(np.asarray(new) - np.asarray(old)).max() > 1e-6 for old, new in pairs)
    folder = export(run.model, tmp_path, ("tflite",), descriptions={})
    inputs = dict(dataset(words)["valid"].inputs)
    inputs["face"][0] = 0  # an absent face
    found = open_artifact(folder / "model.tflite").predict(inputs)["emotion"]
    expected = keras.ops.convert_to_numpy(run.model(inputs)["emotion"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    inputs["voice"][:] = 0
    assert np.abs(open_artifact(folder / "model.tflite").predict(inputs)["emotion"] - found).max() > 1e-5


def test_every_network_of_keras_applications_is_a_word():
    assert set(NETWORKS) == {
        name for name, value in vars(keras.applications).items() if inspect.isfunction(value)
    }


def test_a_run_says_what_of_a_media_file_fills_its_inputs(tmp_path):
    inputs = {
        "voice": VOICES["spectrogram"],
        "face": FACES["cnn_2plus1d"],
        "text": {"shape": [4], "backbone": {"name": "mlp"}},
    }
    recipe(inputs, {"name": "early"}).write(tmp_path / "recipe.toml")
    assert {name: (spec.media, spec.rate) for name, spec in run_spec(tmp_path).inputs.items()} == {
        "voice": ("waveform", 16000),
        "face": ("frames", 25.0),
        "text": (None, None),
    }


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"front_end": {"name": "mini_xceptoin"}}, "Did you mean 'mini_xception'"),
        ({"front_end": {"name": "mini_xception", "taps": ["block_9"]}}, "taps"),
        ({"front_end": {"name": "mini_xception", "tap": "logits"}}, "Did you mean 'taps'"),
        ({"front_end": {"name": "application", "network": "MobileNetV3Smal"}}, "MobileNetV3Small"),
        ({"front_end": {"name": "application", "size": [1024, 1025]}}, "size.1: .* 1024, received 1025"),
        ({"front_end": None, "backbone": {"name": "gru"}}, "frame_rate is for frames"),
    ],
)
def test_words_that_are_wrong_are_told(changes, says):
    with pytest.raises(LMFError, match=says):
        recipe({"face": FACES["mini_xception"] | changes}, {"name": "none"})


def test_augmentation_of_the_voice_leaves_the_face(tmp_path):
    words = recipe({"voice": VOICES["spectrogram"], "face": FACES["mini_xception"]}, {"name": "early"})
    plain, changed = (
        features.features(each, dataset(words), pretrained.front_ends(each), tmp_path)["train"].inputs
        for each in (words, words.replace(training={"augmentation": {"copies": 2}}))
    )
    count = len(plain["face"])
    np.testing.assert_array_equal(changed["face"], np.concatenate([plain["face"]] * 2))
    np.testing.assert_array_equal(changed["voice"][:count], plain["voice"])
    assert np.abs(changed["voice"][count:] - plain["voice"]).max() > 0.1
    with pytest.raises(LMFError, match="front_end for waveforms, received none"):
        recipe({"face": FACES["mini_xception"]}, {"name": "none"}).replace(training={"augmentation": {}})


def test_weights_of_imagenet_without_a_network(tmp_path, monkeypatch):
    section = {"name": "application", "network": "MobileNet", "weights": "imagenet"}
    face = FACES["application"] | {"front_end": section}
    words = recipe({"voice": VOICES["spectrogram"], "face": face}, {"name": "early"})
    monkeypatch.setenv("KERAS_LMF_OFFLINE", "1")
    with pytest.raises(LMFError, match=r'MobileNet would be downloaded, but KERAS_LMF_OFFLINE .*"random"'):
        train(words, dataset(words), tmp_path / "run")
    monkeypatch.delenv("KERAS_LMF_OFFLINE")
    monkeypatch.setattr("keras.src.applications.mobilenet.file_utils.get_file", unreachable)
    with pytest.raises(LMFError, match=r'can\'t be downloaded \(URL fetch failure.*"random" needs none'):
        train(words, dataset(words), tmp_path / "run")


def unreachable(*_, **__):
    """As Keras does without a network."""
    raise Exception("URL fetch failure on https://…: None -- [Errno 111] Connection refused")


@pytest.mark.long
def test_a_file_of_weights_beside_a_published_front_end_is_read_without_a_download(tmp_path, monkeypatch):
    network = {"name": "application", "network": "MobileNet", "weights": "imagenet"}
    face = {"shape": [2, 32, 32, 3], "front_end": network, "backbone": {"name": "gru", "units": 3}}
    words = recipe({"voice": VOICES["ge2e"], "face": face}, {"name": "early"})
    saved, loaded = build(words), build(words)
    bodies = [model.get_layer("face_front_end") for model in (saved, loaded)]
    bodies[0].set_weights([weight + 0.5 for weight in bodies[0].get_weights()])
    pretrained.trained_part(words, saved).save_weights(tmp_path / "model.weights.h5")
    application = backbones.front_ends.application

    def offline(*shape, weights="random", **options):
        assert weights == "random", "a download"
        return application(*shape, **options)

    monkeypatch.setattr(backbones.front_ends, "application", offline)
    pretrained.fill_from_entry(loaded, words, tmp_path / "model.weights.h5")
    for old, new in zip(*(body.get_weights() for body in bodies), strict=True):
        np.testing.assert_array_equal(new, old)
    published = pretrained.published(words)["voice"].get_weights()
    for old, new in zip(published, loaded.get_layer("voice_front_end").get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
