"""The smallest model with two modalities."""

from __future__ import annotations

import keras


def small_model(middle=None):
    """x (3) and w (3) -> Multiply -> `middle` -> y (2)."""
    ends = {"x": keras.Input((3,), name="x"), "w": keras.Input((3,), name="w")}
    fused = keras.layers.Multiply()(list(ends.values()))
    if middle is not None:
        fused = middle(fused)
    return keras.Model(ends, {"y": keras.layers.Dense(2, name="y")(fused)}, name="small")
