"""One compiled TensorFlow step: training (forward, loss, gradients, Adam) and inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_lmf.benchmarking.turns import Step


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
