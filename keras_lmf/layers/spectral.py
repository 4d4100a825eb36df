"""Constants of the spectral layers, in numpy: window, Fourier transform, mel filters, cosine transform."""

from __future__ import annotations

import math

import numpy as np


def hann_window(length: int, padded: int) -> np.ndarray:
    """The periodic Hann window of `length` samples, in the middle of `padded` samples."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    left = (padded - length) // 2
    return np.pad(window, (left, padded - length - left))


def dft(length: int) -> np.ndarray:
    """The (length, length) matrix of the discrete Fourier transform, complex."""
    index = np.arange(length)
    # The product modulo the length keeps the angles small and so exact.
    return np.exp(-2j * np.pi * (np.outer(index, index) % length) / length)


def factors(length: int) -> tuple[int, int]:
    """`length` as a product of two whole numbers that are as near to one another as can be."""
    smaller = next(size for size in range(math.isqrt(length), 0, -1) if length % size == 0)
    return smaller, length // smaller


def twiddles(first: int, second: int) -> np.ndarray:
    """exp(−2πi · k · n / (first · second)), (first, second): what joins the two steps of a factored transform."""
    return np.exp(-2j * np.pi * np.outer(np.arange(first), np.arange(second)) / (first * second))


def mel_filters(sample_rate: int, fft_length: int, bands: int, lowest: float, highest: float) -> np.ndarray:
    """Triangular filters (1 + fft_length // 2, bands), equally spaced on Slaney's mel scale, each of unit area.

    Slaney, "Auditory Toolbox", 1998: linear below 1 kHz, logarithmic above.
    """
    frequencies = np.arange(1 + fft_length // 2) * sample_rate / fft_length
    edges = _from_mel(np.linspace(_to_mel(lowest), _to_mel(highest), bands + 2))
    widths = np.diff(edges)
    slopes = edges - frequencies[:, None]
    triangles = np.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:])
    return np.maximum(triangles, 0) * 2 / (edges[2:] - edges[:-2])


# Slaney's scale: 200/3 Hz a mel up to 1 kHz, then 27 mel for each factor of 6.4.
_LINEAR = 200 / 3
_KNEE = 1000.0
_STEP = math.log(6.4) / 27


def _to_mel(hertz: float) -> float:
    return hertz / _LINEAR if hertz < _KNEE else _KNEE / _LINEAR + math.log(hertz / _KNEE) / _STEP


def _from_mel(mel: np.ndarray) -> np.ndarray:
    linear = mel * _LINEAR
    return np.where(linear < _KNEE, linear, _KNEE * np.exp(_STEP * (mel - _KNEE / _LINEAR)))


def cosine_transform(bands: int, coefficients: int) -> np.ndarray:
    """The first columns of the orthonormal DCT-II, (bands, coefficients)."""
    angles = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(coefficients))
    return np.cos(angles) * np.sqrt(np.where(np.arange(coefficients) == 0, 1, 2) / bands)
