"""Parts of networks in NumPy, channels last: what layers of Keras are compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import erf


def _windows(x: np.ndarray, sizes: Sequence[int], strides: Sequence[int], fill: float) -> np.ndarray:
    """(batch, *positions, channels, *sizes), padded as TensorFlow's "same": the end gets more."""
    pads = [(0, 0)]
    for length, size, stride in zip(x.shape[1:-1], sizes, strides):
        missing = max((math.ceil(length / stride) - 1) * stride + size - length, 0)
        pads.append((missing // 2, missing - missing // 2))
    padded = np.pad(x, [*pads, (0, 0)], constant_values=fill)
    every = sliding_window_view(padded, sizes, tuple(range(1, x.ndim - 1)))
    return every[(slice(None), *(slice(None, None, stride) for stride in strides))]


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int = 1) -> np.ndarray:
    """(batch, …, channels) by a kernel (…, channels, filters), in two or three dimensions."""
    *sizes, _, _ = kernel.shape
    windows = _windows(x, sizes, (stride,) * len(sizes), 0)
    return np.tensordot(windows, np.moveaxis(kernel, -2, 0), len(sizes) + 1)


def max_pool(x: np.ndarray, sizes: Sequence[int], strides: Sequence[int]) -> np.ndarray:
    return _windows(x, sizes, strides, -np.inf).max(axis=tuple(range(-len(sizes), 0)))


def batch_norm(
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray | float = 1.0,
    beta: np.ndarray | float = 0.0,
    epsilon: float = 1e-3,
) -> np.ndarray:
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + erf(x / math.sqrt(2))) / 2


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    return gamma * centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + epsilon) + beta


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm(x: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The states (…, steps, units) of (…, steps, width), by PyTorch's arrays: (4 units, width), (4 units, units),
    (4 units,), gates in the order input, forget, cell, output.
    """
    units = recurrent.shape[1]
    hidden = cell = np.zeros((*x.shape[:-2], units))
    states = []
    for step in range(x.shape[-2]):
        gates = x[..., step, :] @ kernel.T + hidden @ recurrent.T + bias
        enter, forget, new, leave = (gates[..., i * units : (i + 1) * units] for i in range(4))
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
        states.append(hidden)
    return np.stack(states, axis=-2)
