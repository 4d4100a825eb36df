"""TensorFlow and PyTorch in one process crash, in PyTorch's optimizers to begin with."""

from __future__ import annotations

import os
import sys


def shared() -> bool:
    return {"tensorflow", "torch"} <= {name for name, module in sys.modules.items() if module}


def keep_apart() -> None:
    """In a process of Keras on PyTorch, TensorFlow counts as not installed: else Keras loads it to read a model."""
    if os.environ.get("KERAS_BACKEND") == "torch":
        sys.modules["tensorflow"] = None
