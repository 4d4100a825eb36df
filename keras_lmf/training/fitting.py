"""Whether a corpus is what a recipe was written for."""

from __future__ import annotations

from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.recipe import Recipe


def fitting(recipe: Recipe, data: Dataset) -> Dataset:
    """The recipe's modalities and training rows of `data`, once shapes and target agree with the recipe."""
    if data.target != recipe.target:
        raise LMFError(f"The recipe's target {recipe.target!r} is not the corpus's: {data.target!r}")
    data = data.select(list(recipe.inputs))
    for modality, section in recipe.inputs.items():
        shape = data.inputs[modality].shape[1:]
        if shape != section.shape:
            raise LMFError(
                f"Modality {modality!r} has shape {shape} in {data.name}, but inputs.{modality}.shape is "
                f"{section.shape} in the recipe {recipe.name!r}"
            )
    return data.with_validation_in_training() if recipe.training.fit_on == "train + valid" else data
