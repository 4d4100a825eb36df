"""What backbones and front ends are made of: checked inputs, seeds, seeded layers, and the two kinds joined."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.backend import nested_layers
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.layers import StatisticsPooling

FRONT_END = "front_end"


def input_layer(name: str, shape: Sequence[int], *axes: str | Sequence[int]) -> keras.KerasTensor:
    """The input (batch, *shape). `axes` are one name each, or the lengths that are allowed.

    Raises:
        LMFError: other axes.
    """
    if len(shape) != len(axes) or not all(isinstance(a, str) or n in a for n, a in zip(shape, axes)):
        words = [axis if isinstance(axis, str) else " or ".join(map(str, axis)) for axis in axes]
        allowed = f"{words[0]}," if len(words) == 1 else ", ".join(words)
        raise LMFError(
            f"This network takes {name} of shape ({allowed}) without the batch axis, received {tuple(shape)}"
        )
    return keras.Input(tuple(shape), name=name)


def require_different(what: str, chosen: Sequence[Any], allowed: Collection[Any]) -> None:
    """Refuses what is not allowed, nothing at all, and the same twice."""
    for word in chosen:
        if word not in allowed:
            raise unknown_name(f"value in the {what}", word, map(str, allowed))
    if not chosen or len(set(chosen)) != len(chosen):
        words = ", ".join(map(str, allowed))
        raise LMFError(f"The {what} must be one or more different ones of {words}, received {tuple(chosen)}")


def seed_stream(seed: int | None) -> Iterator[int | None]:
    """Seeds for the layers of one backbone, a pure function of `seed`; None gives None forever."""
    generator = random.Random(seed)
    while True:
        yield None if seed is None else generator.getrandbits(31)


def dense(units: int, seed: int | None, **options: Any) -> keras.layers.Dense:
    """A dense layer with seeded Glorot weights."""
    return keras.layers.Dense(
        units, kernel_initializer=keras.initializers.GlorotUniform(seed=seed), **options
    )


def convolution(filters: int, size: Any, seed: int | None, name: str) -> keras.layers.Conv2D:
    """A two-dimensional convolution that keeps the size, before a normalisation: seeded He weights, no bias."""
    initializer = keras.initializers.HeNormal(seed=seed)
    return keras.layers.Conv2D(
        filters, size, padding="same", use_bias=False, kernel_initializer=initializer, name=name
    )


def embedding(hidden: Any, units: int, dropout: float, seeds: Iterator[int | None]) -> Any:
    """The last dense layer of a backbone, with ReLU, and the dropout on it."""
    hidden = dense(units, next(seeds), activation="relu", name="embedding")(hidden)
    if dropout:
        hidden = keras.layers.Dropout(dropout, seed=next(seeds), name="embedding_dropout")(hidden)
    return hidden


def present(pictures: Any) -> Any:
    """Whether a pixel of the picture is not zero, (…, height, width, channels) → (…)."""
    return ops.any(ops.not_equal(pictures, 0), axis=(-3, -2, -1))


def side_by_side(parts: Sequence[Any]) -> Any:
    """One or more (…, width) as one, on the last axis."""
    return ops.concatenate(list(parts), axis=-1) if len(parts) > 1 else parts[0]


def mean_change(steps: Any, there: Any, name: str) -> Any:
    """Mean absolute change between neighbouring steps that are both there: (batch, steps, width) → (batch, width)."""
    changes = ops.absolute(steps[:, 1:] - steps[:, :-1])
    both = ops.logical_and(there[:, 1:], there[:, :-1])
    return StatisticsPooling(name=name)(changes, mask=both)[:, : steps.shape[-1]]


def frozen(inputs: Any, features: Any, name: str) -> keras.Model:
    """A front end: a model that is never trained."""
    model = keras.Model(inputs, features, name=name)
    model.trainable = False
    return model


def with_trained_blocks(model: keras.Model, blocks: Sequence[str], count: int) -> keras.Model:
    """The front end `model`, of which the topmost `count` blocks learn.

    Args:
        model: as of `frozen`.
        blocks: from the input up: what the names of a block's layers begin with.
        count: 1 or more; with more than there are, all learn.
    """
    layers = nested_layers(model)

    def of(block: str) -> list[keras.layers.Layer]:
        return [layer for layer in layers if f"{layer.name}_".startswith(f"{block}_")]

    built = [block for block in blocks if of(block)]
    model.trainable = True
    for block in built[:-count]:
        for layer in of(block):
            layer.trainable = False
    return model


def joined(
    front_end: keras.Model,
    backbone: Callable[..., keras.Model],
    name: str | None,
    options: Mapping[str, Any],
) -> keras.Model:
    """The front end, and a backbone for its features made with `options`, as one model."""
    inputs = keras.Input(tuple(front_end.input_shape[1:]), name=front_end.input.name)
    features = backbone(front_end.output_shape[1:], **options)
    return keras.Model(inputs, features(front_end(inputs)), name=name)
