"""The stages of a training: which parts learn in which epochs, and at what rate. The others work as in answers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from keras_lmf.models.start import part_layers
from keras_lmf.recipe import Recipe


@dataclass(frozen=True)
class Stage:
    """Epochs of a training in which the same parts learn.

    Attributes:
        start, end: epochs done before it and after it.
        learning_rate: of Adam.
        frozen: parts that stay as they are.
    """

    start: int
    end: int
    learning_rate: float
    frozen: frozenset[str]


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """One, or with `training.first` two. Each has an optimizer of its own, whose schedule runs over its epochs."""
    training, parts = recipe.training, recipe.trained_parts
    frozen = recipe.start.frozen(parts) if recipe.start else frozenset()
    if training.first is None:
        return (Stage(0, training.epochs, training.learning_rate, frozen),)
    first = training.first
    return (
        Stage(0, first.epochs, first.learning_rate, frozenset(parts) - set(first.train)),
        Stage(first.epochs, training.epochs, training.learning_rate, frozen),
    )


def stage_of(recipe: Recipe, epoch: int) -> Stage:
    """The stage whose optimizer a run has after so many epochs: the one that the last of them belongs to."""
    return next(stage for stage in stages(recipe) if epoch <= stage.end)


def freeze(model: keras.Model, recipe: Recipe, parts: frozenset[str]) -> None:
    """Keeps these parts of the recipe's model as they are: nothing in them learns, and they work as in an answer."""
    for part, layers in part_layers(model, recipe).items():
        for layer in layers if part in parts else ():
            layer.trainable = False
            if "training" in inspect.signature(layer.call).parameters:
                layer.call = _as_in_answers(layer.call)


def _as_in_answers(call: Callable[..., Any]) -> Callable[..., Any]:
    """`call` without dropout, noise and statistics of batches: Keras itself switches off the last alone."""

    @functools.wraps(call)
    def answering(*args: Any, training: bool | None = None, **options: Any) -> Any:
        return call(*args, training=False, **options)

    return answering
