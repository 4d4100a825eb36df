"""What the folder of a run says: its recipe, the detector of its day, and its temperatures."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict

from keras_lmf import documents
from keras_lmf.files import write_text
from keras_lmf.locate import RECIPE
from keras_lmf.recipe.recipe import Recipe
from keras_lmf.sources import Face
from keras_lmf.spec import (
    DEFAULT_DETECTOR,
    FORMER_DETECTOR,
    DetectorName,
    ModelSpec,
    Spec,
    SubsetTemperatures,
    Temperature,
)

CALIBRATION, ENVIRONMENT = "calibration.json", "environment.json"


class FittedTemperature(Spec):
    """What `calibration.json` of a run says: the temperatures that fit `rows` rows of `split`."""

    model_config = ConfigDict(extra="ignore")

    temperature: Temperature
    subset_temperatures: SubsetTemperatures = None
    split: str | None = None
    rows: int | None = None

    @classmethod
    def read(cls, folder: Path) -> FittedTemperature | None:
        """Of the run in `folder`; None where there is none."""
        path = folder / CALIBRATION
        return documents.read(path, cls) if path.exists() else None

    def write(self, folder: Path) -> Path:
        """Writes it into the run's folder, atomically."""
        return write_text(folder / CALIBRATION, self.model_dump_json(indent=2, exclude_none=True) + "\n")


class _Defaults(Spec):
    """What `environment.json` of a run says was done where its recipe says nothing."""

    model_config = ConfigDict(extra="ignore")

    face_detector: DetectorName = FORMER_DETECTOR


def run_recipe(folder: Path) -> Recipe:
    """The recipe of the run in `folder`; where it leaves away the source of frames, with the face as it was found then,
    if that is no longer the default."""
    recipe, told = Recipe.read(folder / RECIPE), folder / ENVIRONMENT
    if not told.is_file() or (detector := documents.read(told, _Defaults).face_detector) == DEFAULT_DETECTOR:
        return recipe
    former = {"source": Face(detector=detector)}
    inputs = {
        name: section.model_copy(update=former)
        if section.media == "frames" and section.source is None
        else section
        for name, section in recipe.inputs.items()
    }
    return recipe.model_copy(update={"inputs": inputs})


def run_spec(folder: Path) -> ModelSpec:
    """What the model of the run in `folder` takes and gives: its recipe's spec, with the run's temperatures."""
    stored, fitted = Recipe.read(folder / RECIPE), FittedTemperature.read(folder)
    spec = run_recipe(folder).spec.model_copy(update={"recipe": stored.spec.recipe})
    if fitted is None:
        return spec
    return spec.model_copy(
        update={name: getattr(fitted, name) for name in ("temperature", "subset_temperatures")}
    )
