"""Recipes: what is built, on what it is trained, and how. TOML in and out; loads no backend."""

from keras_lmf.recipe.parts import Augmentation, LowRank, Modality, Training
from keras_lmf.recipe.recipe import FittedTemperature, Recipe, run_spec

__all__ = ["Augmentation", "FittedTemperature", "LowRank", "Modality", "Recipe", "Training", "run_spec"]
