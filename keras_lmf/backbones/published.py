"""The sub-networks of the published TFN and LMF code, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_lmf.backbones.parts import dense, input_layer, seed_stream


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
