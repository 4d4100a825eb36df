"""Backbones that keep their steps, for fusion at each step: one modality's sequence in, a sequence of embeddings out.

Each has the layers of the backbone of the same name, without its pooling: (batch, steps,
width) → (batch, steps, embedding's width). Padding stays masked.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_lmf.backbones.parts import embedding
from keras_lmf.backbones.projections import PRINCIPAL_COMPONENTS, TRUNCATED_SVD, projected_features
from keras_lmf.backbones.sequence import bidirectional, convolutions, dense_layers, recurrent, standardized


def average_pooling_steps(
    shape: Sequence[int],
    *,
    units: Sequence[int] = (64,),
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Dense ReLU layers on each step: (batch, steps, width) → (batch, steps, units[-1]). Arguments as `mlp`."""
    inputs, features, seeds = standardized(shape, 2, input_dropout, input_noise, seed)
    return keras.Model(inputs, dense_layers(features, units, dropout, seeds), name=name)


def lstm_steps(
    shape: Sequence[int],
    *,
    units: int = 64,
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """The states of an LSTM, (batch, steps, units), with dropout on them. Arguments as `lstm`."""
    inputs, features, seeds = standardized(shape, 2, input_dropout, input_noise, seed)
    states = recurrent(keras.layers.LSTM, units, seeds, return_sequences=True, name="recurrent")(features)
    states = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(states)
    return keras.Model(inputs, states, name=name)


def gru_steps(
    shape: Sequence[int],
    *,
    units: int = 64,
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """The states of a GRU, (batch, steps, units), with dropout on them. Arguments as `gru`."""
    inputs, features, seeds = standardized(shape, 2, input_dropout, input_noise, seed)
    states = recurrent(keras.layers.GRU, units, seeds, return_sequences=True, name="recurrent")(features)
    states = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(states)
    return keras.Model(inputs, states, name=name)


def bilstm_steps(
    shape: Sequence[int],
    *,
    units: int = 64,
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """The states of a bidirectional LSTM, (batch, steps, 2 · units), with dropout. Arguments as `bilstm`."""
    inputs, features, seeds = standardized(shape, 2, input_dropout, input_noise, seed)
    states = bidirectional(keras.layers.LSTM, units, seeds, "bilstm")(features)
    states = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(states)
    return keras.Model(inputs, states, name=name)


def temporal_convolution_steps(
    shape: Sequence[int],
    *,
    filters: Sequence[int] = (64, 64),
    kernel_size: int = 5,
    units: int = 64,
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Convolutions over time, then a dense layer on each step: (batch, steps, units). Arguments as
    `temporal_convolution`."""
    inputs, hidden, seeds = standardized(shape, 2, input_dropout, input_noise, seed)
    hidden = convolutions(hidden, filters, kernel_size, dropout, seeds)
    return keras.Model(inputs, embedding(hidden, units, dropout, seeds), name=name)


def principal_components_steps(
    shape: Sequence[int], *, components: int = 16, seed: int | None = None, name: str | None = None
) -> keras.Model:
    """`principal_components` of each step: (batch, steps, width) → (batch, steps, components)."""
    return keras.Model(*projected_features(PRINCIPAL_COMPONENTS, shape, components, seed), name=name)


def truncated_svd_steps(
    shape: Sequence[int], *, components: int = 16, seed: int | None = None, name: str | None = None
) -> keras.Model:
    """`truncated_svd` of each step: (batch, steps, width) → (batch, steps, components)."""
    return keras.Model(*projected_features(TRUNCATED_SVD, shape, components, seed), name=name)
