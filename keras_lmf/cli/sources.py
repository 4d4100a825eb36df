"""RUN of evaluate and export: a run's folder, or a zoo entry."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_lmf import zoo
from keras_lmf.data import Dataset, corpora
from keras_lmf.errors import LMFError
from keras_lmf.locate import locate
from keras_lmf.recipe import Recipe, run_spec
from keras_lmf.spec import ModelSpec
from keras_lmf.training import Run
from keras_lmf.zoo import fetching


@dataclass(frozen=True)
class EntryRun(Run):
    """A zoo entry as a run: its recipe and model are checked as `load` checks them; `folder` is for what is written.

    Attributes:
        source: the entry's name, or its folder.
    """

    source: str = ""

    @functools.cached_property
    def model(self) -> keras.Model:
        """The entry's model."""
        return zoo.load(self.source)


def opened(source: str, data: Path | None) -> tuple[Run, ModelSpec]:
    """The run with its data, and what its model takes and gives."""
    try:
        place = locate(source, "run", "entry")
        if place.kind == "run":
            run = Run.open(place.path)
            return Run(place.path, run.recipe, dataset(run.recipe, data)), run_spec(place.path)
        files = fetching.files_of(place)
    except LMFError as error:
        raise LMFError(f"{source} is not a run's folder, and no zoo entry can be had: {error}") from None
    recipe = fetching.recipe(files)
    run = EntryRun(run_folder(files.entry.name), recipe, dataset(recipe, data), source)
    return run, files.entry.spec


def run_folder(name: str) -> Path:
    """Where a recipe is trained, and where reports and files of a zoo entry go, when no folder is given."""
    return Path("runs") / name


def dataset(recipe: Recipe, data: Path | None) -> Dataset:
    """The recipe's corpus from the folder `data`, or the .npz itself."""
    if data is not None and data.suffix == ".npz":
        return corpora.load(data)
    return corpora.load(recipe.corpus.name, data, **recipe.corpus.options)
