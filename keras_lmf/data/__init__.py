"""Corpora and media files in, batches and clips out.

Corpora: `load`, `Dataset`, `Split`, `Batches`, `balanced_class_weights`. Larger than memory: `Shards`. Training clips:
`Augmentation`, `augmented`. Tables of OpenFace: `openface.read_openface`. Of `keras_lmf.media`, here too: `decode`,
`windows`, `Clip`, `faces`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_lmf import media
from keras_lmf.data import openface
from keras_lmf.data.augmentation import Augmentation, augmented
from keras_lmf.data.corpora import load
from keras_lmf.data.dataset import Dataset, Split
from keras_lmf.data.shards import Shards
from keras_lmf.media import Clip, decode, faces, windows

if TYPE_CHECKING:
    from keras_lmf.data.batches import Batches, balanced_class_weights

__all__ = [
    "Augmentation",
    "Batches",
    "Clip",
    "Dataset",
    "Shards",
    "Split",
    "augmented",
    "balanced_class_weights",
    "decode",
    "faces",
    "load",
    "media",
    "openface",
    "windows",
]


def __getattr__(name: str) -> object:
    # Only batches need Keras, and importing Keras takes seconds.
    if name in ("Batches", "balanced_class_weights"):
        from keras_lmf.backend import require_backend

        require_backend()
        from keras_lmf.data import batches

        return getattr(batches, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
