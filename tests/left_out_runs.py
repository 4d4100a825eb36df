"""Corpora that mislead each other, and trainings on them that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.data import Dataset
from keras_lmf.recipe import Recipe
from keras_lmf.target import Target

CLASSES = ("angry", "happy", "sad", "surprised")
SPLITS = ["train"] * 6 + ["valid"] * 3 + ["test"] * 3


def corpus(name: str, place: int, classes: tuple[str, ...] = CLASSES[:3]) -> Dataset:
    """Twelve rows of each class. The feature `place` is the class. The others are noise, and in the test split the next
    class: they mislead what learnt from another corpus."""
    count, splits = len(classes), np.tile(SPLITS, len(classes))
    labels = np.repeat(np.arange(count), len(SPLITS))
    voice = np.random.default_rng(place).normal(0, 5, (len(labels), 3))
    voice[splits == "test"] = ((labels + 1) % count)[splits == "test", None]
    voice[:, place] = labels
    return Dataset(
        name=name,
        target=Target(name="emotion", classes=classes),
        inputs={"voice": voice},
        labels=labels,
        groups=splits,
        ids=np.array([f"clip{row}" for row in range(len(labels))]),
        splits=splits,
    )


def recipe(**changes) -> Recipe:
    return Recipe(
        name="voices",
        seed=4,
        corpus={"name": ["one.npz", "two.npz", "three.npz"]},
        target={"name": "emotion", "classes": CLASSES},
        inputs={"voice": {"shape": [3], "backbone": {"name": "mlp", "units": [8]}}},
        fusion={"name": "none"},
        training={"loss": "cross_entropy", "epochs": 2, "batches": "corpora"},
    ).replace(**changes)


class FakeRun:
    """A training that was not: its answers are the first class that it met, or what `answers` says."""

    def __init__(self, recipe: Recipe, data: Dataset, folder: Path, answers=None) -> None:
        self.recipe, self.data, self.folder, self.answers = recipe, data, folder, answers

    @property
    def model(self):
        return self

    def dataset(self) -> Dataset:
        return self.data

    def predict(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"emotion": np.eye(4)[self.answers(inputs["voice"])]}


def recall(labels: np.ndarray, answers: np.ndarray) -> float:
    """Mean over the classes that occur."""
    return np.mean([np.mean(answers[labels == label] == label) for label in np.unique(labels)])
