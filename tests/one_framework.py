"""TensorFlow and PyTorch in one process crash, in PyTorch's optimizers to begin with."""

from __future__ import annotations

import os
import sys


def shared() -> bool:
    return {"tensorflow", "torch"} <= set(sys.modules)


class _NoTensorFlow:
    """Finds no TensorFlow, wherever it is installed."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError("TensorFlow stays out of a process of PyTorch", name=name)


def keep_apart() -> None:
    """In a process of Keras on PyTorch, TensorFlow can't be imported: else Keras loads it to read a model."""
    if os.environ.get("KERAS_BACKEND") == "torch":
        sys.meta_path.insert(0, _NoTensorFlow)
