"""Each modality alone and its share, against the fusion's closed form; the same whatever the model is written as."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from face_model import (
    RATE,
    SHAPES,
    SOURCES,
    TARGET,
    Model,
    detector,
    features,
    keras_model,
    recognizer_of,
)
from loud_model import export, rows
from scipy.special import softmax

from keras_lmf import Recognizer
from keras_lmf.errors import LMFError
from keras_lmf.recognition.judgement import judge
from keras_lmf.runtime import open_artifact
from keras_lmf.spec import InputSpec, ModelSpec

TEMPERATURE = 2.0
SUBSETS = {"voice": ("voice",), "face": ("face",), "voice × face": ("voice", "face")}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return keras_model()


@pytest.fixture(scope="module")
def folder(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(
        model,
        tmp_path_factory.mktemp("exported"),
        ("saved_model", "tflite"),
        evaluation=rows(model, TARGET),
        descriptions=SOURCES,
        presence="derived",
        temperature=TEMPERATURE,
    )


@pytest.fixture
def recognizers(model: keras.Model, folder: Path) -> Iterator[Recognizer]:
    """Of the Keras model, the SavedModel and the .tflite file."""
    spec = ModelSpec(inputs=SOURCES, target=TARGET, temperature=TEMPERATURE, presence="derived")
    files = (Recognizer(folder / name, face_detector=detector) for name in ("saved_model", "model.tflite"))
    return itertools.chain([recognizer_of(open_artifact(model), spec)], files)


def clip() -> dict[str, np.ndarray]:
    """Two windows, of 3 s and of 2 s, the second one silent."""
    random = np.random.default_rng(0)
    voice = np.zeros(round(3.5 * RATE), np.float32)
    voice[: round(1.4 * RATE)] = 0.9 * random.uniform(-1, 1, round(1.4 * RATE))
    return {"voice": voice, "face": random.uniform(0.2, 1, SHAPES["face"]).astype("float32")}


def windows(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    voice = np.pad(inputs["voice"], (0, RATE))
    cut = np.stack([voice[: 3 * RATE], voice[round(1.5 * RATE) : round(4.5 * RATE)]])
    return {"voice": cut, "face": np.stack([inputs["face"]] * 2)}


def answers(model: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(inputs, training=False)["emotion"]).astype("float64")


@pytest.mark.slow
def test_alone_is_the_answer_with_the_others_zero_and_shares_are_the_fusions_interactions(
    model: keras.Model, recognizers: Iterator[Recognizer]
) -> None:
    given = clip()
    inputs = windows(given)
    seconds = np.array([3, 2])
    whole = softmax(answers(model, inputs) / TEMPERATURE, axis=1)
    voice, face = (
        softmax(answers(model, inputs | {key: np.zeros_like(inputs[key])}) / TEMPERATURE, axis=1)
        for key in ("face", "voice")
    )
    # The second window has no voice: it says nothing of the voice alone.
    alone = {"voice": voice[0], "face": seconds @ face / 5}
    kernel = model.get_layer("emotion").get_weights()[0]
    presence = np.array([[1, 1], [0, 1]], "float32")
    terms = model.get_layer("fusion").interactions(features(inputs), presence=presence)
    lengths, parts = {}, {}
    for name, subset in SUBSETS.items():
        term = keras.ops.convert_to_numpy(terms[subset]) @ kernel
        term -= term.mean(axis=1, keepdims=True)
        lengths[name] = seconds @ np.linalg.norm(term, axis=1)
        parts[name] = seconds @ term / 5
    shares = {name: length / sum(lengths.values()) for name, length in lengths.items()}
    assert min(shares.values()) > 0.02, "else this tests nothing"
    for recognizer in recognizers:
        answer = recognizer(given)
        np.testing.assert_allclose(answer.timeline[list(TARGET.classes)], whole, atol=1e-5)
        assert list(answer.probabilities.values()) == pytest.approx(seconds @ whole / 5, abs=1e-5)
        assert list(answer.by_modality) == ["voice", "face"]
        for key, expected in alone.items():
            assert list(answer.by_modality[key].values()) == pytest.approx(expected, abs=1e-5)
        assert list(answer.shares) == list(SUBSETS)
        assert answer.shares == pytest.approx(shares, abs=1e-4)
        assert sum(answer.shares.values()) == pytest.approx(1)
        assert list(answer.contributions) == ["constant", *SUBSETS]
        for name, expected in parts.items():
            assert list(answer.contributions[name].values()) == pytest.approx(expected, abs=1e-4)
        facts = answer.to_dict()
        assert (facts["shares"], facts["by_modality"]) == (answer.shares, answer.by_modality)
        assert facts["contributions"] == answer.contributions
        told = f"voice {answer.shares['voice']:.0%}, face {answer.shares['face']:.0%}, voice × face"
        assert told in str(answer)


def judged(recognizer: Recognizer, **inputs: np.ndarray):
    return judge(
        recognizer._model, "clip", {key: np.asarray(rows, "float32") for key, rows in inputs.items()}
    )


def three(inputs: dict[str, np.ndarray]) -> np.ndarray:
    """(N, 3) with a + 2 b + 3 c, 4 a b, 5 a b c of the inputs' means, and only of what is centred: the mean is 0."""
    a, b, c = (inputs[key].reshape(len(inputs[key]), -1).mean(axis=1) for key in ("voice", "face", "words"))
    first, second, third = a + 2 * b + 3 * c, 4 * a * b, 5 * a * b * c
    return np.stack([first - second, second - third, third - first], axis=1)


def test_three_modalities_any_of_them_absent() -> None:
    shapes = {"voice": (4000,), "face": (1, 8, 8, 1), "words": (2,)}
    sources = {
        "voice": InputSpec(media="waveform", rate=8000),
        "face": InputSpec(media="frames", rate=2),
        "words": InputSpec(),
    }
    model = Model(shapes, sources, three)
    # All there; no face; words alone; nothing.
    a, b, c = np.array([0.5, 0.25, 0, 0]), np.array([0.75, 0, 0, 0]), np.array([-1.5, 2, 3, 0])
    inputs = {"voice": a, "face": b, "words": c}
    result = judged(
        model.recognizer(),
        **{key: np.multiply.outer(value, np.ones(shapes[key])) for key, value in inputs.items()},
    )
    assert np.isnan(result.probabilities[3]).all()
    assert np.isnan(result.probabilities[:3]).sum() == 0
    lengths = {
        ("voice",): abs(a) * 2**0.5,
        ("face",): 2 * abs(b) * 2**0.5,
        ("words",): 3 * abs(c) * 2**0.5,
        ("voice", "face"): 4 * abs(a * b) * 2**0.5,
        ("voice", "words"): 0 * a,
        ("face", "words"): 0 * a,
        ("voice", "face", "words"): 5 * abs(a * b * c) * 2**0.5,
    }
    assert set(result.contributions) == {(), *lengths}
    for subset, expected in lengths.items():
        found = np.linalg.norm(result.contributions[subset], axis=1)
        np.testing.assert_allclose(found[:3], expected[:3], atol=1e-6, err_msg=str(subset))
        assert np.isnan(found[3])
    face = softmax(three({"voice": 0 * a, "face": b, "words": 0 * c}), axis=1)
    np.testing.assert_allclose(result.alone["face"][0], face[0], atol=1e-6)
    assert np.isnan(result.alone["face"][1:]).all()


def test_a_file_runs_no_more_often_than_there_are_different_answers() -> None:
    model = Model()
    recognizer = model.recognizer()
    for windows in (5, 4):
        judged(recognizer, voice=np.zeros((windows, 24000)), face=np.ones((windows, *SHAPES["face"])))
    # The windows, and nothing at all once for all files.
    assert sorted(len(inputs["face"]) for inputs in model.seen) == [1, 4, 5]


def test_answers_that_are_no_numbers_are_told() -> None:
    broken = Model(answer=lambda inputs: np.full((len(inputs["face"]), 3), np.nan))
    with pytest.raises(LMFError, match=r"the clip: model answers with NaN or infinity"):
        broken.recognizer()({"voice": clip()["voice"]})
