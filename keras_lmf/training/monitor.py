"""What happens around each epoch: early stopping, saving, the NaN guard, the progress bar."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from keras_lmf.errors import LMFError
from keras_lmf.training.checkpoint import State


class NotFiniteLoss(LMFError):
    """The loss became NaN or infinite; training stopped."""


class Monitor(keras.callbacks.Callback):
    """Early stopping on the validation loss, the state saved after every epoch, and a stop at the first bad loss.

    Without a validation loss every epoch counts as the best: all epochs run and the last weights are kept.

    Args:
        state: of the run; its progress is kept here.
        patience: epochs without a smaller validation loss before the run ends.
        epochs: at which the run ends.
        save: called after each epoch, once `state` is up to date.
        sample: inputs on which the model must give finite outputs after an epoch without validation.
    """

    def __init__(
        self,
        state: State,
        patience: int,
        epochs: int,
        save: Callable[[], None],
        sample: dict[str, np.ndarray],
    ) -> None:
        super().__init__()
        self.state = state
        self.patience = patience
        self.epochs = epochs
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
        loss = logs.get("val_loss", -math.inf)
        if loss < progress.best_loss or "val_loss" not in logs:
            progress.best_loss, progress.best_epoch = loss, epoch + 1
            self.state.best_weights = self.state.weights()
        progress.finished = (
            progress.epoch >= self.epochs or progress.epoch - progress.best_epoch >= self.patience
        )
        self.save()
        if progress.finished:
            self.model.stop_training = True


class ProgressBar(keras.callbacks.Callback):
    """One bar on standard error over the epochs, with the losses; gone when training ends."""

    def __init__(self, name: str, first_epoch: int, epochs: int) -> None:
        super().__init__()
        self.bar = tqdm(total=epochs, initial=first_epoch, desc=name, unit="epoch", leave=False, delay=2)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        losses = {name: f"{logs[name]:.4f}" for name in ("loss", "val_loss") if name in (logs or {})}
        self.bar.set_postfix(losses, refresh=False)
        self.bar.update()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.bar.close()
