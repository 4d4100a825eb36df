"""Backbones that are fitted, not trained: a modality's features, projected onto fewer numbers.

Kumar & Martin, "Cross-Modal Harmony", section III.C: each modality is reduced by itself; what is left is put side by
side (`EarlyFusion`). `train` fits the projection to the training split, with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_lmf.backbones.parts import dense, seed_stream
from keras_lmf.backbones.sequence import masked, standardized
from keras_lmf.errors import LMFError
from keras_lmf.layers import StatisticsPooling

PRINCIPAL_COMPONENTS, TRUNCATED_SVD = "principal_components", "truncated_svd"


def principal_components(
    shape: Sequence[int], *, components: int = 16, seed: int | None = None, name: str | None = None
) -> keras.Model:
    """The first principal components of the standardised features, (batch, width) → (batch, components).

    Of a sequence, (batch, steps, width), the mean over the steps that are no padding. Over the training split's steps
    each component has mean 0 and variance 1. Jolliffe, "Principal Component Analysis", 2002.

    Args:
        shape: (width,) or (steps, width).
        components: how many, `width` at most.
        seed: of the random directions that it has before it is fitted.
        name: the model's name.
    """
    return _projection(PRINCIPAL_COMPONENTS, shape, components, seed, name)


def truncated_svd(
    shape: Sequence[int], *, components: int = 16, seed: int | None = None, name: str | None = None
) -> keras.Model:
    """The first right singular vectors' share of the raw features, (batch, width) → (batch, components).

    The features are neither centred nor scaled, so those with large numbers lead. Else as `principal_components`.
    Halko, Martinsson & Tropp, "Finding Structure with Randomness", SIAM Review 2011.
    """
    return _projection(TRUNCATED_SVD, shape, components, seed, name)


def _projection(
    method: str, shape: Sequence[int], components: int, seed: int | None, name: str | None
) -> keras.Model:
    inputs, projected = projected_features(method, shape, components, seed)
    if len(shape) == 2:
        projected = StatisticsPooling(name="pooling")(projected)[:, :components]
    return keras.Model(inputs, projected, name=name)


def projected_features(
    method: str, shape: Sequence[int], components: int, seed: int | None
) -> tuple[Any, Any]:
    """The input and its components, of a sequence those of each step, with the mask."""
    if components > shape[-1]:
        raise LMFError(
            f"{method} of {shape[-1]} features has {shape[-1]} components at most, not {components}."
        )
    if method == PRINCIPAL_COMPONENTS:
        inputs, features, seeds = standardized(shape, len(shape), 0.0, 0.0, seed)
    else:
        (inputs, features), seeds = masked(shape, len(shape)), seed_stream(seed)
    # float32 whatever the policy, as of the standardisation.
    layer = dense(components, next(seeds), trainable=False, dtype="float32", name=method)
    return inputs, layer(features)
