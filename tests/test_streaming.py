"""Chunk by chunk, a model answers as it answers a whole clip. The oracle is always the model of whole clips."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from click.testing import CliRunner
from exporting import exported_here
from keras import ops
from other_backend import LONG_ON_OTHERS, environment
from word_recipes import CASES
from word_recipes import recipe as words

import keras_lmf.export
import keras_lmf.models
from keras_lmf import backbones
from keras_lmf.cli import main
from keras_lmf.errors import LMFError
from keras_lmf.layers import LowRankFusion, StatisticsPooling
from keras_lmf.models import (
    build,
    fusion_model,
    refresh_standardization,
    set_standardization,
    streaming_model,
)
from keras_lmf.recipe import Recipe
from keras_lmf.recognition import Recognizer
from keras_lmf.spec import STATE

Arrays = dict[str, np.ndarray]
RANDOM = np.random.default_rng(3)


def recipe(inputs: Mapping[str, Any], fusion: Mapping[str, Any] | None = None) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "streamed",
            "corpus": {"name": "synthetic"},
            "target": {"name": "emotion", "classes": ["calm", "happy", "sad"]},
            "presence": {"dropout": 0.1},
            "training": {"epochs": 1, "batch_size": 4},
            "inputs": inputs,
            "fusion": fusion or {"name": "low_rank", "units": 6, "rank": 2},
        }
    )


def standardised(model: keras.Model) -> keras.Model:
    """With statistics that make of padding what is no zero."""
    for name, tensor in model.input.items():
        if len(tensor.shape) == 3:
            width = tensor.shape[-1]
            set_standardization(model, {name: (RANDOM.normal(size=width), RANDOM.uniform(0.5, 2, width))})
    return model


CONVOLUTION = {"name": "temporal_convolution", "filters": [4, 4], "kernel_size": 4, "units": 4}
TWO = {
    "audio": {"shape": [12, 5], "backbone": CONVOLUTION},
    "video": {"shape": [6, 3], "backbone": {"name": "lstm", "units": 4}},
}


def by_steps(pooling: str, attention: str = "none", **inputs: Any) -> Recipe:
    fusion = {"name": "step_by_step", "attention": attention, "pooling": pooling, "filters": [4]}
    each = {"name": "low_rank", "units": 4, "rank": 2}
    return recipe({**TWO, **inputs}, fusion | {"each": each, "rates": {"audio": 8.0, "video": 4.0}})


def clips(model: keras.Model, lengths: Mapping[str, list[int]]) -> Arrays:
    """Random ones of such lengths, zeros after them."""
    rows = {}
    for name, tensor in model.input.items():
        values = RANDOM.normal(size=(len(next(iter(lengths.values()))), *tensor.shape[1:])).astype("float32")
        for row, length in enumerate(lengths.get(name, [])):
            values[row, length:] = 0
        rows[name] = values
    return rows


def streamed(
    call: Callable[[Arrays], Arrays], size: int, chunks: Mapping[str, int], clips: Arrays
) -> list[np.ndarray]:
    """The answers after each chunk."""
    state = np.zeros((len(next(iter(clips.values()))), size), "float32")
    answers = []
    for i in range(max(-(-clips[name].shape[1] // length) for name, length in chunks.items())):
        given = {STATE: state}
        for name, clip in clips.items():
            given[name] = clip
            if name in chunks:
                piece = clip[:, i * chunks[name] : (i + 1) * chunks[name]]
                missing = [(0, 0), (0, chunks[name] - piece.shape[1])] + [(0, 0)] * (clip.ndim - 2)
                given[name] = np.pad(piece, missing)
        found = call(given)
        state = found[STATE]
        answers.append(found["emotion"])
    return answers


def until(clips: Arrays, chunks: Mapping[str, int], calls: int) -> Arrays:
    """The clips, as if they had ended after so many chunks."""
    cut = {name: values.copy() for name, values in clips.items()}
    for name, length in chunks.items():
        cut[name][:, calls * length :] = 0
    return cut


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


def test_a_file_answers_after_every_chunk_as_the_model(tmp_path: Path) -> None:
    model = standardised(build(recipe(TWO)))
    chunks = {"audio": 2, "video": 1}
    with exported_here():
        (artifact,) = keras_lmf.export.export_model(streaming_model(model, chunks), tmp_path, ["tflite"])
    run = Interpreter(model_path=str(artifact.path)).get_signature_runner()
    size = run.get_input_details()[STATE]["shape"][1]
    for audio, video in ((12, 6), (7, 3), (0, 4)):
        rows = clips(model, {"audio": [audio], "video": [video]})
        for i, found in enumerate(streamed(lambda given: run(**given), size, chunks, rows), 1):
            expected = model.predict_on_batch(until(rows, chunks, i))["emotion"]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def sound(front_end: str, backbone: Mapping[str, Any], samples: int = 4800) -> dict[str, Any]:
    taken = {"name": front_end, "bands": 24, "dynamic_range": 0}
    return {"shape": [samples], "front_end": taken, "backbone": backbone}


def pictures() -> keras.Model:
    frames = keras.Input((4, 12, 12, 1))
    network = keras.layers.TimeDistributed(backbones.image_cnn((12, 12, 1), filters=(3, 4)))
    return keras.Model(frames, StatisticsPooling()(network(frames)))


FACES = {
    "shape": [6, 8, 8, 1],
    "front_end": {"name": "mini_xception", "taps": ["block_1"]},
    "backbone": {"name": "average_pooling", "units": [4]},
}
SPECTROGRAM = {"name": "spectrogram_cnn", "filters": [3, 4], "units": 4}
LSTM = {"name": "lstm", "units": 4}
MODELS: dict[str, tuple[Callable[[], keras.Model], dict[str, int]]] = {
    "voice and faces": (
        lambda: build(recipe({"voice": sound("mfcc", LSTM), "face": FACES})),
        {"voice": 800, "face": 1},
    ),
    "spectrogram": (
        lambda: build(recipe({"voice": sound("log_mel", SPECTROGRAM), "face": FACES})),
        {"voice": 1280, "face": 2},
    ),
    "video": (
        lambda: fusion_model(
            {"face": backbones.cnn_2plus1d((7, 8, 8, 1), filters=(3, 4), units=4)}, None, {"emotion": 3}
        ),
        {"face": 2},
    ),
    "pictures": (lambda: fusion_model({"face": pictures()}, None, {"emotion": 3}), {"face": 1}),
    "landmarks": (
        lambda: fusion_model(
            {"face": backbones.landmark_gru((6, 68, 2), features=("distances",), units=4)}, None, {"emotion": 3}
        ),
        {"face": 3},
    ),
    "whole input beside": (
        lambda: fusion_model(
            {"voice": backbones.lstm((6, 4), units=4), "face": backbones.mlp((5,), units=(4,))},
            LowRankFusion(6),
            {"emotion": 3},
        ),
        {"voice": 2},
    ),
    "voice at each step": (
        lambda: build(by_steps("mean", audio=sound("log_mel", LSTM), video={"shape": [8, 3], "backbone": LSTM})
                      .replace(fusion={"rates": {"audio": 100.0, "video": 25.0}})),
        {"audio": 1280, "video": 2},
    ),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_a_file_answers_whole_clips_as_the_model(name: str, tmp_path: Path) -> None:
    make, chunks = MODELS[name]
    model = standardised(make())
    with exported_here():
        (artifact,) = keras_lmf.export.export_model(streaming_model(model, chunks), tmp_path, ["tflite"])
    run = Interpreter(model_path=str(artifact.path)).get_signature_runner()
    size = run.get_input_details()[STATE]["shape"][1]
    # Where a chunk reaches over a window's end, the model has no frames of what lies there.
    whole = all(model.input[name].shape[1] % length == 0 for name, length in chunks.items())
    for share in (0.5, 0.8, *([1.0] if whole else [])):
        lengths = {name: [int(share * model.input[name].shape[1])] for name in chunks}
        rows = clips(model, lengths)
        answers = streamed(lambda given: run(**given), size, chunks, rows)
        np.testing.assert_allclose(answers[-1], model.predict_on_batch(rows)["emotion"], rtol=0, atol=1e-4)


@pytest.mark.long
def test_a_recognizer_takes_no_streaming_file(tmp_path: Path) -> None:
    make, chunks = MODELS["voice and faces"]
    with exported_here():
        (artifact,) = keras_lmf.export.export_model(streaming_model(make(), chunks), tmp_path, ["tflite"])
    with pytest.raises(LMFError, match="streaming file"):
        Recognizer(artifact.path)


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


@pytest.mark.long
def test_a_streaming_model_is_saved_as_any_other(tmp_path: Path) -> None:
    streaming = streaming_model(standardised(build(recipe(TWO))), {"audio": 2, "video": 1})
    streaming.save(tmp_path / "streaming.keras")
    loaded = keras.saving.load_model(tmp_path / "streaming.keras")
    calls = dict(streaming.examples)
    for name, expected in streaming.predict_on_batch(calls).items():
        np.testing.assert_allclose(loaded.predict_on_batch(calls)[name], expected, rtol=0, atol=1e-6)


def test_the_command_exports_the_streaming_variant_of_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(keras_lmf.export, "export_model", lambda *given: asked.append(given) or [])
    monkeypatch.setattr(keras_lmf.models, "streaming_model", lambda model, chunks: (model.name, chunks))
    words = ["export", "lmf-synthetic-av", "--folder", str(tmp_path), "--chunks"]
    result = CliRunner().invoke(main, [*words, "audio=5, video=4"])
    assert result.exit_code == 0, result.output
    uncalibrated = ["saved_model", "tflite", "tflite-float16", "tflite-dynamic"]
    assert asked == [(("lmf_synthetic_av", {"audio": 5, "video": 4}), tmp_path, uncalibrated)]
    result = CliRunner().invoke(main, [*words, "audio:5"])
    assert result.exit_code == 2
    assert "NAME=NUMBER" in result.stderr
