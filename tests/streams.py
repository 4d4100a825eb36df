"""Small recipes that can be streamed, random clips for them, and clips given chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_lmf.models import set_standardization
from keras_lmf.recipe import Recipe
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


def sound(front_end: str, backbone: Mapping[str, Any], samples: int = 4800) -> dict[str, Any]:
    taken = {"name": front_end, "bands": 24, "dynamic_range": 0}
    return {"shape": [samples], "front_end": taken, "backbone": backbone}


FACES = {
    "shape": [6, 8, 8, 1],
    "front_end": {"name": "mini_xception", "taps": ["block_1"]},
    "backbone": {"name": "average_pooling", "units": [4]},
}
SPECTROGRAM = {"name": "spectrogram_cnn", "filters": [3, 4], "units": 4}
LSTM = {"name": "lstm", "units": 4}
