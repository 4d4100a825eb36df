"""Corpora in, batches out: `load`, `Dataset`, `Split`, `Batches`, `balanced_class_weights`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_lmf.data.corpora import load
from keras_lmf.data.dataset import Dataset, Split

if TYPE_CHECKING:
    from keras_lmf.data.batches import Batches, balanced_class_weights

__all__ = ["Batches", "Dataset", "Split", "balanced_class_weights", "load"]


def __getattr__(name: str) -> object:
    # Only batches need Keras, and importing Keras takes seconds.
    if name in ("Batches", "balanced_class_weights"):
        from keras_lmf.backend import require_backend

        require_backend()
        from keras_lmf.data import batches

        return getattr(batches, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
