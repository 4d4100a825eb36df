"""Weights as after training."""

from __future__ import annotations

import keras
import numpy as np


def drawn(model: keras.Model) -> keras.Model:
    """The model, with statistics, shifts and biases that are neither 0 nor 1."""
    random = np.random.default_rng(4)
    for weight in model.weights:
        word = weight.path.rsplit("/", 1)[-1]
        if word in ("bias", "beta", "moving_mean"):
            weight.assign(weight + random.normal(0, 0.3, weight.shape))
        elif word in ("gamma", "moving_variance"):
            weight.assign(random.uniform(0.5, 2, weight.shape))
    return model
