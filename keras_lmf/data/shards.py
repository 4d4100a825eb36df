"""Arrays in several files, of which rows are read as they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


class Shards:
    """The rows of several .npy files one below the other, as float32.

    Args:
        paths: of the files, at least one.
        scale: what stands for 1 in them; None: 1 does.
        digest: SHA-256 (hex) of what they hold.
    """

    def __init__(self, paths: Sequence[Path], scale: float | None, digest: str = "") -> None:
        self._parts = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
        self._ends = np.cumsum([len(part) for part in self._parts])
        self._scale = np.float32(scale or 1)
        self.digest = digest
        self.shape = (int(self._ends[-1]), *self._parts[0].shape[1:])
        self.ndim, self.dtype = len(self.shape), np.dtype(np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        wanted = np.arange(len(self))[rows]
        taken = np.empty((len(wanted), *self.shape[1:]), np.float32)
        homes = np.searchsorted(self._ends, wanted, side="right")
        for place, (row, home) in enumerate(zip(wanted, homes)):
            taken[place] = self._parts[home][row - self._ends[home]] / self._scale
        return taken

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or np.float32)
