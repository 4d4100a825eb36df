"""Factories: models from parts, from a recipe, and from the published networks' weights."""

import keras_lmf.layers  # noqa: F401  registers them, and says what to install without a backend
from keras_lmf.models.checkpoints import load_i3d_checkpoint
from keras_lmf.models.factory import (
    build,
    build_front_ends,
    fusion_model,
    is_standardized,
    refresh_standardization,
    set_standardization,
)
from keras_lmf.models.published import load_published

__all__ = [
    "build",
    "build_front_ends",
    "fusion_model",
    "is_standardized",
    "load_i3d_checkpoint",
    "load_published",
    "refresh_standardization",
    "set_standardization",
]
