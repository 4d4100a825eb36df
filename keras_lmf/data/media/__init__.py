"""Media files in, clips of sound and pictures on one clock out; `av` (the extra `media`) is imported at the call."""

from __future__ import annotations

from keras_lmf.data.media.annotated import Mark, annotate
from keras_lmf.data.media.clips import Clip, decode, windows

__all__ = ["Clip", "Mark", "annotate", "decode", "windows"]
