"""Cross-modal attention against Keras's own attention of one head, and positions against their formula."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers import CrossModalAttention, Positions

UNITS = 6


def sequences(steps: int = 5, others: int = 20) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return (
        draw.standard_normal((3, steps, 3)).astype("float32"),
        draw.standard_normal((3, others, 8)).astype("float32"),
    )


def sinusoids(times: np.ndarray, width: int) -> np.ndarray:
    """The sine of each time for half of the width, then the cosine; wavelengths from 2π to 2π · 10,000."""
    half = -(-width // 2)
    table = np.zeros((len(times), 2 * half))
    for column in range(half):
        angle = times / 10_000 ** (column / max(half - 1, 1))
        table[:, column], table[:, half + column] = np.sin(angle), np.cos(angle)
    return table[:, :width]


def oracle(layer: CrossModalAttention, x: np.ndarray, y: np.ndarray, there: np.ndarray | None) -> np.ndarray:
    """Keras's attention of one head with the same weights."""
    head = keras.layers.MultiHeadAttention(1, UNITS)
    head.build(x.shape, y.shape)

    def assign(name: str, kernel: np.ndarray, bias: np.ndarray) -> None:
        part = next(part for part in head._flatten_layers() if part.name == name)
        part.set_weights([kernel.reshape(part.kernel.shape), bias.reshape(part.bias.shape)])

    weights = {weight.name: ops.convert_to_numpy(weight) for weight in layer.weights}
    assign("query", weights["query_kernel"], weights["query_bias"])
    assign("key", weights["key_kernel"], np.zeros(UNITS))
    assign("value", weights["value_kernel"], weights["value_bias"])
    # Keras projects back to the query's width.
    kernel, bias = weights["output_kernel"], weights["output_bias"]
    head._output_dense = lambda seen: ops.matmul(seen[..., 0, :], kernel) + bias
    mask = None if there is None else np.broadcast_to(there[:, None], (len(x), x.shape[1], y.shape[1]))
    return ops.convert_to_numpy(head(x, y, attention_mask=mask))


def randomised(layer: CrossModalAttention, x: np.ndarray, y: np.ndarray) -> CrossModalAttention:
    layer([x, y])
    draw = np.random.default_rng(1)
    layer.set_weights([draw.normal(size=weight.shape) for weight in layer.weights])
    return layer


@pytest.mark.parametrize("masked", [False, True])
def test_one_head_of_keras_gives_the_same(masked):
    x, y = sequences()
    layer = randomised(CrossModalAttention(UNITS), x, y)
    there = np.arange(20) < np.array([[20], [7], [1]]) if masked else None
    found = ops.convert_to_numpy(layer([x, y], mask=[None, there] if masked else None))
    np.testing.assert_allclose(found, oracle(layer, x, y, there), rtol=1e-5, atol=1e-5)


def test_what_is_masked_is_never_seen_whatever_it_is():
    x, y = sequences()
    layer = randomised(CrossModalAttention(UNITS), x, y)
    expected = ops.convert_to_numpy(layer([x, y[:, :9]]))
    y[:, 9:] = np.nan
    there = np.broadcast_to(np.arange(20) < 9, (3, 20))
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer([x, y], mask=[None, there])), expected, rtol=1e-5, atol=1e-6
    )


def test_nothing_to_see_gives_the_bias_alone():
    x, y = sequences()
    layer = randomised(CrossModalAttention(UNITS), x, y)
    found = ops.convert_to_numpy(layer([x, y], mask=[None, np.zeros((3, 20), bool)]))
    np.testing.assert_allclose(found, np.broadcast_to(layer.output_bias, found.shape), atol=1e-6)


def test_dropout_takes_weights_away_in_training_alone_and_makes_up_for_them():
    """Each step of y is a unit vector that passes as it is, so that the answer is the weights."""
    units, share = 40, 0.3
    x = np.random.default_rng(2).standard_normal((50, 8, 3)).astype("float32")
    y = np.broadcast_to(np.eye(units, dtype="float32"), (50, units, units))
    layer = CrossModalAttention(units, dropout=share, seed=1)
    layer([x, y])
    layer.value_kernel.assign(np.eye(units))
    layer.output_kernel.assign(np.eye(units))
    weights = ops.convert_to_numpy(layer.attention([x, y]))
    np.testing.assert_allclose(layer([x, y]), weights, atol=1e-6)
    found = ops.convert_to_numpy(layer([x, y], training=True))
    kept = found != 0
    assert (~kept).mean() == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / kept.size))
    np.testing.assert_allclose(found[kept], weights[kept] / (1 - share), rtol=1e-5)


def test_the_seed_decides_and_no_two_kernels_are_alike():
    def kernels(seed: int) -> list[np.ndarray]:
        layer = CrossModalAttention(UNITS, seed=seed)
        layer.build([(None, 4, UNITS), (None, 4, UNITS)])
        return [ops.convert_to_numpy(weight) for weight in layer.weights if "kernel" in weight.name]

    first = kernels(5)
    for one, same, different in zip(first, kernels(5), kernels(6)):
        np.testing.assert_array_equal(one, same)
        assert not np.isclose(one, different).all()
    assert all(not np.isclose(a, b).any() for i, a in enumerate(first) for b in first[:i])


@pytest.mark.parametrize(("width", "rate"), [(1, 1.0), (4, 1.0), (7, 2.5)])
def test_positions_are_the_sinusoids_of_the_times(width, rate):
    found = ops.convert_to_numpy(Positions(rate)(np.ones((2, 9, width), "float32")))
    expected = 1 + sinusoids(np.arange(9) / rate, width)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-5)


@pytest.mark.parametrize("options", [{"units": 0}, {"units": 4, "dropout": 1.0}], ids=str)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(LMFError, match="received"):
        CrossModalAttention(**options)


@pytest.mark.parametrize("shapes", [[(2, 5, 3)], [(2, 5, 3)] * 3, [(2, 3), (2, 3)]], ids=str)
def test_other_than_two_sequences_are_refused(shapes):
    with pytest.raises(LMFError, match="two sequences"):
        CrossModalAttention(4)([np.zeros(shape, "float32") for shape in shapes])


def test_another_width_than_it_was_built_on_is_refused():
    x, y = sequences()
    layer = CrossModalAttention(UNITS)
    layer([x, y])
    with pytest.raises(LMFError, match=r"of the widths \(3, 8\)"):
        layer([x, y[:, :, :7]])
