"""RUN of evaluate and export: a run's folder, or a zoo entry."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_lmf import zoo
from keras_lmf.data import Dataset, corpora
from keras_lmf.errors import LMFError
from keras_lmf.export import InputDescription
from keras_lmf.recipe import Recipe
from keras_lmf.training import Run
from keras_lmf.zoo import fetching
from keras_lmf.zoo.entry import ENTRY, Entry


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


def opened(source: str, data: Path | None) -> tuple[Run, dict[str, Any]]:
    """The run with its data, and what `export_model` is told of a zoo entry: licences, inputs, calibration."""
    path = zoo.local_path(source)
    if path is not None and not (path / ENTRY).is_file():
        run = Run.open(path)
        return Run(path, run.recipe, dataset(run.recipe, data)), facts_of_run(run)
    try:
        place = fetching.find(source)
    except LMFError as error:
        raise LMFError(f"{source} is not a run's folder, and no zoo entry can be had: {error}") from None
    recipe = fetching.recipe(place)
    return EntryRun(run_folder(place.entry.name), recipe, dataset(recipe, data), source), _facts(place.entry)


def run_folder(name: str) -> Path:
    """Where a recipe is trained, and where reports and files of a zoo entry go, when no folder is given."""
    return Path("runs") / name


def dataset(recipe: Recipe, data: Path | None) -> Dataset:
    """The recipe's corpus from the folder `data`, or the .npz itself."""
    if data is not None and data.suffix == ".npz":
        return corpora.load(data)
    return corpora.load(recipe.corpus.name, data, **recipe.corpus.options)


def facts_of_run(run: Run) -> dict[str, Any]:
    """What `export_model` is told of a run beside its recipe."""
    return {
        "temperature": run.temperature,
        "tolerance": 1e-4 if any(part.media for part in run.recipe.inputs.values()) else 1e-5,
    }


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        "licence": entry.licences.model_dump(),
        "descriptions": {
            name: InputDescription(
                rate=spec.rate, unit=spec.unit, description=spec.description, media=spec.media
            )
            for name, spec in entry.inputs.items()
        },
        "temperature": entry.calibration and entry.calibration.temperature,
        "presence": entry.presence,
        "tolerance": 1e-4 if any(spec.media for spec in entry.inputs.values()) else 1e-5,
    }
