"""The trained models that a recipe names: the one that it starts from, and its teachers."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass

from keras_lmf.data import corpora
from keras_lmf.models.start import Source, trained
from keras_lmf.recipe import Recipe
from keras_lmf.training.distillation import teachers_of


@dataclass(frozen=True)
class Named:
    """Models on this machine, not yet read.

    Attributes:
        start: whose weights a training starts from; None: random ones.
        teachers: whose answers are among the labels.
    """

    start: Source | None
    teachers: tuple[Source, ...]

    @property
    def sources(self) -> tuple[Source, ...]:
        """All of them."""
        return (*([self.start] if self.start else []), *self.teachers)


def named(recipe: Recipe) -> Named:
    """What the recipe's `start` and `training.distillation` name. It needs no corpus, so ask before one is read.

    Raises:
        LMFError: as `models.start.trained` and `distillation.teachers_of`.
    """
    return Named(trained(recipe.start.source) if recipe.start else None, teachers_of(recipe))


def warn_of_known_people(recipe: Recipe, source: Source) -> None:
    """Where both are trained on the same recordings, but perhaps not with the same people in the test split."""
    mine, theirs = recipe.corpus, source.recipe.corpus
    for name, other in itertools.product(mine.names, theirs.names):
        described = name in corpora.DESCRIBED and other in corpora.DESCRIBED
        shared = corpora.material(name) & corpora.material(other) if described else name == other
        if shared and (name, mine.options_of(name)) != (other, theirs.options_of(other)):
            warnings.warn(
                f"{source.name} was trained on {corpora.title(other)}, perhaps on people who are tested here: "
                f"{recipe.name} has the corpus {name!r} with the options {mine.options_of(name)}, its recipe "
                f"{other!r} with {theirs.options_of(other)}. Where they differ in the split, the figures are too good.",
                stacklevel=3,
            )
