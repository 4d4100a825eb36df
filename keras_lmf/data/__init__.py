"""Corpora and media files in, batches and clips out.

Corpora: `load`, `Dataset`, `Split`, `Batches`, `balanced_class_weights`. Training clips: `Augmentation`, `augmented`.
Media files: `decode`, `windows`, `Clip`; with boxes drawn over them: `media.annotate`. Faces in frames: `faces.track`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from keras_lmf.data.augmentation import Augmentation, augmented
from keras_lmf.data.corpora import load
from keras_lmf.data.dataset import Dataset, Split

if TYPE_CHECKING:
    from keras_lmf.data.batches import Batches, balanced_class_weights
    from keras_lmf.data.media import Clip, decode, windows

__all__ = [
    "Augmentation",
    "Batches",
    "Clip",
    "Dataset",
    "Split",
    "augmented",
    "balanced_class_weights",
    "decode",
    "load",
    "windows",
]


def __getattr__(name: str) -> object:
    # Only batches need Keras, and importing Keras takes seconds.
    if name in ("Batches", "balanced_class_weights"):
        from keras_lmf.backend import require_backend

        require_backend()
        from keras_lmf.data import batches

        return getattr(batches, name)
    if name in ("Clip", "decode", "windows"):
        from keras_lmf.data import media

        return getattr(media, name)
    if name in ("faces", "media", "openface"):
        return importlib.import_module(f"keras_lmf.data.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
