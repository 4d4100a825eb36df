"""RUN of evaluate and export: a run's folder, or a zoo entry."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_lmf.data import Dataset, corpora
from keras_lmf.data.extraction.store import is_arrays
from keras_lmf.locate import locate
from keras_lmf.recipe import Recipe
from keras_lmf.spec import ModelSpec
from keras_lmf.training import Run
from keras_lmf.zoo import fetching, loading


@dataclass(frozen=True)
class EntryRun(Run):
    """A zoo entry as a run: its recipe and model are checked as `load` checks them; `folder` is for what is written.

    Attributes:
        files: the entry's.
    """

    files: fetching.EntryFiles | None = None

    @functools.cached_property
    def model(self) -> keras.Model:
        """The entry's model."""
        return loading.load_entry(self.files)

    @property
    def spec(self) -> ModelSpec:
        """What the entry says."""
        return self.files.entry.spec


def opened(source: str, data: Path | None) -> Run:
    """The run with its data."""
    return with_data(found(source), data)


def found(source: str) -> Run:
    """The run, whose data is not loaded."""
    place = locate(source, "run", "entry", hint="'keras-lmf train RECIPE' makes a run.")
    if place.kind == "run":
        return Run.open(place.path)
    files = fetching.files_of(place)
    return EntryRun(run_folder(files.entry.name), fetching.recipe(files), files=files)


def with_data(run: Run, data: Path | None) -> Run:
    """The run with its corpus from the folder `data`."""
    return dataclasses.replace(run, data=dataset(run.recipe, data))


def run_folder(name: str) -> Path:
    """Where a recipe is trained, and where reports and files of a zoo entry go, when no folder is given."""
    return Path("runs") / name


def dataset(recipe: Recipe, data: Path | None) -> Dataset:
    """The recipe's corpus from the folder `data`; or the .npz, or the folder that `extract` wrote, itself."""
    if data is not None and (data.suffix == ".npz" or is_arrays(data)):
        return corpora.load(data, inputs=recipe.recorded)
    return corpora.load(recipe.corpus.name, data, recipe.recorded, **recipe.corpus.options)
