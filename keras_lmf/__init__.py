"""keras-lmf: audio-video emotion recognition by tensor fusion and low-rank fusion, in Keras 3.

`import keras_lmf as klmf` loads no backend: the names below are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_lmf import (
        backbones,
        data,
        evaluation,
        export,
        layers,
        media,
        metrics,
        models,
        runtime,
        training,
        zoo,
    )
    from keras_lmf.data.dataset import Dataset
    from keras_lmf.errors import LMFError
    from keras_lmf.evaluation import evaluate
    from keras_lmf.export import export_model
    from keras_lmf.models import build
    from keras_lmf.recipe import Recipe
    from keras_lmf.recognition import Recognizer
    from keras_lmf.target import Target
    from keras_lmf.training import Run, train
    from keras_lmf.zoo import load

__version__ = "0.1.0"

# Public modules, and the module that holds each other public name.
_MODULES = (
    "backbones",
    "data",
    "evaluation",
    "export",
    "layers",
    "media",
    "metrics",
    "models",
    "runtime",
    "training",
    "zoo",
)
_HOMES = {
    "Dataset": "data.dataset",
    "LMFError": "errors",
    "Recipe": "recipe",
    "Recognizer": "recognition",
    "Run": "training",
    "Target": "target",
    "build": "models",
    "evaluate": "evaluation",
    "export_model": "export",
    "load": "zoo",
    "train": "training",
}

__all__ = [
    "Dataset",
    "LMFError",
    "Recipe",
    "Recognizer",
    "Run",
    "Target",
    "backbones",
    "build",
    "data",
    "evaluate",
    "evaluation",
    "export",
    "export_model",
    "layers",
    "load",
    "media",
    "metrics",
    "models",
    "runtime",
    "train",
    "training",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
