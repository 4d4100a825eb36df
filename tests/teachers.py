"""Linear teachers whose answers are known, and students of one step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from resume_worker import CLASSES
from scipy.special import softmax

from keras_lmf.models import build, set_standardization
from keras_lmf.recipe import Recipe

ORDER = ("sad", "calm", "happy")
PLACES = [ORDER.index(name) for name in CLASSES]
MEAN, VARIANCE = np.array([0.5, -1.0, 2.0]), np.array([4.0, 0.25, 1.0])


def recipe(inputs: dict, training: dict, **sections: object) -> Recipe:
    given = {
        "name": "tiny",
        "corpus": {"name": "synthetic"},
        "target": {"name": "emotion", "classes": CLASSES},
        "inputs": inputs,
        "fusion": {"name": "early"} if len(inputs) > 1 else {"name": "none"},
        "training": {"loss": "cross_entropy", **training},
    }
    return Recipe(**given | sections)


def linear(folder: Path, seed: int) -> tuple[str, np.ndarray, np.ndarray]:
    """A run whose logits are (video - MEAN) / sqrt(VARIANCE) @ kernel + bias, in the order of ORDER."""
    video = {"shape": (3,), "backbone": {"name": "mlp", "units": ()}}
    words = recipe({"video": video}, {}, target={"name": "emotion", "classes": ORDER})
    model = build(words)
    set_standardization(model, {"video": (MEAN, VARIANCE)})
    kernel = np.random.default_rng(seed).normal(size=(3, 3)).astype(np.float32)
    bias = np.arange(3, dtype=np.float32)
    model.get_layer("emotion").set_weights([kernel, bias])
    words.write(folder / "recipe.toml")
    model.save_weights(folder / "model.weights.h5")
    return str(folder), kernel, bias


def two(folder: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Their folders, kernels and biases."""
    return [linear(folder / f"teacher-{seed}", seed) for seed in (0, 1)]


def answers(video: np.ndarray, kernel: np.ndarray, bias: np.ndarray, temperature: float) -> np.ndarray:
    """In the order of CLASSES."""
    logits = (video - MEAN) / np.sqrt(VARIANCE) @ kernel + bias
    return softmax(logits[:, PLACES] / temperature, axis=1)


INPUTS = {
    "audio": {"shape": (5, 4), "backbone": {"name": "average_pooling", "units": (4,)}},
    "video": {"shape": (3,), "backbone": {"name": "mlp", "units": (4,)}},
}


def student(*teachers: str, **section: float) -> Recipe:
    """Of one step, which learns nothing: the logged losses are those of the kept weights."""
    training = {"epochs": 1, "batch_size": 64, "learning_rate": 1e-12}
    return recipe(INPUTS, training | {"distillation": {"teacher": teachers, **section}})
