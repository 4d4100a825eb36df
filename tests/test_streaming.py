"""Chunk by chunk, a model answers as it answers a whole clip. The oracle is always the model of whole clips."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from other_backend import LONG_ON_OTHERS, environment
from streams import LSTM, TWO, by_steps, clips, recipe, sound, standardised, streamed, until
from word_recipes import CASES
from word_recipes import recipe as words

from keras_lmf.errors import LMFError
from keras_lmf.layers import StatisticsPooling
from keras_lmf.models import build, refresh_standardization, streaming_model
from keras_lmf.recipe import Recipe
from keras_lmf.spec import STATE, InputSpec, ModelSpec, attach, attached


@pytest.mark.parametrize(
    "pooling", ["mean", *(pytest.param(word, marks=pytest.mark.long) for word in ("last", "attention"))]
)
def test_fusion_at_each_step_answers_after_every_chunk_as_if_the_clip_ended_there(pooling: str) -> None:
    model = standardised(build(by_steps(pooling)))
    chunks = {"audio": 4, "video": 2}
    # They begin late, pause, end early.
    rows = clips(model, {"audio": [12, 7, 9, 0], "video": [6, 5, 2, 6]})
    rows["audio"][0, :5], rows["audio"][1, 3:5], rows["video"][2, 0] = 0, 0, 0
    streaming = streaming_model(model, chunks)
    answers = streamed(streaming.predict_on_batch, streaming.input[STATE].shape[1], chunks, rows)
    for i, found in enumerate(answers, 1):
        expected = model.predict_on_batch(until(rows, chunks, i))["emotion"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert np.abs(answers[0] - answers[-1]).max() > 1e-3


# Word → what of it needs the whole clip.
REFUSED = {
    "bilstm": "Bidirectional 'bilstm'",
    "spectrogram_crnn": "Bidirectional 'bigru'",
    "i3d": "Conv3D",
    "ge2e": "LevelNormalization 'level'",
    "whisper": "Pad",
    "whisper_convolutions": "Pad",
    "whisper_statistics": "Pad",
    "landmarks": "GetItem",
    "landmark_statistics": "Cumsum",
}
NO_TIME_AXIS = {"mlp", "truncated_svd", "image_cnn", "published_feature"}


@pytest.mark.long
@pytest.mark.parametrize("word", CASES.keys() - NO_TIME_AXIS)
def test_every_network_with_a_time_axis_is_streamed_or_refused_by_name(word: str) -> None:
    section = dict(CASES[word])
    if word in ("log_mel", "mfcc"):
        section["front_end"] = {"name": word, "dynamic_range": 0}
    model = standardised(build(words({"x": section})))
    chunks = {"x": {"spectrogram_crnn": 2}.get(word, 320 if len(section["shape"]) == 1 else 1)}
    if word in REFUSED:
        with pytest.raises(LMFError, match=REFUSED[word]):
            streaming_model(model, chunks)
        return
    streaming = streaming_model(model, chunks)
    rows = clips(model, {"x": [model.input["x"].shape[1]] * 2})
    answers = streamed(streaming.predict_on_batch, streaming.input[STATE].shape[1], chunks, rows)
    np.testing.assert_allclose(answers[-1], model.predict_on_batch(rows)["emotion"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "chunks", "said"),
    [
        (lambda: by_steps("mean", "to_modalities"), {"audio": 4, "video": 2}, 'attention = "none"'),
        (lambda: by_steps("mean"), {"audio": 4, "video": 1}, "2 and 1 steps"),
        (lambda: by_steps("mean"), {"audio": 3, "video": 2}, "a multiple of 2"),
        (lambda: recipe(TWO), {"audoi": 4}, "Did you mean 'audio'"),
        (lambda: recipe(TWO), {"audio": 0}, "1 or more, received 0"),
        (lambda: recipe(TWO), {}, "audio, video"),
        (lambda: recipe(TWO | {"audio": sound("log_mel", LSTM, 1600)}), {"audio": 200}, "Give 320"),
        (
            lambda: recipe(TWO | {"audio": sound("log_mel", LSTM, 1600) | {"front_end": {"name": "mfcc"}}}),
            {"audio": 160},
            "MFCC 'spectrum' in 'audio_front_end'.*dynamic_range = 0",
        ),
    ],
)
def test_what_does_not_fit_is_told(make: Callable[[], Recipe], chunks: dict[str, int], said: str) -> None:
    with pytest.raises(LMFError, match=said):
        streaming_model(build(make()), chunks)


def test_half_precision_is_refused() -> None:
    steps = keras.Input((4, 3), name="audio")
    answer = keras.layers.Dense(2, dtype="mixed_float16")(StatisticsPooling()(steps))
    with pytest.raises(LMFError, match="float16"):
        streaming_model(keras.Model({"audio": steps}, {"emotion": answer}), {"audio": 2})


# It compares whole clips itself, and raises where they differ.
ELSEWHERE = """
from word_recipes import recipe
from keras_lmf.models import build, streaming_model

voice = {
    "shape": [3200],
    "front_end": {"name": "log_mel", "bands": 12, "dynamic_range": 0},
    "backbone": {"name": "spectrogram_cnn", "filters": [3]},
}
face = {"shape": [2, 64, 64, 1], "front_end": {"name": "mini_xception", "taps": ["block_1"]}}
inputs = {"voice": voice, "face": face | {"backbone": {"name": "lstm", "units": 3}}}
model = build(recipe(inputs, {"name": "low_rank"}, presence={}))
print(*streaming_model(model, {"voice": 640, "face": 1}).output)
"""


@pytest.mark.parametrize("backend", LONG_ON_OTHERS)
def test_other_backends_stream(backend: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        env=environment(backend),
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.split() == ["emotion", STATE]


class Course(keras.layers.Dense):
    """No dense layer: each step knows those before it."""

    def call(self, inputs: Any) -> Any:
        return ops.cumsum(super().call(inputs), axis=1)


def test_a_layer_that_is_not_what_it_is_taken_for_is_found_out() -> None:
    steps = keras.Input((4, 3), name="audio")
    answer = keras.layers.Dense(2)(StatisticsPooling()(Course(3)(steps)))
    with pytest.raises(LMFError, match="answers otherwise"):
        streaming_model(keras.Model({"audio": steps}, {"emotion": answer}), {"audio": 2})


@pytest.mark.long
def test_a_stream_may_be_longer_than_the_clips_of_the_model() -> None:
    made = recipe(TWO)
    model, chunks = standardised(build(made)), {"audio": 4, "video": 2}
    longer = build(made.replace(inputs={"audio": {"shape": [36, 5]}, "video": {"shape": [18, 3]}}))
    longer.set_weights(model.get_weights())
    refresh_standardization(longer)
    streaming = streaming_model(model, chunks)
    rows = clips(longer, {"audio": [36, 30], "video": [18, 17]})
    answers = streamed(streaming.predict_on_batch, streaming.input[STATE].shape[1], chunks, rows)
    np.testing.assert_allclose(answers[-1], longer.predict_on_batch(rows)["emotion"], rtol=0, atol=1e-5)


def test_the_spec_says_that_a_chunk_goes_in() -> None:
    model = standardised(build(recipe(TWO)))
    attach(model, ModelSpec(inputs={name: InputSpec(description=f"12 of {name}") for name in model.input}))
    told = attached(streaming_model(model, {"audio": 2}))[0].inputs
    assert told["audio"].shape[0] == 2
    assert "chunk of 2" in told["audio"].description
    assert told["video"].description == "12 of video"  # it comes whole


@pytest.mark.long
def test_a_streaming_model_is_saved_as_any_other(tmp_path: Path) -> None:
    streaming = streaming_model(standardised(build(recipe(TWO))), {"audio": 2, "video": 1})
    streaming.save(tmp_path / "streaming.keras")
    loaded = keras.saving.load_model(tmp_path / "streaming.keras")
    calls = dict(streaming.examples)
    for name, expected in streaming.predict_on_batch(calls).items():
        np.testing.assert_allclose(loaded.predict_on_batch(calls)[name], expected, rtol=0, atol=1e-6)
