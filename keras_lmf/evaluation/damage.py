"""Inputs made worse: noise on what is there, and modalities taken away. Every draw is a function of its number."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping

import numpy as np

Arrays = dict[str, np.ndarray]


def deviation(rows: np.ndarray, media: str | None = None) -> np.ndarray:
    """Standard deviation of the real numbers of (N, …) rows: (d,) for features, one number for a word of `MEDIA`."""
    real = real_numbers(rows, media)
    # Sums, in which zeros that are not real don't count, instead of a copy of all sound or pictures.
    if media:
        count = max(1, int(real.sum()) * (rows.size // real.size))
        mean = rows.sum(dtype=np.float64) / count
        squares = sum(float(np.dot(row, row)) for row in rows.reshape(len(rows), -1))
        return np.sqrt(max(squares / count - mean**2, 0.0))
    width = rows.shape[-1]
    flat, steps = rows.reshape(-1, width), np.broadcast_to(real, rows.shape).reshape(-1, width)[:, 0]
    return flat[steps].std(axis=0, dtype=np.float64) if steps.any() else np.zeros(width)


def real_numbers(rows: np.ndarray, media: str | None) -> np.ndarray:
    """Which numbers are real, a bool array that broadcasts to the rows: not of a step (or frame) that is all zero, and
    not after the last number of a waveform that isn't zero."""
    if media == "waveform":
        return np.maximum.accumulate((rows != 0)[:, ::-1], axis=1)[:, ::-1]
    single = rows.ndim == 2 or (media == "frames" and rows.ndim == 4)
    return (rows != 0).any(axis=tuple(range(1 if single else 2, rows.ndim)), keepdims=True)


def with_noise(
    inputs: Mapping[str, np.ndarray],
    damaged: Collection[str],
    level: float,
    deviations: Mapping[str, np.ndarray],
    media: Mapping[str, str | None],
    draw: int,
) -> Arrays:
    """The inputs with noise on those that are damaged; the same draw gives the same direction at every level."""
    noisy = dict(inputs)
    for name in damaged:
        rows = inputs[name]
        noise = _generator(draw, name).standard_normal(rows.shape, np.float32)
        noise *= (level * deviations[name]).astype(np.float32)
        noisy[name] = rows + np.where(real_numbers(rows, media.get(name)), noise, np.float32(0))
    return noisy


def with_missing(
    inputs: Mapping[str, np.ndarray], damaged: Collection[str], rate: float, draw: int
) -> Arrays:
    """The inputs with zeros in the share `rate` of the rows, of those that are damaged."""
    lacking = dict(inputs)
    for name in damaged:
        rows = inputs[name]
        taken = _generator(draw, name).permutation(len(rows))[: round(rate * len(rows))]
        lacking[name] = rows.copy()
        lacking[name][taken] = 0
    return lacking


def _generator(draw: int, name: str) -> np.random.Generator:
    """By the modality's name: models with another order of modalities meet the same noise."""
    return np.random.default_rng([draw, zlib.crc32(name.encode())])
