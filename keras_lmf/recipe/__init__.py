"""Recipes: what is built, on what it is trained, and how. TOML in and out; loads no backend."""

from keras_lmf.recipe.backbones import BACKBONES as BACKBONES
from keras_lmf.recipe.front_ends import FRONT_ENDS as FRONT_ENDS
from keras_lmf.recipe.fusions import FUSIONS as FUSIONS
from keras_lmf.recipe.fusions import LowRank as LowRank
from keras_lmf.recipe.fusions import Rule as Rule
from keras_lmf.recipe.modality import Modality as Modality
from keras_lmf.recipe.recipe import Recipe as Recipe
from keras_lmf.recipe.runs import FittedTemperature as FittedTemperature
from keras_lmf.recipe.runs import run_recipe as run_recipe
from keras_lmf.recipe.runs import run_spec as run_spec
from keras_lmf.recipe.sections import MAX_PARAMETERS as MAX_PARAMETERS
from keras_lmf.recipe.training import Training as Training

__all__ = sorted(name for name in globals() if name[0].isupper() or name in ("run_recipe", "run_spec"))
