"""Backbones for feature corpora: a vector or a sequence of one modality in, one embedding out.

Each is a functional `keras.Model` whose first layers derive the mask (a step with every feature zero is padding)
and standardise the features; `models.set_standardization` gives them the statistics of the training split. (The last
two, of the published TFN and LMF code, do neither.) Weights and dropout draw from seeds of their own when `seed` is
given, never from a global generator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from keras_lmf.backbones.parts import dense, embedding, input_layer, seed_stream
from keras_lmf.layers import StatisticsPooling, TemporalConvolution

STANDARDIZATION = "standardization"


def masked(shape: Sequence[int], rank: int) -> tuple[Any, Any]:
    """The input, and the same with the mask for sequences."""
    inputs = input_layer("features", shape, *("steps", "width")[-rank:])
    return inputs, keras.layers.Masking(name="mask")(inputs) if rank == 2 else inputs


def standardized(
    shape: Sequence[int], rank: int, input_dropout: float, input_noise: float, seed: int | None
) -> tuple[Any, Any, Iterator[int | None]]:
    """The input; the standardised, noised and dropped-out features, with the mask for sequences; the next seeds."""
    seeds = seed_stream(seed)
    inputs, features = masked(shape, rank)
    # float32 whatever the policy: a variance easily leaves float16's range.
    features = keras.layers.Normalization(name=STANDARDIZATION, dtype="float32")(features)
    if input_noise:
        features = keras.layers.GaussianNoise(input_noise, seed=next(seeds), name="input_noise")(features)
    if input_dropout:
        features = keras.layers.Dropout(input_dropout, seed=next(seeds), name="input_dropout")(features)
    return inputs, features, seeds


def mlp(
    shape: Sequence[int],
    *,
    units: Sequence[int] = (64,),
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Multilayer perceptron, (batch, width) → (batch, units[-1]).

    Args:
        shape: (width,).
        units: widths of the ReLU layers, one or more.
        input_dropout: rate of dropout on the standardised features.
        input_noise: standard deviation, 0 to 1, of Gaussian noise on the standardised features, in training only.
        dropout: rate of dropout after each layer.
        seed: of weights, noise and dropout.
        name: the model's name.
    """
    inputs, features, seeds = standardized(shape, 1, input_dropout, input_noise, seed)
    return keras.Model(inputs, dense_layers(features, units, dropout, seeds), name=name)


def average_pooling(
    shape: Sequence[int],
    *,
    units: Sequence[int] = (64,),
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Mean over the steps that are no padding, then dense layers: (batch, steps, width) → (batch, units[-1]).

    A sequence of padding alone has the mean 0. Arguments as `mlp`; `shape` is (steps, width).
    """
    inputs, features, seeds = standardized(shape, 2, input_dropout, input_noise, seed)
    mean = StatisticsPooling(name="pooling")(features)[:, : shape[-1]]
    return keras.Model(inputs, dense_layers(mean, units, dropout, seeds), name=name)


def dense_layers(hidden: Any, units: Sequence[int], dropout: float, seeds: Iterator[int | None]) -> Any:
    """Dense ReLU layers, with dropout after each."""
    for i, width in enumerate(units):
        hidden = dense(width, next(seeds), activation="relu", name=f"dense_{i}")(hidden)
        if dropout:
            hidden = keras.layers.Dropout(dropout, seed=next(seeds), name=f"dropout_{i}")(hidden)
    return hidden


def recurrent(
    layer: type[keras.layers.Layer], units: int, seeds: Iterator[int | None], **options: Any
) -> keras.layers.Layer:
    """An LSTM or a GRU with seeded weights."""
    return layer(
        units,
        kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
        recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
        # Of dropout that is not used: so that two models of one seed agree in every variable.
        seed=next(seeds),
        **options,
    )


def bidirectional(
    layer: type[keras.layers.Layer], units: int, seeds: Iterator[int | None], name: str
) -> keras.layers.Bidirectional:
    """The states of an LSTM or GRU in each direction, beside one another."""
    # Two layers, so that each direction has seeds of its own.
    forward = recurrent(layer, units, seeds, return_sequences=True, name="forward")
    backward = recurrent(layer, units, seeds, return_sequences=True, go_backwards=True, name="backward")
    return keras.layers.Bidirectional(forward, backward_layer=backward, name=name)


def lstm(
    shape: Sequence[int],
    *,
    units: int = 64,
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """LSTM, (batch, steps, width) → its last real hidden state (batch, units), with dropout on it.

    Arguments as `mlp`; `shape` is (steps, width). Hochreiter & Schmidhuber 1997.
    """
    inputs, features, seeds = standardized(shape, 2, input_dropout, input_noise, seed)
    state = recurrent(keras.layers.LSTM, units, seeds, name="recurrent")(features)
    state = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(state)
    return keras.Model(inputs, state, name=name)


def gru(
    shape: Sequence[int],
    *,
    units: int = 64,
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """GRU, (batch, steps, width) → its last real hidden state (batch, units), with dropout on it.

    Arguments as `mlp`; `shape` is (steps, width). Cho et al. 2014.
    """
    inputs, features, seeds = standardized(shape, 2, input_dropout, input_noise, seed)
    state = recurrent(keras.layers.GRU, units, seeds, name="recurrent")(features)
    state = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(state)
    return keras.Model(inputs, state, name=name)


def bilstm(
    shape: Sequence[int],
    *,
    units: int = 64,
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Bidirectional LSTM, (batch, steps, width) → mean and deviation of its states, (batch, 4 · units).

    Arguments as `mlp`; `shape` is (steps, width). Graves & Schmidhuber 2005; pooling: `StatisticsPooling`.
    """
    inputs, features, seeds = standardized(shape, 2, input_dropout, input_noise, seed)
    states = bidirectional(keras.layers.LSTM, units, seeds, "bilstm")(features)
    pooled = StatisticsPooling(name="pooling")(states)
    pooled = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(pooled)
    return keras.Model(inputs, pooled, name=name)


def temporal_convolution(
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
    """Convolutions over time, statistics pooling, one dense layer: (batch, steps, width) → (batch, units).

    Args:
        shape: (steps, width).
        filters: widths of the ReLU convolutions.
        kernel_size: steps each convolution sees; the receptive field is 1 + len(filters) · (kernel_size − 1).
        units: width of the embedding.
        input_dropout, input_noise, dropout, seed, name: as `mlp`.
    """
    inputs, hidden, seeds = standardized(shape, 2, input_dropout, input_noise, seed)
    pooled = StatisticsPooling(name="pooling")(convolutions(hidden, filters, kernel_size, dropout, seeds))
    return keras.Model(inputs, embedding(pooled, units, dropout, seeds), name=name)


def convolutions(
    hidden: Any,
    filters: Sequence[int],
    kernel_size: int,
    dropout: float,
    seeds: Iterator[int | None],
    name: str = "convolution",
) -> Any:
    """ReLU convolutions over time, with dropout after each."""
    for i, width in enumerate(filters):
        initializer = keras.initializers.GlorotUniform(seed=next(seeds))
        hidden = TemporalConvolution(
            width, kernel_size, activation="relu", kernel_initializer=initializer, name=f"{name}_{i}"
        )(hidden)
        if dropout:
            hidden = keras.layers.Dropout(dropout, seed=next(seeds), name=f"dropout_{i}")(hidden)
    return hidden


def published_feature_network(
    shape: Sequence[int],
    *,
    units: int = 32,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Audio and video sub-network: batch normalisation → dropout → 3 × (dense → ReLU), (batch, width) → (batch, units).

    Zadeh et al. 2017, section 4.1; Liu et al. 2018. Batch normalisation as in PyTorch: epsilon 1e-5, momentum 0.9.
    """
    seeds = seed_stream(seed)
    inputs = input_layer("features", shape, "width")
    hidden = keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name="norm")(inputs)
    hidden = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(hidden)
    for i in (1, 2, 3):
        hidden = dense(units, next(seeds), activation="relu", name=f"linear_{i}")(hidden)
    return keras.Model(inputs, hidden, name=name)


def published_text_network(
    shape: Sequence[int],
    *,
    hidden_units: int = 128,
    units: int = 64,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Text sub-network: LSTM → last hidden state → dropout → dense, (batch, steps, width) → (batch, units).

    Zadeh et al. 2017, section 4.1; Liu et al. 2018. No mask: the published code runs over the padding too.
    """
    seeds = seed_stream(seed)
    inputs = input_layer("features", shape, "steps", "width")
    state = keras.layers.LSTM(
        hidden_units,
        kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
        recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
        name="rnn",
    )(inputs)
    state = keras.layers.Dropout(dropout, seed=next(seeds), name="dropout")(state)
    return keras.Model(inputs, dense(units, next(seeds), name="linear_1")(state), name=name)


# The words of a recipe.
published_feature, published_text = published_feature_network, published_text_network
