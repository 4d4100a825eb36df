"""What happens around each epoch: early stopping, saving, the guard against a loss that is not finite."""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.recipe import Training
from keras_lmf.training.checkpoint import State

# What a recipe's `training.monitor` watches: the key in the logs, and the factor that makes smaller better.
WATCHED = {"loss": ("val_loss", 1), "pearson": ("val_pearson", -1)}


class NotFiniteLoss(LMFError):
    """The loss became NaN or infinite; training stopped."""


class Monitor(keras.callbacks.Callback):
    """Early stopping on what the recipe watches on "valid", the state saved after every epoch, and a stop at the first
    bad loss.

    Without validation every epoch counts as the best: all epochs run and the last weights are kept.

    Args:
        state: of the run; its progress is kept here.
        training: of the recipe: `monitor`, `patience` epochs without a better value before the run ends, and
            `epochs` at which it ends.
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
            kept = f"epoch {progress.best_epoch}" if progress.best_epoch else "the start"
            raise NotFiniteLoss(
                f"The {what} became {loss} at epoch {progress.epoch + 1}{step}. The weights of {kept} are kept. "
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
        since_best = progress.epoch - progress.best_epoch
        progress.finished = progress.epoch >= self.training.epochs or since_best >= self.training.patience
        self.save()
        if progress.finished:
            self.model.stop_training = True
