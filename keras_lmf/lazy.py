"""Arrays larger than memory: rows that are read when they are asked for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

NUMBERS = 2**23  # of a block, at most: 32 MiB of float32


class Part(Protocol):
    """(n, …) numbers: a NumPy array, a `LazyArray`, or what else gives rows as float32."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: np.ndarray) -> np.ndarray: ...


class LazyArray(NDArrayOperatorsMixin):
    """(N, …) float32 numbers. Rows that are indexed are read, as a NumPy array; `np.asarray` and arithmetic read all.

    >>> lazy = LazyArray([np.zeros((2, 3)), np.ones((4, 3))], "any")
    >>> lazy[[0, 5]].tolist(), lazy.rows(slice(1, 3)).shape
    ([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], (2, 3))

    Args:
        parts: one below another.
        digest: a hash that stands for all of their numbers.
        rows: (N,) int, which of the parts' rows, counted through; None: all.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, parts: Sequence[Part], digest: str, rows: np.ndarray | None = None) -> None:
        self._parts, self._digest = tuple(parts), digest
        self._starts = np.cumsum([0, *(part.shape[0] for part in parts)])
        self._all = rows is None
        self._rows = np.arange(self._starts[-1]) if rows is None else rows
        self.shape = (len(self._rows), *parts[0].shape[1:])

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.shape)

    @property
    def digest(self) -> str:
        """A hash that stands for all numbers."""
        return self._digest if self._all else hash_of(self._digest, self._rows.astype("<i8").tobytes())

    def __len__(self) -> int:
        return self.shape[0]

    def rows(self, chosen: slice | np.ndarray) -> LazyArray:
        """Some of the rows, by slice, index or a bool array; nothing is read."""
        return LazyArray(self._parts, self._digest, self._rows[chosen])

    def __getitem__(self, key: Any) -> np.ndarray:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if first is None or first is Ellipsis:
            return np.asarray(self)[key]
        rows = self._rows[first]
        if np.ndim(rows) == 0:
            return self._read(rows[None])[(0, *rest)]
        return self._read(rows)[(slice(None), *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("the numbers are not in memory: they can't be had without a copy")
        return self._read(self._rows).astype(dtype or self.dtype, copy=False)

    def min(self) -> np.float32:
        """The smallest number."""
        return min(block.min() for _, block in blocks(self))

    def max(self) -> np.float32:
        """The largest number."""
        return max(block.max() for _, block in blocks(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shape}, read row by row>"

    def _read(self, rows: np.ndarray) -> np.ndarray:
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        place = np.searchsorted(self._starts, rows, side="right") - 1
        for i in np.unique(place):
            there = place == i
            values[there] = self._parts[i][rows[there] - self._starts[i]]
        return values


Array = np.ndarray | LazyArray


def hash_of(*words: str | bytes) -> str:
    """SHA-256, in hexadecimal, of the words in this order."""
    digest = hashlib.sha256()
    for word in words:
        data = word.encode() if isinstance(word, str) else word
        digest.update(f"{len(data)} ".encode() + data)
    return digest.hexdigest()


def taken(array: Array, rows: np.ndarray) -> Array:
    """Some of the rows, by index or a bool array; of a lazy array a lazy one."""
    return array.rows(rows) if isinstance(array, LazyArray) else array[rows]


def joined(arrays: Sequence[Array]) -> Array:
    """The arrays one below another; lazily where one of them is lazy."""
    if not any(isinstance(array, LazyArray) for array in arrays):
        return np.concatenate(arrays)
    digests = [part.digest if isinstance(part, LazyArray) else hash_of(part.tobytes()) for part in arrays]
    return LazyArray(arrays, hash_of(*digests))


def blocks(array: Array) -> Iterator[tuple[slice, np.ndarray]]:
    """All rows in turn, as many at a time as hold at most `NUMBERS` numbers: which rows, and their numbers."""
    rows = max(1, NUMBERS // math.prod(array.shape[1:]))
    for start in range(0, len(array), rows):
        yield slice(start, start + rows), array[start : start + rows]


def moments(steps: Callable[[], Iterable[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance over all rows of the blocks, two (d,) float64 arrays; of a constant exactly 0.

    Args:
        steps: gives the blocks, each (n, d) float64, the same ones at every call; together one row or more.
    """
    count, total, low, high = 0, 0.0, np.inf, -np.inf
    for block in steps():
        if len(block):
            count, total = count + len(block), total + block.sum(axis=0)
            low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    mean = total / count
    variance = sum(np.square(block - mean).sum(axis=0) for block in steps()) / count
    # Rounding may give a constant a tiny variance.
    return mean, np.where(low == high, 0.0, variance)
