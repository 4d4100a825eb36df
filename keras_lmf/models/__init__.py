"""Models from parts, from recipes, and with published weights."""

import keras_lmf.layers  # noqa: F401  registers them, and says what to install without a backend
from keras_lmf.models.factory import (
    build,
    build_front_ends,
    foretold_shapes,
    fusion_model,
    is_standardized,
    refresh_standardization,
    set_standardization,
    weight_shapes,
)
from keras_lmf.models.pretrained import load_backbone
from keras_lmf.models.published_networks import load_i3d_checkpoint, load_published
from keras_lmf.models.weights import read_testvectors, write_testvectors

__all__ = [
    "build",
    "build_front_ends",
    "foretold_shapes",
    "fusion_model",
    "is_standardized",
    "load_backbone",
    "load_i3d_checkpoint",
    "load_published",
    "read_testvectors",
    "refresh_standardization",
    "set_standardization",
    "weight_shapes",
    "write_testvectors",
]
