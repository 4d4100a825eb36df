"""A training run: a folder that can be read by itself."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from keras_lmf.data import corpora
from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import Report, evaluate
from keras_lmf.models import build
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training.fitting import fitting
from keras_lmf.training.monitor import WATCHED

RECIPE, WEIGHTS, HISTORY = "recipe.toml", "model.weights.h5", "history.csv"
CURVES, ENVIRONMENT, STATE = "history.png", "environment.json", "state.npz"
CALIBRATION = "calibration.json"


@dataclass(frozen=True)
class Run:
    """What `train` leaves behind.

    The folder holds `recipe.toml`, `environment.json` (versions, backend, fingerprints), `model.weights.h5` (of the
    epoch that was best on "valid"), `history.csv` and `history.png` (every logged value per epoch),
    `calibration.json` (for classes: the temperature that fits "valid") and `state.npz` (to resume).

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
        """The recipe's model with the run's best weights."""
        model = build(self.recipe)
        path = self.folder / WEIGHTS
        try:
            model.load_weights(path)
        except (OSError, ValueError, KeyError) as error:
            raise LMFError(f"{path} does not hold this recipe's weights: {error}") from None
        return model

    @property
    def history(self) -> pd.DataFrame:
        """Every logged value, one row per epoch."""
        return pd.read_csv(self.folder / HISTORY, index_col="epoch")

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
        return int(self.history.index[-1] if watched is None else watched.idxmin())

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, backend and fingerprints of the run."""
        return json.loads((self.folder / ENVIRONMENT).read_text(encoding="utf-8"))

    @property
    def temperature(self) -> float | None:
        """By which logits are divided before the softmax; None for a regression, or without validation."""
        path = self.folder / CALIBRATION
        return json.loads(path.read_text(encoding="utf-8"))["temperature"] if path.is_file() else None

    def dataset(self) -> Dataset:
        """The data in memory, or the recipe's corpus, loaded, with the recipe's modalities."""
        data = self.data
        if data is None:
            data = corpora.load(self.recipe.corpus.name, **self.recipe.corpus.options)
        return fitting(self.recipe, data)

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
