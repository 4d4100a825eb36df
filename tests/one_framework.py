"""TensorFlow and PyTorch in one process crash, in PyTorch's optimizers to begin with."""

from __future__ import annotations

import os
import sys


def shared() -> bool:
    return all(sys.modules.get(name) for name in ("tensorflow", "torch"))


def keep_apart() -> None:
    """In a process of Keras on PyTorch, TensorFlow can't be imported: else Keras loads it to read a model."""
    if os.environ.get("KERAS_BACKEND") == "torch":
        sys.modules.setdefault("tensorflow", None)  # Python's way to say that there is none
