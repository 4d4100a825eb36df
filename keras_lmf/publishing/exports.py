"""All formats of an entry's model, what their sidecars say, and the way of the shipped ones into the entry's folder."""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import keras

from keras_lmf.data import Dataset
from keras_lmf.data.corpora import CorpusDescription
from keras_lmf.errors import LMFError
from keras_lmf.export import Artifact, NotAllWritten
from keras_lmf.files import write_atomically
from keras_lmf.locate import known_backbones
from keras_lmf.models import pretrained
from keras_lmf.publishing.shipping import FORMATS
from keras_lmf.recipe import Recipe
from keras_lmf.records import Backbone
from keras_lmf.sidecar import Sidecar
from keras_lmf.spec import InputSpec, ModelSpec
from keras_lmf.training import Run
from keras_lmf.zoo import Calibration, Entry, Licences


def require_tensorflow(command: str) -> None:
    """Exports are judged beside the Keras model on TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise LMFError(
            f"This command exports: start again with\n  KERAS_BACKEND=tensorflow keras-lmf {command} …"
        )


def published_backbones(recipe: Recipe) -> list[Backbone]:
    """What the recipe takes its trained front ends from."""
    return [Backbone.read(known_backbones()[name]) for name in pretrained.names(recipe).values()]


def licences_of(facts: CorpusDescription, backbones: Iterable[Backbone]) -> Licences:
    """An entry's licences: of the weights those of the corpus and of each backbone, none twice."""
    told = "; ".join([facts.weights_licence, *(backbone.licences.weights for backbone in backbones)])
    words = re.split(r"; (?![^(]*\))", told)  # none inside brackets
    return Licences(code="Apache-2.0", weights="; ".join(dict.fromkeys(words)), data=facts.licence)


def input_specs(recipe: Recipe, facts: CorpusDescription) -> dict[str, InputSpec]:
    """What the recipe and the corpus know of each input."""
    said = {name: dict(zip(("unit", "description"), facts.inputs[name])) for name in recipe.inputs}
    return {name: spec.model_copy(update=said[name]) for name, spec in recipe.spec.inputs.items()}


def sidecar_spec(
    recipe: Recipe,
    data: Dataset,
    facts: CorpusDescription,
    calibration: Calibration | None,
    licences: Licences,
) -> ModelSpec:
    """What the sidecars say: `input_specs`, with rates and ranges of features too."""
    train = data["train"].inputs
    inputs = {
        name: spec.model_copy(
            update={
                "rate": spec.rate or facts.inputs[name].rate,
                "range": (float(train[name].min()), float(train[name].max())),
            }
        )
        for name, spec in input_specs(recipe, facts).items()
    }
    return recipe.spec.replace(
        inputs=inputs,
        licence=licences.model_dump(),
        temperature=calibration and calibration.temperature,
        subset_temperatures=calibration and calibration.subset_temperatures,
    )


def exported(run: Run, spec: ModelSpec, resamples: int) -> tuple[dict[str, Artifact], dict[str, str]]:
    """The artifacts by format, and why there is none of the others."""
    try:
        artifacts, problems = run.export(run.folder / "exported", FORMATS, resamples=resamples, spec=spec), {}
    except NotAllWritten as error:
        artifacts, problems = error.artifacts, error.problems
    told = {name: " ".join(why.replace(str(run.folder), "the run").split()) for name, why in problems.items()}
    return {artifact.format: artifact for artifact in artifacts}, told


def gathered(artifacts: Mapping[str, Artifact], shipped: Iterable[str], folder: Path) -> dict[str, str]:
    """Copies the shipped files and their sidecars into a folder, and gives their names by the keys of an entry."""
    names = {}
    for name in shipped:
        file = artifacts[name].path
        for key, source in ((name, file), (f"{name}-sidecar", Sidecar.path_of(file))):
            shutil.copyfile(source, folder / source.name)
            names[key] = source.name
    return names


def put_in_place(entry: Entry, made: Path, folder: Path) -> None:
    """The entry and what was made for it go into its folder, and what the entry before shipped and this one doesn't
    leaves it. Interrupted, it is made good by another call; until then nothing is fetched from the folder.
    """
    for path in made.iterdir():
        write_atomically(folder / path.name, functools.partial(shutil.copyfile, path))
    kept = {file.name for file in entry.files.values()}
    with contextlib.suppress(LMFError):  # a first entry, or one that can't be read
        for file in Entry.read(folder).files.values():
            if file.name not in kept:
                (folder / file.name).unlink(missing_ok=True)
    entry.write(folder)
