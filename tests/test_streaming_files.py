"""Streaming models as files: chunk by chunk they answer as the model of whole clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from click.testing import CliRunner
from exporting import exported_here
from streams import (
    FACES,
    LSTM,
    SPECTROGRAM,
    TWO,
    by_steps,
    clips,
    recipe,
    sound,
    standardised,
    streamed,
    until,
)

import keras_lmf.export
import keras_lmf.models
from keras_lmf import backbones
from keras_lmf.cli import main
from keras_lmf.errors import LMFError
from keras_lmf.layers import LowRankFusion, StatisticsPooling
from keras_lmf.models import build, fusion_model, streaming_model
from keras_lmf.recognition import Recognizer
from keras_lmf.spec import STATE


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


def pictures() -> keras.Model:
    frames = keras.Input((4, 12, 12, 1))
    network = keras.layers.TimeDistributed(backbones.image_cnn((12, 12, 1), filters=(3, 4)))
    return keras.Model(frames, StatisticsPooling()(network(frames)))


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
