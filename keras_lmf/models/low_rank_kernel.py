"""A dense layer or a convolution as two narrower ones, that answer to its own inputs as nearly as can be."""

from __future__ import annotations

import numpy as np

from keras_lmf.errors import LMFError


def low_rank_kernel(
    kernel: np.ndarray, bias: np.ndarray, inputs: np.ndarray, *, rank: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors and bias of the layer of that rank whose answers to `inputs` are nearest to inputs · kernel + bias.

    Nearest by the sum of squares: the answers are projected onto their first principal components (Eckart & Young
    1936; of networks' layers, without the bias: Chen et al., DRONE, NeurIPS 2021).

    Args:
        kernel: (…, width, units), a dense layer's, or a convolution's with the kernel's size in front.
        bias: (units,).
        inputs: (rows, ∏ of all axes of `kernel` but the last): what the layer gets, of a convolution the patches. More
            rows than units, or some directions are left to chance.
        rank: 1 to `units`.

    Returns:
        (…, width, rank), (rank, units) and (units,): inputs · first · second + bias.

    Raises:
        LMFError: shapes that don't fit, no rows, another rank, or numbers that aren't finite.
    """
    whole = np.asarray(kernel, np.float64).reshape(-1, np.shape(kernel)[-1])
    units = whole.shape[1]
    if np.ndim(inputs) != 2 or np.shape(inputs)[1] != len(whole) or np.shape(bias) != (units,):
        raise LMFError(
            f"A kernel of shape {np.shape(kernel)} takes inputs (rows, {len(whole)}) and a bias ({units},), received "
            f"{np.shape(inputs)} and {np.shape(bias)}."
        )
    if not len(inputs):
        raise LMFError("low_rank_kernel needs one row of inputs or more, received none.")
    if not isinstance(rank, int | np.integer) or not 1 <= rank <= units:
        raise LMFError(f"'rank' takes 1 to {units}, the kernel's units; received {rank!r}.")
    if not all(np.isfinite(array).all() for array in (whole, bias, inputs)):
        raise LMFError("Kernel, bias and inputs must be finite numbers, received some that are not.")
    answers = np.asarray(inputs, np.float64) @ whole
    mean = answers.mean(axis=0)
    answers -= mean
    directions = np.linalg.eigh(answers.T @ answers)[1][:, ::-1][:, :rank]
    first = (whole @ directions).reshape(*np.shape(kernel)[:-1], rank)
    return first, directions.T, bias + mean - mean @ directions @ directions.T
