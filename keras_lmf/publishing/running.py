"""The runs that an entry is made of."""

from __future__ import annotations

from pathlib import Path

from keras_lmf.data import Dataset
from keras_lmf.recipe import Recipe
from keras_lmf.training import Run, train
from keras_lmf.training.checkpoint import read_progress
from keras_lmf.training.run import ENVIRONMENT, STATE, fitting


def trained(recipe: Recipe, data: Dataset, folder: Path) -> Run:
    """The finished run of this recipe on these data in `folder`, whatever backend it ran on; else it is trained."""
    if (folder / STATE).is_file() and (folder / ENVIRONMENT).is_file():
        run = Run(folder, recipe, data)
        facts = run.environment
        same = (facts["recipe"], facts["data"]) == (recipe.fingerprint, fitting(recipe, data).fingerprint)
        if same and read_progress(folder / STATE).finished:
            return run
    return train(recipe, data, folder)
