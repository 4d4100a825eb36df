"""Recipes of any words, for tests of what a recipe builds."""

from __future__ import annotations

from keras_lmf.recipe import Recipe

OF_STEPS = {"name": "gru", "units": 3}
# Word → an input that it takes.
ON_BACKBONES = {
    "mlp": {"shape": [5], "backbone": {"name": "mlp", "units": [4, 3], "dropout": 0.1}},
    "average_pooling": {"shape": [6, 5]},
    "lstm": {"shape": [6, 5]},
    "bilstm": {"shape": [6, 5]},
    "gru": {"shape": [6, 5]},
    "temporal_convolution": {
        "shape": [6, 5],
        "backbone": {"name": "temporal_convolution", "filters": [5, 6]},
    },
    "principal_components": {
        "shape": [6, 5],
        "backbone": {"name": "principal_components", "components": 3},
    },
    "truncated_svd": {"shape": [5], "backbone": {"name": "truncated_svd", "components": 3}},
    "spectrogram_cnn": {"shape": [6, 5], "backbone": {"name": "spectrogram_cnn", "filters": []}},
    "spectrogram_crnn": {"shape": [6, 5], "backbone": {"name": "spectrogram_crnn", "band_width": 2}},
    "image_cnn": {"shape": [16, 16, 1], "backbone": {"name": "image_cnn", "mirror": True}},
    "cnn_2plus1d": {"shape": [3, 16, 16, 1]},
    "i3d": {"shape": [8, 32, 32, 3]},
    "published_feature": {"shape": [5]},
    "published_text": {"shape": [6, 5]},
}
ON_FRONT_ENDS = {
    "log_mel": {"shape": [1600], "backbone": OF_STEPS},
    "mfcc": {"shape": [1600], "backbone": OF_STEPS},
    "ge2e": {
        "shape": [1600],
        "front_end": {"name": "ge2e", "layers": [3, 4]},
        "backbone": {"name": "mlp", "units": [3]},
    },
    "whisper": {
        "shape": [1600],
        "front_end": {"name": "whisper", "layers": [1], "active_decibels": 50.0},
        "backbone": OF_STEPS,
    },
    "whisper_convolutions": {
        "shape": [1600],
        "front_end": {"name": "whisper_convolutions", "statistics": ["mean"]},
        "backbone": {"name": "mlp", "units": [3]},
    },
    "whisper_statistics": {
        "shape": [1600],
        "front_end": {"name": "whisper_statistics", "layers": [1], "statistics": ["deviation"]},
        "backbone": {"name": "mlp", "units": [3]},
    },
    "mini_xception": {
        "shape": [2, 64, 64, 1],
        "front_end": {"name": "mini_xception", "taps": ["logits", "block_2"]},
        "backbone": OF_STEPS,
    },
    "expression_net": {
        "shape": [2, 20, 20, 1],
        "front_end": {"name": "expression_net", "taps": ["logits", "block_2"]},
        "backbone": OF_STEPS,
    },
    "application": {
        "shape": [2, 32, 32, 1],
        "front_end": {"name": "application", "network": "MobileNetV2", "size": [40, 40]},
        "backbone": OF_STEPS,
    },
    "landmarks": {"shape": [7, 68, 2], "backbone": OF_STEPS},
    "landmark_statistics": {"shape": [7, 68, 2], "backbone": {"name": "mlp"}},
}
CASES = {word: {"backbone": {"name": word}, **section} for word, section in ON_BACKBONES.items()} | {
    word: {"front_end": {"name": word}, **section} for word, section in ON_FRONT_ENDS.items()
}


def recipe(inputs: dict, fusion: dict | None = None, **changes) -> Recipe:
    return Recipe(
        name="words",
        seed=7,
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": ["calm", "excited"]},
        inputs=inputs,
        fusion=fusion or {"name": "none"},
        training={"loss": "cross_entropy"},
        **changes,
    )


def two(fusion: dict, **changes) -> Recipe:
    inputs = {name: {"shape": [5], "backbone": {"name": "mlp", "units": [4]}} for name in ("voice", "face")}
    return recipe(inputs, fusion, **changes)
