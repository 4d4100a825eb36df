"""A tiny corpus of voice and face, and recipes of fusions of answers on it."""

from __future__ import annotations

import itertools

import keras
import numpy as np

from keras_lmf.data import Dataset
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.target import Target
from keras_lmf.training import Run

CLASSES = ("calm", "happy", "sad")
INPUTS = {"voice": (5, 3), "face": (4,)}


def clips(values: bool = False) -> Dataset:
    """360 samples of 36 speakers; voice (5, 3) and face (4,) each tell something, and are absent now and then."""
    random = np.random.default_rng(0)
    labels = random.choice(3, size=360, p=[0.5, 0.3, 0.2])
    inputs = {
        name: (1.2 * np.random.default_rng(i).normal(size=(3, shape[-1])))[labels].reshape(
            360, *[1] * (len(shape) - 1), shape[-1]
        )
        + random.normal(size=(360, *shape))
        for i, (name, shape) in enumerate(INPUTS.items())
    }
    inputs["voice"][::9] = 0
    inputs["face"][4::9] = 0
    groups = np.arange(360) // 10
    target = Target(name="emotion", classes=CLASSES)
    if values:
        target = Target(name="emotion", range=(0.0, 2.0))
    return Dataset(
        name="tiny",
        target=target,
        inputs=inputs,
        labels=labels.astype("float32") if values else labels,
        groups=groups.astype(str),
        ids=np.arange(360).astype(str),
        splits=np.array(["train"] * 18 + ["valid"] * 12 + ["test"] * 6)[groups],
    )


def recipe(fusion: dict, **changes) -> Recipe:
    return Recipe(
        name="tiny",
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": CLASSES},
        inputs={
            "voice": {"shape": [5, 3], "backbone": {"name": "average_pooling"}},
            "face": {"shape": [4], "backbone": {"name": "mlp", "units": [8], "dropout": 0.1}},
        },
        fusion=fusion,
        presence={},
        training={"loss": "cross_entropy", "epochs": 6, "learning_rate": 0.03, "batch_size": 16},
    ).replace(**changes)


RULES = [{"when": {"voice": "sad", "face": "happy"}, "then": "calm"}]
WORDS = {
    "decision": {"name": "decision"},
    "table": {"name": "decision", "rule": "vote", "rules": RULES},
    "stacking": {"name": "stacking", "folds": 2},
    "hybrid": {"name": "hybrid", "features": {"name": "low_rank", "units": 4, "rank": 2}},
}


def logits(model: keras.Model, inputs: dict, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    given = {name: inputs[name][rows] for name in model.input}
    return open_artifact(model).predict(given)["emotion"].astype(float)


def part(run: Run, name: str) -> keras.Model:
    return Run.open(run.folder / "parts" / name).model


def subsets(inputs: dict) -> dict:
    return {
        kept: {name: values if name in kept else np.zeros_like(values) for name, values in inputs.items()}
        for size in (1, 2)
        for kept in itertools.combinations(inputs, size)
    }
