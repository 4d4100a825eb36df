"""Heads and fusion layers in Keras, and compiled TensorFlow steps of them: training, inference, gradients, a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lmf.layers import LowRankFusion, TensorFusion
from speed.published import EMBEDDINGS, LOW_RANK, POST_FUSION, TARGET
from speed.turns import Step


def head(fusion: str, rank: int) -> keras.Model:
    """A published network without its sub-networks: embeddings {modality: (batch, units)} → {target: (batch, 1)}."""
    inputs = {name: keras.Input((units,), name=name) for name, units in EMBEDDINGS.items()}
    if fusion == LOW_RANK:
        return keras.Model(inputs, {TARGET: LowRankFusion(1, rank, seed=0, name=TARGET)(inputs)})
    hidden = TensorFusion(name="fusion")(inputs)
    for i in (1, 2):
        hidden = keras.layers.Dense(POST_FUSION, activation="relu", name=f"post_fusion_layer_{i}")(hidden)
    hidden = keras.layers.Dense(1, activation="sigmoid", name="post_fusion_layer_3")(hidden)
    return keras.Model(inputs, {TARGET: keras.layers.Rescaling(6.0, -3.0, name=TARGET)(hidden)})


def low_rank_layer(widths: Sequence[int], units: int, rank: int) -> LowRankFusion:
    """A built LowRankFusion over a list of embeddings of these widths, no bias of which is zero."""
    layer = LowRankFusion(units, rank, seed=0)
    layer.build([(None, width) for width in widths])
    layer.bias.assign(np.random.default_rng(1).standard_normal(units))
    return layer


def as_tensor_fusion(layer: LowRankFusion) -> keras.Model:
    """TensorFusion → Dense that computes the function of `layer`, a LowRankFusion over a list.

    Liu et al. 2018, equation 5: the dense kernel is W[i, j, …, o] = Σ_r w_r F_1[r, i, o] F_2[r, j, o] ….

    Raises:
        LMFError: the product of the widths is above TensorFusion's limit.
    """
    inputs = [keras.Input((width,)) for width in layer.widths]
    model = keras.Model(inputs, keras.layers.Dense(layer.units)(TensorFusion()(inputs)))
    # (rank, products so far, units), one modality after the other.
    product = ops.convert_to_numpy(layer.rank_weights)[:, None, None]
    for m in range(len(layer.widths)):
        factor = ops.convert_to_numpy(layer.factor(m))
        product = (product[:, :, None] * factor[:, None]).reshape(layer.rank, -1, layer.units)
    model.set_weights([product.sum(axis=0), ops.convert_to_numpy(layer.bias)])
    return model


# -- steps: what is timed -----------------------------------------------------------------------------------
def training_step(
    model: keras.Model, inputs: Mapping[str, np.ndarray], labels: np.ndarray, *, xla: bool
) -> Step:
    """Mean absolute error of the model's one output, its gradients and an Adam update, as one tf.function."""
    import tensorflow as tf

    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    expected = tf.constant(labels)
    (target,) = model.output
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=xla)
    def step(tensors: Any, expected: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(model(tensors, training=True)[target] - expected))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return loss

    return lambda: step(tensors, expected)


def inference_step(model: Any, inputs: Any, *, xla: bool = False) -> Step:
    """The model's (or layer's) outputs for a dict or list of arrays, as one tf.function."""
    import tensorflow as tf

    tensors = tf.nest.map_structure(tf.constant, inputs)

    @tf.function(jit_compile=xla)
    def step(tensors: Any) -> Any:
        return model(tensors, training=False)

    return lambda: step(tensors)


def gradient_step(layer: Any, inputs: list[Any]) -> Step:
    """Forward pass of a layer and the gradients of all its weights and inputs, as one tf.function."""
    import tensorflow as tf

    inputs = [tf.convert_to_tensor(value) for value in inputs]

    @tf.function
    def step() -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(tf.square(layer(inputs)))
        return tape.gradient(loss, [*(weight.value for weight in layer.trainable_variables), *inputs])

    return step


def call_step(model: keras.Model, inputs: Mapping[str, np.ndarray], *, xla: bool) -> Step:
    """As a user calls it: NumPy arrays in, NumPy arrays out, one tf.function between."""
    import tensorflow as tf

    @tf.function(jit_compile=xla)
    def outputs(tensors: Any) -> Any:
        return model(tensors, training=False)

    def step() -> dict[str, np.ndarray]:
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in outputs(tensors).items()}

    return step
