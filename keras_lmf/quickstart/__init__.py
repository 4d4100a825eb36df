"""The main job in miniature, on data that carry no licence: media file to answer, then the three fusions."""

from __future__ import annotations

# ruff: noqa: E402
from keras_lmf.backend import require_backend

require_backend()  # before anything imports Keras: it says what to install

from keras_lmf.quickstart.fusions import recipe
from keras_lmf.quickstart.story import quickstart

__all__ = ["quickstart", "recipe"]
