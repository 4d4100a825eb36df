"""Runs of a recipe with a front end for sound, and their answers by hand."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from loud_model import RATE, square_wave
from scipy.special import softmax
from zoo_entry import recipe

from keras_lmf.models import build
from keras_lmf.recipe import Recipe

NAME, SAMPLES = "voice-entry", 1600  # windows of a tenth of a second
STRETCHES = ((0.1, 0.15), (0.7, 0.13))


def plain_recipe() -> Recipe:
    """Without a front end: its input holds features."""
    sections = recipe().model_dump(exclude_none=True)
    inputs = {"voice": {"shape": [SAMPLES], "backbone": {"name": "mlp", "units": [4]}}}
    return Recipe(**sections | {"name": NAME, "inputs": inputs, "fusion": {"name": "early"}})


POOLED = {"name": "average_pooling", "units": [4]}


def voice_recipe(backbone: dict[str, object] | None = None) -> Recipe:
    voice = {
        "shape": [SAMPLES],
        "front_end": {"name": "mfcc", "sample_rate": RATE},
        "backbone": backbone or {"name": "bilstm", "units": 4},
    }
    return Recipe(**plain_recipe().model_dump(exclude_none=True) | {"inputs": {"voice": voice}})


def by_hand(model, temperature: float) -> np.ndarray:
    """(windows, 2) from windows that are cut here, half a window apart."""
    wave = np.concatenate([square_wave(*STRETCHES), np.zeros(SAMPLES, np.float32)])
    starts = [0, 800, 1600, 2400, 3200]
    rows = np.stack([wave[start : start + SAMPLES] for start in starts])
    logits = keras.ops.convert_to_numpy(model({"voice": rows}, training=False)["emotion"]).astype("float64")
    return softmax(logits / temperature, axis=1)


def with_front_end(folder: Path, backbone: dict[str, object] | None = None) -> keras.Model:
    """A run of a recipe with a front end in `folder`, and its model."""
    voice_recipe(backbone).write(folder / "recipe.toml")
    model = build(voice_recipe(backbone))
    model.save_weights(folder / "model.weights.h5")
    return model
