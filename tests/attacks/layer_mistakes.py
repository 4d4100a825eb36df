"""What a fusion layer can't take, by what is wrong with it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from layer_check import normal

BATCH = 5
NAMES = ("audio", "video", "text")


def wrong_inputs(parts: list[np.ndarray]) -> dict[str, list[Any]]:
    """Lists that a layer built on `parts` can't take."""
    rest, last = parts[:-1], parts[-1]
    count, width = len(parts), last.shape[-1]
    return {
        "one fewer": rest,
        "one more": [*parts, last],
        "two more": [*parts, last, last],
        "one alone": parts[:1],
        "none": [],
        "wider": [*rest, normal(BATCH, width + 1)],
        "narrower": [*rest, normal(BATCH, width - 1)],
        "no width": [*rest, normal(BATCH, 0)],
        "all without width": [normal(BATCH, 0)] * count,
        "batch of one": [*rest, normal(1, width)],
        "another batch": [*rest, normal(BATCH - 1, width)],
        "no batch": [*rest, normal(0, width)],
        "an axis more": [*rest, normal(BATCH, 1, width)],
        "an axis fewer": [*rest, normal(width)],
        "vectors": [part[0] for part in parts],
        "scalars": [1.0] * count,
        "scalar arrays": [np.float32(1)] * count,
        "nested": [[part] for part in parts],
        "a hole": [*rest, None],
        "lists of numbers": [part.tolist() for part in parts],
        "complex": [*rest, last.astype("complex64")],
        "text": [*rest, last.astype(str)],
        "objects": [*rest, last.astype(object)],
        "symbolic, wider": [keras.Input((part.shape[-1] + 1,)) for part in parts],
        "symbolic, of unknown width": [keras.Input((None,)) for part in parts],
        "symbolic, one fewer": [keras.Input((part.shape[-1],)) for part in rest],
    }


BUILT_ONLY = (
    "one fewer",
    "one more",
    "two more",
    "wider",
    "narrower",
    "symbolic, wider",
    "symbolic, one fewer",
)


def wrong_presence(count: int) -> dict[str, Any]:
    flags = np.ones((BATCH, count), "float32")
    return {
        "list": [1.0] * count,
        "list of lists": flags.tolist(),
        "list of arrays": list(flags.T),
        "dict": dict(zip(NAMES, flags.T)),
        "number": 1.0,
        "bool": True,
        "text": "yes",
        "array of text": flags.astype(str),
        "scalar array": np.float32(1),
        "one fewer": flags[:, 1:],
        "one more": np.ones((BATCH, count + 1)),
        "without batch": flags[0],
        "batch of one": flags[:1],
        "another batch": flags[1:],
        "an axis more": flags[:, None],
    }
