"""A small model of voice and face with a front end on sound, from a recipe, and rows for it."""

from __future__ import annotations

import keras
import numpy as np

import keras_lmf as klmf

SAMPLES, BANDS = 8000, 16


def voice_model() -> keras.Model:
    """Half a second of sound → log-mel → LSTM, and 5 numbers of a face; an input of zeros is absent."""
    recipe = klmf.Recipe(
        name="voice-face",
        seed=1,
        corpus={"name": "clips"},
        target={"name": "emotion", "classes": ["calm", "angry", "sad"]},
        inputs={
            "voice": {
                "shape": [SAMPLES],
                "front_end": {"name": "log_mel", "bands": BANDS},
                "backbone": {"name": "lstm", "units": 6},
            },
            "face": {"shape": [5], "backbone": {"name": "mlp", "units": [4]}},
        },
        fusion={"name": "low_rank", "units": 4, "rank": 2},
        presence={},
        training={"loss": "cross_entropy"},
    )
    return klmf.build(recipe)


def rows() -> dict[str, np.ndarray]:
    """Five rows: each clip shorter than the one before, the last silent; the third without a face."""
    random = np.random.default_rng(2)
    voice = 0.1 * random.standard_normal((5, SAMPLES)).astype("float32")
    face = random.standard_normal((5, 5)).astype("float32")
    for row in range(5):
        voice[row, SAMPLES - row * SAMPLES // 4 :] = 0
    face[2] = 0
    return {"voice": voice, "face": face}
