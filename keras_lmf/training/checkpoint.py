"""The state of a run in one file, so that a killed run resumes to bit-identical weights; and what happens around each
epoch: early stopping, saving, the guard against a loss that is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from keras_lmf import documents
from keras_lmf.data.npz import read_npz
from keras_lmf.errors import LMFError
from keras_lmf.files import write_atomically
from keras_lmf.models import refresh_standardization
from keras_lmf.recipe import Training

# What a recipe's `training.monitor` watches: the key in the logs, and the factor that makes smaller better.
WATCHED = {"loss": ("val_loss", 1), "pearson": ("val_pearson", -1)}


class Progress(BaseModel):
    """Where a run stands after its last whole epoch.

    Attributes:
        fingerprint: of recipe, data and backend; a state resumes only the run that wrote it.
        epoch: epochs done.
        best_epoch: number of the epoch (from 1) with the best value on "valid"; 0 before the first.
        best_value: that value, smaller is better.
        history: one row per epoch: every logged value by name.
        finished: the epochs are used up or early stopping ended the run.
    """

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")

    fingerprint: str
    epoch: int = 0
    best_epoch: int = 0
    best_value: float = math.inf
    history: list[dict[str, int | float]] = []
    finished: bool = False

    @model_validator(mode="after")
    def _agrees(self) -> Progress:
        epochs = [row.get("epoch") for row in self.history]
        counted = self.epoch == len(epochs) and epochs == list(range(1, len(epochs) + 1))
        if not counted or not 0 <= self.best_epoch <= self.epoch:
            raise ValueError("its epochs don't agree")
        return self


class State:
    """Every number that training changes, and the weights of the best epoch.

    `model.variables` includes the states of the seed generators (dropout, noise), which `model.weights` and so
    Keras's own backups leave out.
    """

    def __init__(self, model: keras.Model, progress: Progress) -> None:
        self.model = model
        self.progress = progress
        self.best_weights = self.weights()

    def weights(self) -> list[np.ndarray]:
        """The model's weights now, as copies."""
        return [np.array(weight) for weight in self.model.get_weights()]

    def move_to(self, model: keras.Model) -> None:
        """Goes on with `model`, of another stage: all variables but its optimizer's are taken over."""
        for variable, before in zip(model.variables, self.model.variables, strict=True):
            variable.assign(keras.ops.convert_to_numpy(before))
        self.model = refresh_standardization(model)

    def _variables(self) -> dict[str, keras.Variable]:
        groups = {"model": self.model.variables, "optimizer": self.model.optimizer.variables}
        return {f"{name}/{i}": variable for name, group in groups.items() for i, variable in enumerate(group)}

    def arrays(self) -> dict[str, np.ndarray]:
        """All numbers by name, as copies."""
        arrays = {key: keras.ops.convert_to_numpy(value) for key, value in self._variables().items()}
        return arrays | {f"best/{i}": weight for i, weight in enumerate(self.best_weights)}

    def save(self, path: Path) -> None:
        """Writes the state atomically."""
        arrays = {"progress": np.array(self.progress.model_dump_json()), **self.arrays()}
        write_atomically(path, lambda temporary: np.savez(temporary, **arrays))

    def read(self, path: Path) -> tuple[dict[str, np.ndarray], Progress]:
        """What `save` wrote; the optimizer must be built.

        Raises:
            LMFError: the file is damaged or belongs to another run.
        """
        arrays, progress = _read(path)
        if progress.fingerprint != self.progress.fingerprint:
            raise LMFError(
                f"{path.parent} holds a run of another recipe, other data or another backend. Name another folder, "
                "or delete this one."
            )
        for name, array in self.arrays().items():
            found = arrays.get(name)
            if found is None or (found.shape, found.dtype) != (array.shape, array.dtype):
                raise _damaged(path, f"{name!r} is missing, or has another shape or dtype.")
        return {name: arrays[name] for name in self.arrays()}, progress

    def take(self, arrays: Mapping[str, np.ndarray], progress: Progress) -> None:
        """Goes on from what `read` gave."""
        for name, variable in self._variables().items():
            variable.assign(arrays[name])
        self.best_weights = [arrays[f"best/{i}"] for i in range(len(self.best_weights))]
        self.progress = progress


def read_progress(path: Path) -> Progress:
    """How far the run is whose state `path` holds; an LMFError where the file is damaged."""
    return _read(path)[1]


def _read(path: Path) -> tuple[dict[str, np.ndarray], Progress]:
    try:
        arrays = read_npz(path, ["progress"])
        return arrays, documents.parse(str(arrays["progress"]).encode(), Progress, "'progress'", finite=False)
    except LMFError as error:
        raise _damaged(path, f"{error}") from None


def _damaged(path: Path, problem: str) -> LMFError:
    return LMFError(
        f"{path} is damaged: {problem} Delete the run's folder to start again, or name another folder."
    )


class NotFiniteLoss(LMFError):
    """The loss became NaN or infinite; training stopped."""


class Monitor(keras.callbacks.Callback):
    """Early stopping on what the recipe watches on "valid", the state saved after every epoch, and a stop at the first
    bad loss.

    Without validation every epoch counts as the best: all epochs run and the last weights are kept.

    Args:
        state: of the run; its progress is kept here.
        training: of the recipe: `monitor`, `patience` epochs without a better value before the run ends, and
            `epochs` at which it ends. In its first stage no run ends, and epochs without a better value count from
            that stage's end.
        save: called after each epoch, once `state` is up to date.
        sample: inputs on which the model must give finite outputs after an epoch without validation.
    """

    def __init__(
        self,
        state: State,
        training: Training,
        save: Callable[[], None],
        sample: dict[str, np.ndarray],
    ) -> None:
        super().__init__()
        self.state = state
        self.training = training
        self.save = save
        self.sample = sample

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        # The logged loss is the epoch's running mean: not finite from the first bad step on.
        self._require_finite("loss", (logs or {})["loss"], f", step {batch + 1}")

    def _require_finite(self, what: str, loss: float, step: str = "") -> None:
        if not math.isfinite(loss):
            progress = self.state.progress
            kept = f"The weights of epoch {progress.best_epoch}" if progress.best_epoch else "No weights"
            raise NotFiniteLoss(
                f"The {what} became {loss} at epoch {progress.epoch + 1}{step}. {kept} are kept. "
                "Try a smaller training.learning_rate, and look for outliers in the features."
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {name: float(value) for name, value in (logs or {}).items()}
        # The update of the epoch's last step shows up here first.
        if "val_loss" in logs:
            self._require_finite("validation loss", logs["val_loss"])
        else:
            outputs = self.model(self.sample, training=False)
            self._require_finite("output", float(sum(keras.ops.sum(output) for output in outputs.values())))
        progress = self.state.progress
        progress.epoch = epoch + 1
        progress.history.append({"epoch": epoch + 1, **logs})
        name, sign = WATCHED[self.training.monitor]
        value = sign * logs.get(name, -math.inf)
        if value < progress.best_value or name not in logs:
            progress.best_value, progress.best_epoch = value, epoch + 1
            self.state.best_weights = self.state.weights()
        first = self.training.first.epochs if self.training.first else 0
        since_best = progress.epoch - max(progress.best_epoch, first)
        progress.finished = progress.epoch >= self.training.epochs or since_best >= self.training.patience
        self.save()
        if progress.finished:
            self.model.stop_training = True
