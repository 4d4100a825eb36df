"""Training behind front ends: what is trained is what is written, and what the recipe's words do."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import keras
import librosa
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from keras_lmf import zoo
from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.models import pretrained
from keras_lmf.recipe import Recipe
from keras_lmf.target import Target
from keras_lmf.training import features, train

SAMPLES, RATE = 1600, 16000
COUNTS = {"train": 14, "valid": 9, "test": 3}
LOG_MEL = {"name": "log_mel", "bands": 8}
RECURRENT = {"name": "gru", "units": 4, "dropout": 0.2}


def tones(frequencies: tuple[float, float] = (400.0, 900.0), noise: float = 0.05) -> Dataset:
    """A low and a high tone in noise, 60 to 100 ms with zeros after them; a quarter has the wrong label."""
    random = np.random.default_rng(6)
    splits = np.repeat(list(COUNTS), list(COUNTS.values()))
    rows = len(splits)
    kind = np.arange(rows) % 2
    times = np.arange(SAMPLES) / RATE
    voice = 0.2 * np.sin(2 * np.pi * np.array(frequencies)[kind][:, None] * times)
    voice += noise * random.standard_normal(voice.shape)
    voice[times >= random.uniform(0.06, 0.1, (rows, 1))] = 0
    return Dataset(
        name="tones",
        target=Target(name="emotion", classes=("calm", "excited")),
        inputs={"voice": voice, "face": random.standard_normal((rows, 3)) + kind[:, None]},
        labels=np.where(np.arange(rows) % 4 == 3, 1 - kind, kind),
        groups=splits,
        ids=np.array([f"clip{row}" for row in range(rows)]),
        splits=splits,
    )


def recipe(front_end: dict = LOG_MEL, backbone: dict = RECURRENT, **changes) -> Recipe:
    base = Recipe(
        name="tones",
        seed=3,
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": ["calm", "excited"]},
        inputs={"voice": {"shape": [SAMPLES], "front_end": front_end, "backbone": backbone}},
        fusion={"name": "none"},
        training={"loss": "cross_entropy", "epochs": 3, "batch_size": 4, "learning_rate": 0.01},
    )
    return base.replace(**changes)


def weights(run) -> list[np.ndarray]:
    return [np.array(weight) for weight in run.model.get_weights()]


def log_mel(waveforms: np.ndarray) -> list[np.ndarray]:
    """librosa's, without the frames of padding, which hold no sample that is not zero."""
    found = []
    for clip in waveforms:
        power = librosa.feature.melspectrogram(
            y=clip.astype("float64"), sr=RATE, n_fft=512, win_length=400, hop_length=160, n_mels=8
        )
        found.append(librosa.power_to_db(power).T[power.any(axis=0)])
    return found


@pytest.fixture(scope="module")
def data() -> Dataset:
    return tones()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("front_end", "backbone"),
    [
        (LOG_MEL, RECURRENT),
        ({"name": "mfcc", "bands": 10, "coefficients": 5}, {"name": "lstm", "units": 3}),
        ({"name": "ge2e", "layers": [1]}, {"name": "mlp", "units": [4], "input_noise": 0.2}),
    ],
    ids=["log_mel", "mfcc", "ge2e"],
)
def test_the_written_model_is_the_trained_one_behind_its_front_end(data, tmp_path, front_end, backbone):
    run = train(recipe(front_end, backbone), data.select(["voice"]), tmp_path / "run")
    valid = data["valid"]
    answers = keras.ops.convert_to_numpy(run.model({"voice": valid.inputs["voice"]})["emotion"])
    # The trained model's own loss, which Keras wrote down, says that nothing was lost in putting the two together.
    likelihoods = log_softmax(answers.astype("float64"), axis=1)[np.arange(len(valid)), valid.labels]
    assert run.history.loc[run.best_epoch, "val_loss"] == pytest.approx(-likelihoods.mean(), rel=1e-4)
    # And by hand: waveform → layers of the front end → backbone → output layer.
    if front_end["name"] == "ge2e":
        features = zoo.load_backbone("ge2e")
        features = keras.Model(features.inputs, features.get_layer("lstm_1").output)
        by_hand = run.model.get_layer("voice_front_end")
        for ours, published in zip(by_hand.get_weights(), features.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, published)
        features = by_hand(valid.inputs["voice"])
    else:
        features = run.model.get_layer("voice_front_end").get_layer("spectrum")(valid.inputs["voice"])
    by_hand = run.model.get_layer("emotion")(run.model.get_layer("voice_backbone")(features))
    np.testing.assert_allclose(answers, keras.ops.convert_to_numpy(by_hand), rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    return train(recipe(), data.select(["voice"]), tmp_path_factory.mktemp("finished") / "run")


@pytest.mark.slow
def test_features_are_standardised_by_librosas_mean_over_the_frames_of_train(data, finished):
    frames = np.concatenate(log_mel(data["train"].inputs["voice"]))
    layer = finished.model.get_layer("voice_backbone").get_layer("standardization")
    np.testing.assert_allclose(layer.adapt_mean, frames.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(layer.adapt_variance, frames.var(axis=0), rtol=0.01)


def test_the_temperature_has_the_smallest_likelihood_on_valid(data, finished):
    valid = data["valid"]
    logits = keras.ops.convert_to_numpy(finished.model({"voice": valid.inputs["voice"]})["emotion"])

    def loss(logarithm: float) -> float:
        scaled = logits.astype("float64") / np.exp(logarithm)
        return -log_softmax(scaled, axis=1)[np.arange(len(valid)), valid.labels].mean()

    best = np.exp(
        minimize_scalar(loss, bounds=np.log([0.05, 20]), method="bounded", options={"xatol": 1e-9}).x
    )
    facts = json.loads((finished.folder / "calibration.json").read_text())
    assert facts == {"temperature": finished.temperature, "split": "valid", "rows": COUNTS["valid"]}
    assert finished.temperature == pytest.approx(best, rel=1e-3)


def test_a_finished_run_is_returned_without_its_features(data, finished, monkeypatch):
    before, files = weights(finished), sorted(finished.folder.iterdir())
    temperature = (finished.folder / "calibration.json").read_bytes()
    monkeypatch.setattr(features, "_cached", lambda work: pytest.fail("features were asked for"))
    again = train(recipe(), data.select(["voice"]), finished.folder)
    for old, new in zip(before, weights(again), strict=True):
        np.testing.assert_array_equal(new, old)
    assert sorted(again.folder.iterdir()) == files
    assert (again.folder / "calibration.json").read_bytes() == temperature


class Stop(keras.callbacks.Callback):
    """Ctrl-C in the second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations >= 11:
            raise KeyboardInterrupt


@pytest.mark.long
def test_an_interrupted_run_goes_on_to_identical_weights(data, tmp_path):
    words = recipe(
        training={
            "schedule": "cosine",
            "weight_decay": 0.01,
            "augmentation": {"copies": 2},
            "class_weights": "balanced",
        }
    )
    voice = data.select(["voice"])
    alone = train(words, voice, tmp_path / "alone")
    with pytest.raises(KeyboardInterrupt):
        train(words, voice, tmp_path / "stopped", callbacks=[Stop()])
    assert not (tmp_path / "stopped" / "model.weights.h5").exists()
    features._cached.cache_clear()  # as in a process of its own
    resumed = train(words, voice, tmp_path / "stopped")
    for old, new in zip(weights(alone), weights(resumed), strict=True):
        assert old.tobytes() == new.tobytes()
    for name in ("history.csv", "calibration.json"):
        assert (resumed.folder / name).read_bytes() == (alone.folder / name).read_bytes()


def features_of(words: Recipe, data: Dataset) -> Dataset:
    features._cached.cache_clear()
    return features.features(words, data, pretrained.front_ends(words), Path("unused"))


def test_augmentation_adds_copies_to_train_and_leaves_valid(data):
    both = recipe(inputs={"face": {"shape": [3], "backbone": {"name": "mlp"}}}, fusion={"name": "early"})
    plain = features_of(both, data)
    more = features_of(both.replace(training={"augmentation": {"copies": 3}}), data)
    assert plain.split_names == more.split_names == ("train", "valid")
    assert len(more["train"]) == 3 * COUNTS["train"]
    for name, split in (("train", slice(COUNTS["train"])), ("valid", slice(None))):
        for modality in ("voice", "face"):
            same = more[name].inputs[modality][split]
            np.testing.assert_allclose(same, plain[name].inputs[modality], rtol=1e-5)  # other batches
        np.testing.assert_array_equal(more[name].masks["voice"][split], plain[name].masks["voice"])
    copies = more["train"].inputs["voice"].reshape(3, COUNTS["train"], *plain.inputs["voice"].shape[1:])
    assert (np.abs(copies[1:] - copies[0]).max(axis=(2, 3)) > 0.1).all()
    np.testing.assert_array_equal(
        more["train"].inputs["face"], np.tile(plain["train"].inputs["face"], (3, 1))
    )
    np.testing.assert_array_equal(more["train"].labels, np.tile(plain["train"].labels, 3))


def test_augmentation_moves_by_seconds_of_the_front_ends_rate(data):
    """10 ms later is one frame later, whatever the rate."""
    still = {
        "copies": 2,
        "gain_db": [0, 0],
        "speed": [1, 1],
        "shift_seconds": [0.01, 0.01],
        "noise_db": [120, 120],
    }
    words = recipe({**LOG_MEL, "sample_rate": 8000}, training={"augmentation": still})
    found = features_of(words, data.select(["voice"]))["train"].inputs["voice"]
    before, after = np.split(found, 2)
    # Frames in the middle of the shortest clip: no edge is in them.
    np.testing.assert_allclose(after[:, 4:9], before[:, 3:8], atol=0.1)
    assert np.abs(after[:, 4:9] - before[:, 4:9]).max() > 1


def test_rows_that_are_equal_are_asked_about_once(data, monkeypatch):
    (model,) = pretrained.front_ends(recipe()).values()
    train = data["train"]
    rows = dataclasses.replace(train, inputs={"voice": train.inputs["voice"][np.arange(len(train)) % 3]})
    wanted, asked = model.predict_on_batch(rows.inputs["voice"]), []
    answer = model.predict_on_batch
    monkeypatch.setattr(model, "predict_on_batch", lambda batch: asked.extend(batch) or answer(batch))
    found = features.split_features(rows, {"voice": model}, "equal rows").inputs["voice"]
    np.testing.assert_array_equal(asked, rows.inputs["voice"][:3])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)  # other batches


def test_features_are_made_once_for_several_seeds_and_anew_for_what_changes_them(data, monkeypatch):
    calls = []
    monkeypatch.setattr(features, "_features", lambda words, *_: calls.append(words) or object())
    voice, words = data.select(["voice"]), recipe()
    models = pretrained.front_ends(words)
    features._cached.cache_clear()
    first = features.features(words, voice, models, Path("unused"))
    assert (
        features.features(words.replace(seed=9, training={"epochs": 7}), voice, models, Path("unused"))
        is first
    )
    for other in (
        lambda: features.features(recipe({**LOG_MEL, "bands": 9}), voice, models, Path("unused")),
        lambda: features.features(words, voice.with_validation_in_training(), models, Path("unused")),
        lambda: features.features(
            words.replace(training={"augmentation": {"copies": 2}}), voice, models, Path("unused")
        ),
    ):
        assert other() is not features.features(words, voice, models, Path("unused"))
    count = len(calls)
    monkeypatch.setattr(keras.config, "dtype_policy", lambda: keras.DTypePolicy("mixed_float16"))
    features.features(words, voice, models, Path("unused"))
    assert len(calls) == count + 1
    features._cached.cache_clear()


class Rates(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


@pytest.mark.slow
def test_the_cosine_schedule_falls_to_zero_at_the_last_of_the_augmented_rows_steps(data, tmp_path: Path):
    callback = Rates()
    words = recipe(training={"schedule": "cosine", "augmentation": {"copies": 2}, "epochs": 2})
    train(words, data.select(["voice"]), tmp_path / "run", callbacks=[callback])
    steps = 2 * math.ceil(2 * COUNTS["train"] / 4)
    assert len(callback.rates) == steps
    expected = 0.01 * (1 + np.cos(np.pi * np.arange(steps) / steps)) / 2
    np.testing.assert_allclose(callback.rates, expected, rtol=1e-4, atol=1e-8)
    assert float(callback.model.optimizer.learning_rate) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("second", [None, LOG_MEL])
def test_augmentation_needs_one_waveform(second):
    section = {"shape": [SAMPLES], "backbone": RECURRENT}
    inputs = {name: section | ({"front_end": second} if second else {}) for name in ("one", "two")}
    with pytest.raises(LMFError, match=r"front_end for waveforms, received (none|one, two)"):
        Recipe(
            **recipe().model_dump(exclude_none=True, exclude={"inputs", "fusion", "training"}),
            inputs=inputs,
            fusion={"name": "early"},
            training={"loss": "cross_entropy", "augmentation": {}},
        )
