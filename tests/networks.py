"""What tests of networks share: answers as NumPy arrays, and weights by the names of their layers."""

from __future__ import annotations

import keras
import numpy as np


def answer(model: keras.Layer, rows: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(rows))


def filled(model: keras.Model, published: keras.Model) -> keras.Model:
    """The model with the weights of the published one's layers of the same names."""
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(published.get_layer(layer.name).get_weights())
    return model
