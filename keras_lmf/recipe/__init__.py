"""Recipes: what is built, on what it is trained, and how. TOML in and out; loads no backend."""

from keras_lmf.recipe.backbones import BACKBONES
from keras_lmf.recipe.front_ends import FRONT_ENDS
from keras_lmf.recipe.fusions import FUSIONS, LowRank
from keras_lmf.recipe.recipe import FittedTemperature, Modality, Recipe, run_spec
from keras_lmf.recipe.sections import MAX_PARAMETERS, Augmentation, Training

__all__ = [
    "BACKBONES",
    "FRONT_ENDS",
    "FUSIONS",
    "MAX_PARAMETERS",
    "Augmentation",
    "FittedTemperature",
    "LowRank",
    "Modality",
    "Recipe",
    "Training",
    "run_spec",
]
