"""Shapes of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def weight_shapes(model: keras.Model) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """(path, shape) of every weight of the model, in order: the `weights` of an entry."""
    return tuple((weight.path, tuple(int(width) for width in weight.shape)) for weight in model.weights)
