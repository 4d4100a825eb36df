"""CMU-MultimodalSDK's files, as the SDK writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

# Of the SDK's standard folds of CMU-MOSI, one video of each.
TRAIN, VALID, TEST = "2iD-tVS8NPw", "WKA5OygbEKI", "tmZoasNr4rU"
LABELS, AUDIO = "CMU_MOSI_Opinion_Labels.csd", "CMU_MOSI_COVAREP.csd"
Entries = Mapping[str, tuple[np.ndarray, np.ndarray]]


def write_csd(path: Path, root: str, entries: Entries, **options: object) -> Path:
    """As the SDK writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group(root)
        data = group.create_group("data")
        for name, (features, intervals) in entries.items():
            entry = data.create_group(name)
            entry.create_dataset("features", data=features, **options)
            entry.create_dataset("intervals", data=intervals, **options)
        metadata = group.create_group("metadata")
        words = metadata.create_dataset("root name", (1,), dtype=h5py.special_dtype(vlen=str))
        words[0] = f'"{root}"'
    return path


def steps(width: int, values: list[float], each: float) -> tuple[np.ndarray, np.ndarray]:
    """Steps of so many seconds from 0 on; of each its value in the first column, ten times that in the others."""
    rows = np.array(values)[:, None] * np.array([1.0] + [10.0] * (width - 1))
    starts = np.arange(len(values)) * each
    return rows, np.stack([starts, starts + each], axis=1)


def mosi(folder: Path) -> Path:
    segments = np.array([[0.0, 1.0], [1.0, 2.0]])
    write_csd(
        folder / LABELS,
        "Opinion Segment Labels",
        {
            TRAIN: (np.array([[2.4], [-1.0]]), segments),
            VALID: (np.array([[0.5]]), segments[:1]),
            TEST: (np.array([[-3.0], [3.2]]), segments),  # the last is out of its range
            "nobody": (np.array([[1.0]]), segments[:1]),  # in no fold
        },
    )
    write_csd(
        folder / AUDIO,
        "COVAREP",
        {
            TRAIN: steps(3, [1, 2, 3, 4, 5, -np.inf, 7, 8], 0.25),
            VALID: steps(3, [4, 4, 4, 4], 0.25),
            TEST: steps(3, [6] * 8, 0.25),
        },
        compression="gzip",
        shuffle=True,
    )
    return folder
