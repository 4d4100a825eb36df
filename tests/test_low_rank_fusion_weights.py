"""LowRankFusion: initialisation, regulariser, constraint, precision, and what `build` refuses."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lmf.errors import LMFError
from keras_lmf.layers import LowRankFusion


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("widths", [(16, 16), (4, 64, 20), (8, 2, 30, 5)])
def test_variance_preserving_start(widths):
    """Unit variance out of unit variance in, an equal share for every subset of modalities."""
    layer = LowRankFusion(64, rank=256, initialization="variance_preserving", seed=1)
    inputs = [normal(256, width, seed=m) for m, width in enumerate(widths)]
    output = np.asarray(layer(inputs))
    assert abs(output.mean()) < 0.1
    assert output.var() == pytest.approx(1, rel=0.25)
    for subset, value in layer.interactions(inputs).items():
        assert np.square(value).mean() == pytest.approx(2 ** -len(widths), rel=0.5), subset


def test_documented_deviations_of_the_variance_preserving_start():
    layer = LowRankFusion(100, rank=200, initialization="variance_preserving", seed=2)
    layer.build([(None, 8), (None, 50)])
    for m, width in enumerate((8, 50)):
        factor = np.asarray(layer.factor(m))
        assert factor[:, 0].std() == pytest.approx(0.5**0.5, rel=0.03)
        assert factor[:, 1:].std() == pytest.approx((0.5 / width) ** 0.5, rel=0.03)
    assert np.asarray(layer.rank_weights).std() == pytest.approx(200**-0.5, rel=0.2)
    assert not np.any(layer.bias)


def test_documented_deviations_of_the_reference_start():
    layer = LowRankFusion(100, rank=200, initialization="reference", seed=2)
    layer.build([(None, 8), (None, 50)])
    for m, width in enumerate((8, 50)):
        factor = np.asarray(layer.factor(m))
        deviation = (2 / ((width + 1 + 200) * 100)) ** 0.5
        for rows in (factor[:, 0], factor[:, 1:]):
            assert rows.std() == pytest.approx(deviation, rel=0.03)
            assert abs(rows).max() > 3 * deviation, "truncated"
    assert np.asarray(layer.rank_weights).std() == pytest.approx((2 / 201) ** 0.5, rel=0.2)
    assert not np.any(layer.bias)


def test_seed_decides_and_no_two_weights_are_alike():
    def weights(seed):
        layer = LowRankFusion(3, rank=2, seed=seed)
        layer.build([(None, 4), (None, 4)])
        return layer.get_weights()

    for first, second in zip(weights(5), weights(5)):
        np.testing.assert_array_equal(first, second)
    assert any((first != second).any() for first, second in zip(weights(5), weights(6)))
    kernel_0, constant_0, kernel_1, constant_1, *_ = weights(5)
    assert not np.isclose(kernel_0, kernel_1).any()
    assert not np.isclose(constant_0, constant_1).any()


def test_parameters():
    layer = LowRankFusion(64, rank=4)
    layer.build([(None, 32), (None, 16), (None, 128)])
    assert layer.count_params() == 4 * 64 * (33 + 17 + 129) + 4 + 64


def test_the_regularizer_adds_its_closed_form():
    layer = LowRankFusion(3, rank=2, kernel_regularizer=keras.regularizers.L2(0.1), seed=0)
    layer([normal(5, 4), normal(5, 6)])
    expected = sum(0.1 * np.square(np.asarray(layer.factor(m))[:, 1:]).sum() for m in range(2))
    assert float(sum(layer.losses)) == pytest.approx(expected, rel=1e-5)


def test_the_constraint_holds_after_fit():
    layer = LowRankFusion(3, rank=2, kernel_constraint=keras.constraints.NonNeg(), seed=0)
    inputs = [keras.Input((4,)), keras.Input((6,))]
    model = keras.Model(inputs, layer(inputs))
    assert any((np.asarray(kernel) < 0).any() for kernel in layer.kernels)
    model.compile("sgd", "mse")
    model.fit([normal(8, 4), normal(8, 6)], normal(8, 3), verbose=0)
    for kernel in layer.kernels:
        assert (np.asarray(kernel) >= 0).all()
        assert np.any(kernel)


def test_product_and_rank_sum_stay_float32_under_float16():
    """Two rank-one terms beyond float16's 65,504 that nearly cancel: float16 would give inf − inf."""
    layer = LowRankFusion(1, rank=2, dtype="mixed_float16")
    one = np.ones((1, 1), "float32")
    layer([one, one])
    factor = np.array([[[0.0], [400.0]], [[0.0], [400.0]]])
    layer.set_factors([factor, factor], rank_weights=[1.0, -0.75])
    assert float(np.asarray(layer([one, one]))[0, 0]) == 0.25 * 400 * 400


def test_float64_stays_float64():
    layer = LowRankFusion(2, rank=2, dtype="float64", seed=0)
    inputs = [normal(3, 4).astype("float64"), normal(3, 5).astype("float64")]
    output = np.asarray(layer(inputs))
    assert output.dtype == np.float64
    product = np.asarray(layer.rank_weights)[:, None]
    for m, h in enumerate(inputs):
        factor = np.asarray(layer.factor(m))
        product = product * (factor[None, :, 0] + np.einsum("bi,rio->bro", h, factor[:, 1:]))
    np.testing.assert_allclose(output, product.sum(1), rtol=1e-12)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(None, 3, 4), (None, 5, 4)], r"equal leading axes.*3, 4.*5, 4"),
        ([(2, 4), (3, 4)], "equal leading axes"),
        ([(None, 4), (None, 5, 4)], "equal leading axes"),
        ([(None, 4)], "two or more modalities.*received 1"),
        ([(None, 4), (None, None)], "known width"),
        ([(4,), (4,)], "known width"),
        ((None, 4), r"a list or a dict of two or more tensors, received one of shape \(None, 4\)"),
    ],
)
def test_build_refuses(shapes, message):
    with pytest.raises(LMFError, match=message):
        LowRankFusion(2).build(shapes)


@pytest.mark.parametrize("arguments", [{"rank": 0}, {"rank": 2.5}, {"units": 0}, {"units": "4"}])
def test_sizes_are_whole_and_positive(arguments):
    (name,) = arguments
    with pytest.raises(LMFError, match=f"{name} must be a whole number ≥ 1"):
        LowRankFusion(**{"units": 4, **arguments})


def test_an_unknown_initialization_is_refused_with_the_nearest():
    with pytest.raises(LMFError, match="Did you mean 'reference'"):
        LowRankFusion(4, initialization="referense")
