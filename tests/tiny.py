"""Six hand-made samples that several tests share."""

from __future__ import annotations

import numpy as np

from keras_lmf.target import Target

EMOTION = Target(name="emotion", classes=("calm", "happy", "sad"))


def columns(**changes) -> dict:
    """Six samples, three speakers: audio is a masked sequence (6, 4, 2), video a vector (6, 3)."""
    audio = np.arange(48, dtype=np.float64).reshape(6, 4, 2) + 1
    mask = np.arange(4) < np.array([4, 2, 3, 4, 1, 4])[:, None]
    return {
        "name": "tiny",
        "target": EMOTION,
        "inputs": {"audio": audio, "video": np.arange(18, dtype=np.float32).reshape(6, 3)},
        "labels": np.array([0, 1, 2, 0, 1, 2]),
        "groups": np.array(["ann", "ann", "ann", "ann", "bob", "cat"]),
        "ids": np.array([f"clip{row}" for row in range(6)]),
        "splits": np.array(["train", "train", "train", "train", "valid", "test"]),
        "masks": {"audio": mask},
    } | changes
