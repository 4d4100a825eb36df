"""Recipes of any words, for tests of what a recipe builds."""

from __future__ import annotations

from keras_lmf.recipe import Recipe


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
