"""Recipes: what is built, on what it is trained, and how. TOML in and out; loads no backend."""

from keras_lmf.recipe.parts import Augmentation, LowRank, Modality, Training
from keras_lmf.recipe.recipe import Recipe

__all__ = ["Augmentation", "LowRank", "Modality", "Recipe", "Training"]
