"""Whether a corpus is what a recipe was written for."""

from __future__ import annotations

from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.recipe import Recipe


def fitting(recipe: Recipe, data: Dataset) -> Dataset:
    """The recipe's modalities and training rows of `data`, once shapes and target agree with the recipe."""
    if data.target != recipe.target:
        raise _other_target(recipe, data)
    data = data.select(list(recipe.inputs))
    for modality, section in recipe.inputs.items():
        shape = data.inputs[modality].shape[1:]
        if shape != section.shape:
            raise LMFError(
                f"Modality {modality!r} has shape {shape} in {data.name}, but inputs.{modality}.shape is "
                f"{section.shape} in the recipe {recipe.name!r}"
            )
    return data.with_validation_in_training() if recipe.training.fit_on == "train + valid" else data


def _other_target(recipe: Recipe, data: Dataset) -> LMFError:
    """What differs between the recipe's target and the corpus's."""
    wanted, held = recipe.target, data.target
    if wanted.name != held.name or not (wanted.classes and held.classes):
        return LMFError(f"The recipe's target {wanted!r} is not the corpus's: {held!r}")
    mend = f"Mend the label, or write target.classes = {list(held.classes)} into the recipe {recipe.name!r}."
    for index, name in enumerate(held.classes):
        if name not in wanted.classes:
            ids = data.ids[data.labels == index]
            where = f"{data.name} has it in {len(ids)} rows (id {str(ids[0])!r}, …). " if len(ids) else ""
            return unknown_name(f"label in {data.name}:", name, wanted.classes, where + mend)
    lacking = [name for name in wanted.classes if name not in held.classes]
    if lacking:
        return LMFError(f"The recipe's class {lacking[0]!r} is no label of {data.name}. {mend}")
    return LMFError(
        f"The recipe's classes {list(wanted.classes)} are in another order than the corpus's. {mend}"
    )
