"""A layer as two narrower ones: against the singular value decomposition of its answers."""

from __future__ import annotations

import numpy as np
import pytest

from keras_lmf.errors import LMFError
from keras_lmf.models import low_rank_kernel

ROWS, WIDTH, UNITS = 400, 12, 7


def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernel, bias, and inputs that are far from 0 and large in some directions."""
    random = np.random.default_rng(0)
    inputs = random.normal(3, 1, (ROWS, WIDTH)) @ (
        random.normal(0, 1, (WIDTH, WIDTH)) * np.logspace(0, -2, WIDTH)
    )
    return random.normal(0, 1, (WIDTH, UNITS)), random.normal(0, 1, UNITS), inputs


@pytest.mark.parametrize("rank", [1, 3, UNITS])
def test_no_other_factors_of_the_rank_are_nearer(rank):
    kernel, bias, inputs = drawn()
    first, second, moved = low_rank_kernel(kernel, bias, inputs, rank=rank)
    assert first.shape == (WIDTH, rank)
    assert second.shape == (rank, UNITS)
    wanted = inputs @ kernel + bias
    error = np.square(inputs @ first @ second + moved - wanted).sum()
    lengths = np.linalg.svd(wanted - wanted.mean(axis=0), compute_uv=False)
    assert error == pytest.approx(np.square(lengths[rank:]).sum(), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param((drawn()[2] + 1e4).astype("float32"), id="float32 far from 0"),
        pytest.param((drawn()[2] + 100).astype("float16"), id="float16 whose squares are beyond it"),
        pytest.param(np.clip(drawn()[2] * 20, -128, 127).astype("int8"), id="int8"),
        pytest.param(drawn()[2].tolist(), id="lists"),
    ],
)
def test_inputs_of_any_dtype_are_counted_in_double_precision(inputs):
    kernel, bias, _ = drawn()
    found = low_rank_kernel(kernel, bias, inputs, rank=3)
    for one, other in zip(found, low_rank_kernel(kernel, bias, np.array(inputs, "float64"), rank=3)):
        np.testing.assert_array_equal(one, other)
    first, second, moved = found
    wanted = np.asarray(inputs, "float64") @ kernel
    error = np.square(np.asarray(inputs, "float64") @ first @ second + moved - bias - wanted).sum()
    lengths = np.linalg.svd(wanted - wanted.mean(axis=0), compute_uv=False)
    assert error == pytest.approx(np.square(lengths[3:]).sum(), rel=1e-6)


def test_a_convolutions_kernel_keeps_its_axes():
    kernel, bias, inputs = drawn()
    flat, *rest = low_rank_kernel(kernel, bias, inputs, rank=3)
    first, *others = low_rank_kernel(kernel.reshape(3, 4, UNITS), bias, inputs, rank=3)
    np.testing.assert_array_equal(first, flat.reshape(3, 4, 3))
    for one, other in zip(rest, others):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rank", [0, UNITS + 1, 2.0])
def test_a_rank_that_is_not_there_is_refused(rank):
    with pytest.raises(LMFError, match=f"'rank' takes 1 to {UNITS}.*received {rank}"):
        low_rank_kernel(*drawn(), rank=rank)


def test_shapes_that_do_not_fit_are_refused():
    kernel, bias, inputs = drawn()
    with pytest.raises(LMFError, match=rf"inputs \(rows, {WIDTH}\) and a bias \({UNITS},\)"):
        low_rank_kernel(kernel, bias, inputs[:, 1:], rank=2)
    with pytest.raises(LMFError, match=rf"inputs \(rows, {WIDTH}\) and a bias \({UNITS},\)"):
        low_rank_kernel(kernel, bias[1:], inputs, rank=2)
    with pytest.raises(LMFError, match="one row of inputs or more"):
        low_rank_kernel(kernel, bias, inputs[:0], rank=2)


def test_numbers_that_are_not_finite_are_refused():
    kernel, bias, inputs = drawn()
    inputs[0, 0] = np.nan
    with pytest.raises(LMFError, match="finite numbers"):
        low_rank_kernel(kernel, bias, inputs, rank=2)
