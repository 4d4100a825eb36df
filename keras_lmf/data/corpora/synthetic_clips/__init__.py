"""A corpus of media files that carries no licence: drawn faces with synthetic voices, written by `write`."""

from __future__ import annotations

from keras_lmf.data.corpora.synthetic_clips.performance import EMOTIONS
from keras_lmf.data.corpora.synthetic_clips.writing import LABELS, write

__all__ = ["EMOTIONS", "LABELS", "write"]
