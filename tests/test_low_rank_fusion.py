"""LowRankFusion against tensorly, NumPy and the paper's formula."""

from __future__ import annotations

import itertools
import string

import numpy as np
import pytest
import tensorflow as tf
import tensorly

from keras_lmf.errors import LMFError
from keras_lmf.layers import LowRankFusion, TensorFusion

WIDTHS = {2: (3, 5), 3: (4, 2, 3), 4: (2, 4, 1, 3)}
NAMES = ("audio", "video", "text")


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def embeddings(widths, leading=(6,), seed=1):
    return [normal(*leading, width, seed=seed + m) for m, width in enumerate(widths)]


def random_layer(inputs, units=3, rank=2, **options) -> LowRankFusion:
    """Built on `inputs`, every weight random, the bias too."""
    layer = LowRankFusion(units, rank, seed=3, **options)
    layer(inputs)
    layer.rank_weights.assign(normal(rank, seed=50))
    layer.bias.assign(normal(units, seed=51))
    return layer


def formula(factors, rank_weights, bias, inputs) -> np.ndarray:
    """The paper's equations, with a constant in front of every input."""
    product = 1
    for factor, h in zip(factors, inputs):
        vector = np.concatenate([np.ones_like(h[..., :1]), h], axis=-1)
        product = product * np.einsum("...i,rio->...ro", vector, factor, dtype="float64")
    return np.einsum("...ro,r->...o", product, rank_weights) + bias


def numbers(layer, modalities):
    factors = [np.asarray(layer.factor(m)) for m in modalities]
    return factors, np.asarray(layer.rank_weights), np.asarray(layer.bias)


@pytest.mark.parametrize("leading", [(6,), (2, 5), (2, 3, 2)])
@pytest.mark.parametrize("modalities", [2, 3, 4])
def test_equals_a_linear_map_of_tensor_fusion(modalities, leading):
    inputs = embeddings(WIDTHS[modalities], leading)
    layer = random_layer(inputs, units=3, rank=4)
    factors, rank_weights, bias = numbers(layer, range(modalities))
    slices = [
        tensorly.cp_to_tensor((rank_weights, [factor[:, :, o].T for factor in factors])).reshape(-1)
        for o in range(3)
    ]
    expected = np.asarray(TensorFusion()(inputs)) @ np.stack(slices, axis=-1) + bias
    np.testing.assert_allclose(np.asarray(layer(inputs)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("initialization", ["variance_preserving", "reference"])
@pytest.mark.parametrize("modalities", [2, 3, 4])
def test_equals_the_formula(modalities, initialization):
    inputs = embeddings(WIDTHS[modalities])
    layer = random_layer(inputs, units=4, rank=3, initialization=initialization)
    expected = formula(*numbers(layer, range(modalities)), inputs)
    np.testing.assert_allclose(np.asarray(layer(inputs)), expected, rtol=1e-4, atol=1e-5)


def test_gradients_equal_those_of_the_formula():
    inputs = embeddings((3, 4, 2))
    layer = random_layer(inputs)
    letters = string.ascii_lowercase
    factors = [tf.Variable(layer.factor(m)) for m in range(3)]
    with tf.GradientTape(persistent=True) as tape:
        loss = tf.reduce_sum(tf.sin(layer(inputs)))
        vectors = [tf.concat([tf.ones_like(h[:, :1]), h], -1) for h in map(tf.constant, inputs)]
        terms = [f"z{letters[m]},r{letters[m]}o" for m in range(3)]
        whole = tf.einsum(
            f"{','.join(terms)},r->zo", *itertools.chain(*zip(vectors, factors)), layer.rank_weights.value
        )
        oracle = tf.reduce_sum(tf.sin(whole + layer.bias.value))
    for m, expected in enumerate(tape.gradient(oracle, factors)):
        constant = tape.gradient(loss, layer.factor_biases[m].value)
        kernel = tape.gradient(loss, layer.kernels[m].value)
        np.testing.assert_allclose(np.reshape(constant, (2, 3)), expected[:, 0], rtol=1e-3, atol=1e-5)
        received = np.reshape(kernel, (-1, 2, 3)).transpose(1, 0, 2)
        np.testing.assert_allclose(received, expected[:, 1:], rtol=1e-3, atol=1e-5)


# -- presence -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_an_absent_modality_is_zeros(dtype):
    inputs = embeddings((4, 2, 3))
    layer = random_layer(inputs)
    presence = np.array(list(itertools.product([0, 1], repeat=3))[:6])
    blanked = [h * presence[:, m : m + 1] for m, h in enumerate(inputs)]
    np.testing.assert_allclose(
        np.asarray(layer(inputs, presence=presence.astype(dtype))), np.asarray(layer(blanked)), rtol=1e-6
    )


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 3)])
def test_presence_per_sample_or_per_step(shape):
    inputs = embeddings((4, 2, 3), leading=(4, 5))
    layer = random_layer(inputs)
    presence = np.random.default_rng(5).integers(0, 2, shape).astype(bool)
    full = np.broadcast_to(presence if len(shape) == 3 else presence[:, None], (4, 5, 3))
    expected = formula(
        *numbers(layer, range(3)), [np.where(full[..., m, None], h, 0) for m, h in enumerate(inputs)]
    )
    np.testing.assert_allclose(np.asarray(layer(inputs, presence=presence)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("garbage", [np.nan, np.inf])
@pytest.mark.parametrize("make", [lambda: LowRankFusion(3, 2, seed=0), TensorFusion])
def test_garbage_in_an_absent_modality_leaks_neither_value_nor_gradient(make, garbage):
    clean = [tf.constant(h) for h in embeddings((4, 2))]
    presence = tf.constant([[1, 0]] * 6)
    layer = make()
    results = []
    for second in (clean[1], tf.fill((6, 2), np.float32(garbage))):
        inputs = [clean[0], second]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = layer(inputs, presence=presence)
            loss = tf.reduce_sum(output**2)
        weights = [weight.value for weight in layer.trainable_weights]
        results.append([output, *tape.gradient(loss, [*inputs, *weights], unconnected_gradients="zero")])
    for good, bad in zip(*results):
        assert np.isfinite(good).all()
        np.testing.assert_array_equal(bad, good)
    assert not np.any(results[1][2])


def test_presence_of_the_wrong_width():
    with pytest.raises(LMFError, match=r"one value per modality.*\(6, 3\) for 2 modalities"):
        LowRankFusion(2)(embeddings((4, 2)), presence=np.ones((6, 3)))


# -- interactions ---------------------------------------------------------------------------------------------


def subsets(names):
    return [subset for size in range(len(names) + 1) for subset in itertools.combinations(names, size)]


def test_interactions_are_the_closed_form_and_add_up():
    inputs = dict(zip(NAMES, embeddings((4, 2, 3))))
    layer = random_layer(inputs, rank=3)
    factors, rank_weights, bias = numbers(layer, NAMES)
    received = layer.interactions(inputs)
    assert set(received) == set(subsets(NAMES))
    for subset, value in received.items():
        product = 1
        for name, factor in zip(NAMES, factors):
            if name in subset:
                product = product * np.einsum("bi,rio->bro", inputs[name], factor[:, 1:])
            else:
                product = product * factor[None, :, 0]
        expected = np.broadcast_to(np.einsum("bro,r->bo", product, rank_weights), (6, 3))
        np.testing.assert_allclose(np.asarray(value), expected, rtol=1e-4, atol=1e-5)
    total = sum(np.asarray(value) for value in received.values())
    np.testing.assert_allclose(total, np.asarray(layer(inputs)) - bias, rtol=1e-4, atol=1e-5)


def test_interactions_of_an_absent_modality_vanish():
    inputs = embeddings((4, 2, 3))
    layer = random_layer(inputs)
    presence = np.array([[1, 0, 1]] * 6)
    received = layer.interactions(inputs, presence=presence)
    assert set(received) == set(subsets(range(3)))
    for subset, value in received.items():
        assert bool(np.any(np.asarray(value))) == (1 not in subset)
    total = sum(np.asarray(value) for value in received.values())
    expected = np.asarray(layer(inputs, presence=presence)) - np.asarray(layer.bias)
    np.testing.assert_allclose(total, expected, rtol=1e-4, atol=1e-5)


def test_interactions_of_masked_steps_add_up():
    inputs = [
        np.random.default_rng(m).normal(size=(3, 4, width)).astype("float32")
        for m, width in enumerate((5, 2))
    ]
    masks = [np.array([[1, 1, 0, 0]] * 3, bool), np.array([[1, 0, 1, 0]] * 3, bool)]
    layer = random_layer(inputs)
    total = sum(np.asarray(value) for value in layer.interactions(inputs, mask=masks).values())
    expected = np.asarray(layer(inputs, mask=masks)) - np.asarray(layer.bias)
    np.testing.assert_allclose(total, expected, rtol=1e-4, atol=1e-5)


# -- factors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_name", [True, False])
def test_set_factors_and_factor_round_trip(by_name):
    widths, units, rank = (4, 2, 3), 5, 2
    inputs = embeddings(widths)
    layer = LowRankFusion(units, rank)
    layer(dict(zip(NAMES, inputs)) if by_name else inputs)
    factors = [normal(rank, width + 1, units, seed=20 + width) for width in widths]
    weights, bias = normal(rank, seed=30), normal(units, seed=31)
    layer.set_factors(dict(zip(NAMES, factors)) if by_name else factors, rank_weights=weights, bias=bias)
    for m, factor in enumerate(factors):
        np.testing.assert_array_equal(layer.factor(NAMES[m] if by_name else m), factor)
        np.testing.assert_array_equal(layer.factor(m), factor)
    output = layer(dict(zip(NAMES, inputs)) if by_name else inputs)
    np.testing.assert_allclose(
        np.asarray(output), formula(factors, weights, bias, inputs), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"video": np.zeros((2, 5, 3))}, r"factor video has shape \(2, 5, 3\), needed \(2, 3, 3\)"),
        ({"rank_weights": np.zeros(3)}, r"rank_weights has shape \(3,\), needed \(2,\)"),
        ({"bias": np.zeros((1, 3))}, r"bias has shape \(1, 3\), needed \(3,\)"),
    ],
)
def test_a_wrong_shape_leaves_every_weight_untouched(changes, message):
    layer = random_layer(dict(zip(NAMES, embeddings((4, 2, 3)))))
    before = layer.get_weights()
    factors = {name: np.zeros((2, width + 1, 3)) for name, width in zip(NAMES, (4, 2, 3))}
    arguments = {"rank_weights": np.zeros(2), "bias": np.zeros(3)}
    for key, value in changes.items():
        (factors if key in factors else arguments)[key] = value
    with pytest.raises(LMFError, match=message):
        layer.set_factors(factors, **arguments)
    for old, new in zip(before, layer.get_weights()):
        np.testing.assert_array_equal(new, old)


def test_set_factors_of_another_number_or_without_bias():
    layer = LowRankFusion(3, 2, use_bias=False)
    layer(embeddings((4, 2)))
    factors = [np.zeros((2, 5, 3)), np.zeros((2, 3, 3))]
    with pytest.raises(LMFError, match="built on 2 modalities, received 1 factors"):
        layer.set_factors(factors[:1])
    with pytest.raises(LMFError, match="use_bias=False"):
        layer.set_factors(factors, bias=np.zeros(3))


# -- names ----------------------------------------------------------------------------------------------------


def test_the_order_at_build_decides_and_survives_the_config():
    inputs = dict(zip(NAMES, embeddings((4, 2, 3))))
    layer = random_layer(inputs)
    expected = np.asarray(layer(inputs))
    np.testing.assert_array_equal(layer({name: inputs[name] for name in reversed(NAMES)}), expected)
    assert [tuple(layer.factor(m).shape) for m in range(3)] == [(2, 5, 3), (2, 3, 3), (2, 4, 3)]
    copy = LowRankFusion.from_config(layer.get_config())
    copy({name: inputs[name] for name in reversed(NAMES)})
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(inputs), expected)
    flags = np.array([[1, 0, 1]] * 6)
    reordered = layer({name: inputs[name] for name in reversed(NAMES)}, presence=flags)
    blanked = {**inputs, "video": np.zeros((6, 2), "float32")}
    np.testing.assert_allclose(np.asarray(reordered), np.asarray(layer(blanked)), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda layer, x: layer({"audio": x, "video": x}),
            "miss text. Received: audio, video. Needed: audio",
        ),
        (
            lambda layer, x: layer(dict.fromkeys([*NAMES, "face"], x)),
            "Unknown modality in the inputs.*'face'",
        ),
        (lambda layer, x: layer(dict.fromkeys(["audio", "vidoe", "text"], x)), "Did you mean 'video'"),
        (lambda layer, x: layer([x, x, x]), "pass a dict with these keys"),
        (lambda layer, x: layer.factor("face"), "Unknown modality.*Allowed: audio, video, text"),
        (lambda layer, x: layer.factor(3), "modality 3 is outside 0 … 2"),
    ],
)
def test_wrong_names(call, message):
    x = normal(6, 4)
    layer = random_layer(dict.fromkeys(NAMES, x))
    with pytest.raises(LMFError, match=message):
        call(layer, x)


def test_a_layer_built_on_a_list_refuses_a_dict():
    layer = random_layer(embeddings((4, 4)))
    with pytest.raises(LMFError, match="built on a list"):
        layer(dict(zip(NAMES, embeddings((4, 4)))))
