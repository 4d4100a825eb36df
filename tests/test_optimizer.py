"""LayerwiseAdam against the closed form of Adam's first step, −rate · g / (|g| + ε) with bias-corrected moments."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from other_backend import LONG_ON_OTHERS, passes_exactly

from keras_lmf.training import LayerwiseAdam

RATE, MULTIPLIER = 0.01, 0.25
SLOW = {"fusion": MULTIPLIER}


def model(optimizer: keras.optimizers.Optimizer) -> keras.Model:
    inputs = keras.Input((3,), name="features")
    hidden = keras.layers.Dense(2, kernel_initializer="ones", name="fusion")(inputs)
    built = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones", name="fusionless")(hidden))
    built.compile(optimizer, loss="mse", run_eagerly=False)
    return built


def first_step(optimizer: keras.optimizers.Optimizer) -> dict[str, np.ndarray]:
    """How far each variable moved in one step on all-positive inputs; every gradient is positive."""
    built = model(optimizer)
    before = [np.array(weight) for weight in built.get_weights()]
    built.fit(np.full((4, 3), 2.0), np.zeros((4, 1)), batch_size=4, verbose=0)
    return {v.path: after - b for v, after, b in zip(built.weights, built.get_weights(), before)}


def test_exact_first_step_of_each_rate() -> None:
    moved = first_step(LayerwiseAdam(RATE, SLOW))
    assert set(moved) == {"fusion/kernel", "fusion/bias", "fusionless/kernel", "fusionless/bias"}
    for path, change in moved.items():
        rate = RATE * MULTIPLIER if path.startswith("fusion/") else RATE
        np.testing.assert_allclose(change, -rate, rtol=1e-3, err_msg=path)


def test_exact_layers_of_a_fusion_of_steps_are_the_fusions() -> None:
    inputs = keras.Input((3,), name="features")
    hidden = keras.layers.Dense(2, kernel_initializer="ones", name="fusion_convolution_0")(inputs)
    built = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones", name="mood")(hidden))
    optimizer = LayerwiseAdam(RATE, SLOW)
    built.compile(optimizer, loss="mse")
    before = [np.array(weight) for weight in built.get_weights()]
    built.fit(np.full((4, 3), 2.0), np.zeros((4, 1)), batch_size=4, verbose=0)
    for variable, start, after in zip(built.weights, before, built.get_weights()):
        rate = RATE * MULTIPLIER if variable.path.startswith("fusion_") else RATE
        np.testing.assert_allclose(after - start, -rate, rtol=1e-3, err_msg=variable.path)


def test_exact_schedule_moves_both_rates() -> None:
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [RATE, RATE / 10])
    built = model(LayerwiseAdam(schedule, SLOW))
    x, y = np.full((4, 3), 2.0), np.zeros((4, 1))
    weights = [built.get_weights()]
    for _ in range(2):
        built.fit(x, y, batch_size=4, verbose=0)
        weights.append([np.array(weight) for weight in built.get_weights()])
    for variable, start, first, second in zip(built.weights, *weights):
        rate = RATE * MULTIPLIER if variable.path.startswith("fusion/") else RATE
        np.testing.assert_allclose(first - start, -rate, rtol=1e-3, err_msg=variable.path)
        # Nearly the same gradient again: Adam's second step is one rate long too, now a tenth of it.
        np.testing.assert_allclose(second - first, -rate / 10, rtol=0.05, err_msg=variable.path)


def test_multiplier_of_one_is_adam() -> None:
    ours, adam = first_step(LayerwiseAdam(RATE)), first_step(keras.optimizers.Adam(RATE))
    for path, change in adam.items():
        np.testing.assert_allclose(ours[path], change, atol=1e-7)


def test_exact_round_trip() -> None:
    config = keras.optimizers.serialize(LayerwiseAdam(RATE, {"other": MULTIPLIER}, weight_decay=0.1))
    again = keras.optimizers.deserialize(config)
    assert type(again) is LayerwiseAdam
    assert again.multipliers == {"other": MULTIPLIER}
    assert again.weight_decay == 0.1
    assert float(again.learning_rate) == pytest.approx(RATE)


@pytest.mark.slow
@pytest.mark.parametrize("backend", LONG_ON_OTHERS)
def test_the_same_on_another_backend(backend: str) -> None:
    passes_exactly(__file__, backend, 4)
