"""A training run: a folder that can be read by itself."""

from __future__ import annotations

import functools
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import pandas as pd
from pydantic import JsonValue, RootModel

from keras_lmf import documents
from keras_lmf.backend import installed
from keras_lmf.data import corpora
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.tables import read_csv
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.evaluation import Report, evaluate
from keras_lmf.locate import RECIPE, WEIGHTS
from keras_lmf.models.pretrained import load_own
from keras_lmf.recipe import Recipe, run_recipe, run_spec
from keras_lmf.recipe.runs import ENVIRONMENT
from keras_lmf.runtime import open_artifact
from keras_lmf.sources import RecordedInput
from keras_lmf.spec import ModelSpec, attach
from keras_lmf.training.checkpoint import WATCHED

if TYPE_CHECKING:
    from keras_lmf.export import Artifact

HISTORY, CURVES = "history.csv", "history.png"
STATE = "state.npz"
PACKAGES = ("keras-lmf", "keras", "numpy", "tensorflow", "tensorflow-cpu", "jax", "torch")


@dataclass(frozen=True)
class Run:
    """What `train` leaves behind.

    The folder holds `recipe.toml`, `environment.json` (versions, backend, fingerprints), `model.weights.h5` (of the
    epoch that was best on "valid"), `history.csv` and `history.png` (every logged value per epoch),
    `calibration.json` (for classes: the temperatures that fit "valid") and `state.npz` (to resume).

    Attributes:
        folder: the run's folder.
        recipe: what was trained.
        data: the corpus in memory, or None to load the recipe's corpus when needed.
    """

    folder: Path
    recipe: Recipe
    data: Dataset | None = None

    @classmethod
    def open(cls, folder: str | Path, data: Dataset | None = None) -> Run:
        """The finished run in `folder`."""
        folder = Path(folder)
        if not (folder / RECIPE).is_file():
            raise LMFError(f"{folder} is not a run: it has no {RECIPE}. 'keras-lmf train RECIPE' makes one.")
        if not (folder / WEIGHTS).is_file():
            raise LMFError(f"The run in {folder} has no {WEIGHTS} yet: train it to the end first.")
        return cls(folder, Recipe.read(folder / RECIPE), data)

    @functools.cached_property
    def model(self) -> keras.Model:
        """The recipe's model with the run's best weights; `model.spec` is the run's."""
        return attach(load_own(self.recipe, self.folder / WEIGHTS), self.spec)

    @property
    def spec(self) -> ModelSpec:
        """What the model takes and gives: the recipe's, with the run's temperatures."""
        return run_spec(self.folder)

    @property
    def history(self) -> pd.DataFrame:
        """Every logged value, one row per epoch."""
        path = self.folder / HISTORY
        _, lines = read_csv(path, ["epoch"], "'keras-lmf train' writes it.")
        try:
            rows = [{name: float(value or "nan") for name, value in row.items()} for _, row in lines]
            return pd.DataFrame(rows).astype({"epoch": int}).set_index("epoch")
        except (ValueError, KeyError) as error:  # KeyError: no line
            raise LMFError(f"{path}: no table of numbers by epoch ({error}).") from None

    @property
    def watched(self) -> pd.Series | None:
        """What chose the epoch on "valid", by epoch, smaller is better; None without validation."""
        name, sign = WATCHED[self.recipe.training.monitor]
        history = self.history
        return sign * history[name] if name in history else None

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are kept: the best one on "valid", or the last without validation."""
        watched = self.watched
        return int(self.history.index[-1] if watched is None or watched.isna().all() else watched.idxmin())

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, backend and fingerprints of the run."""
        return documents.read(self.folder / ENVIRONMENT, RootModel[dict[str, JsonValue]]).root

    @property
    def temperature(self) -> float | None:
        """By which logits are divided before the softmax; None for a regression, or without validation."""
        return self.spec.temperature

    def dataset(self) -> Dataset:
        """The data in memory, or the recipe's corpus, loaded, with the recipe's modalities."""
        data = self.data
        if data is None:
            data = corpora.load(self.recipe.corpus.name, inputs=self._recorded, **self.recipe.corpus.options)
        return fitting(self.recipe, data)

    @property
    def _recorded(self) -> dict[str, RecordedInput]:
        told = (self.folder / RECIPE).is_file()
        return run_recipe(self.folder).recorded if told else self.recipe.recorded

    def evaluate(
        self, split: str = "test", *, resamples: int = 1000, artifact: str | Path | None = None
    ) -> Report:
        """Every protocol of the task on one split, with bootstrap intervals and the floor of the training labels.

        Args:
            split: "train", "valid" or "test".
            resamples: of the bootstrap; 0 for no intervals.
            artifact: a SavedModel folder or .tflite to judge instead of the run's own weights.
        """
        data = self.dataset()
        judged = open_artifact(self.model if artifact is None else artifact)
        predictions = judged.predict(data[split].inputs)
        return evaluate(predictions, data[split], train_labels=data["train"].labels, resamples=resamples)

    def export(
        self, folder: str | Path, formats: Sequence[str] = ("saved_model", "tflite"), **options: Any
    ) -> list[Artifact]:
        """Writes the model's files to `folder`, each judged on "test", with int8 scales from "train".

        Args:
            folder: made when it isn't there.
            formats: names of formats.
            options: others of `export_model`, whose errors are those of this.
        """
        from keras_lmf.export import export_model

        data = self.dataset()
        given = {
            "evaluation": data["test"],
            "calibration": data["train"],
            "train_labels": data["train"].labels,
        }
        return export_model(self.model, folder, formats, **given | options)


def environment() -> dict[str, Any]:
    """What a run runs on: versions, backend, precision and kind of machine, as plain values."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "backend": keras.backend.backend(),
        "dtype_policy": keras.config.dtype_policy().name,
        "packages": installed(PACKAGES),
    }


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
