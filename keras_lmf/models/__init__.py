"""Factories: models from parts, from a recipe, and from the published networks' weights."""

from keras_lmf.models.factory import build, fusion_model, set_standardization
from keras_lmf.models.published import load_published

__all__ = ["build", "fusion_model", "load_published", "set_standardization"]
