"""TensorFlow and PyTorch in one process crash, in PyTorch's optimizers to begin with."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder


def shared() -> bool:
    return {"tensorflow", "torch"} <= set(sys.modules)


class _WithoutTensorFlow(PathFinder):
    """Finds what is installed, but for TensorFlow."""

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name.partition(".")[0] == "tensorflow":
            return None
        return super().find_spec(name, path, target)


def keep_apart() -> None:
    """In a process of Keras on PyTorch, TensorFlow can't be imported: else Keras loads it to read a model."""
    if os.environ.get("KERAS_BACKEND") == "torch":
        sys.meta_path[:] = [
            _WithoutTensorFlow if finder is PathFinder else finder for finder in sys.meta_path
        ]
