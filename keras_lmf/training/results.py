"""What a training leaves in its folder beside recipe and state: weights, curves, temperatures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from keras_lmf.data.dataset import Split
from keras_lmf.evaluation import plots
from keras_lmf.evaluation.calibration import fit_subset_temperatures, fit_temperature
from keras_lmf.files import write_atomically, write_text
from keras_lmf.locate import WEIGHTS
from keras_lmf.recipe import FittedTemperature, Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training.checkpoint import Progress
from keras_lmf.training.run import CURVES, HISTORY


def write_history(folder: Path, progress: Progress) -> None:
    write_text(folder / HISTORY, pd.DataFrame(progress.history).to_csv(index=False))


def write_results(folder: Path, recipe: Recipe, model: keras.Model, progress: Progress) -> None:
    """The best weights and the curves, once the run is over."""
    write_atomically(folder / WEIGHTS, model.save_weights)
    if progress.history:
        write_history(folder, progress)  # a kill may have come between state and history
        history = pd.DataFrame(progress.history).set_index("epoch")
        figure = plots.training_curves(history, recipe.name, best_epoch=progress.best_epoch)
        plots.save(figure, folder / CURVES)


def calibrate(folder: Path, model: keras.Model, valid: Split, presence: bool) -> None:
    """The temperatures that fit the kept weights to the validation split (Guo et al. 2017)."""
    runtime = open_artifact(model)

    def logits(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return runtime.predict(inputs)[valid.target.name]

    FittedTemperature(
        temperature=fit_temperature(logits(valid.inputs), valid.labels),
        subset_temperatures=fit_subset_temperatures(logits, valid.inputs, valid.labels) if presence else None,
        split="valid",
        rows=len(valid),
    ).write(folder)
