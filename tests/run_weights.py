"""The weights that a training left, read by h5py alone."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np


def weights(folder: Path) -> dict[str, np.ndarray]:
    """Path in the file → numbers, of the run in `folder`."""
    found = {}
    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found
