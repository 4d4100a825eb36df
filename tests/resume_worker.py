"""A small training run for test_resume.py, in a process of its own that may be killed.

python resume_worker.py FOLDER                 trains FOLDER, prints "epoch N" after every epoch
python resume_worker.py FOLDER --die-at-write N    kills itself in the middle of its Nth write of a file
python resume_worker.py FOLDER --diverge           the loss overflows in the third epoch
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path

import keras
import numpy as np
from one_framework import keep_apart
from scipy.special import softmax
from sklearn.metrics import log_loss

from keras_lmf.data.dataset import Dataset
from keras_lmf.recipe import Recipe
from keras_lmf.target import Target
from keras_lmf.training import NotFiniteLoss, Run, train

CLASSES = ("calm", "happy", "sad")


def sequences(seed: int = 3, test_shift: float = 0.0) -> Dataset:
    """66 learnable samples, unevenly spread over three classes: audio (5, 4) with a mask, video (3,)."""
    random = np.random.default_rng(seed)
    splits = np.array(["train"] * 30 + ["valid"] * 20 + ["test"] * 16)
    labels = random.choice(3, size=len(splits), p=[0.6, 0.25, 0.15])
    labels[[0, 1, 2, 30, 31, 32, 50, 51, 52]] = [0, 1, 2] * 3
    centres = random.normal(size=(3, 4))
    audio = centres[labels][:, None, :] + random.normal(size=(len(splits), 5, 4))
    video = centres[labels][:, :3] + random.normal(size=(len(splits), 3))
    audio[splits == "test"] += test_shift
    return Dataset(
        name="tiny",
        target=Target(name="emotion", classes=CLASSES),
        inputs={"audio": audio, "video": video},
        masks={"audio": np.arange(5) < random.integers(1, 6, size=len(splits))[:, None]},
        labels=labels,
        groups=splits,
        ids=np.array([f"clip{row}" for row in range(len(splits))]),
        splits=splits,
    )


def recipe(**changes) -> Recipe:
    """An LSTM and an MLP, fused with a rate of their own, with everything random switched on."""
    base = Recipe(
        name="tiny-lmf",
        seed=11,
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": CLASSES},
        inputs={
            "audio": {
                "shape": (5, 4),
                "backbone": {
                    "name": "lstm",
                    "units": 6,
                    "input_dropout": 0.2,
                    "input_noise": 0.3,
                    "dropout": 0.2,
                },
            },
            "video": {
                "shape": (3,),
                "backbone": {"name": "mlp", "units": (5,), "input_noise": 0.1, "dropout": 0.2},
            },
        },
        fusion={"name": "low_rank", "units": 6, "rank": 2},
        head={"dropout": 0.1},
        training={
            "epochs": 10,
            "batch_size": 8,
            "learning_rate": 0.01,
            "fusion_learning_rate": 0.003,
            "weight_decay": 0.001,
            "loss": "cross_entropy",
            "class_weights": "balanced",
            "patience": 10,
        },
    )
    return base.replace(**changes)


def pooled_recipe(**changes) -> Recipe:
    """The same without a loop, which takes longest to trace."""
    audio = {"name": "average_pooling", "units": [5], "input_noise": 0.3, "dropout": 0.2}
    return recipe(inputs={"audio": {"backbone": audio}}).replace(**changes)


class Pace(keras.callbacks.Callback):
    """Tells who watches how far training is, and gives them time to act."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        print(f"epoch {epoch + 1}", flush=True)
        time.sleep(0.05)


class Diverge(keras.callbacks.Callback):
    """From the third epoch on, a rate at which float32 overflows."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch == 2:
            self.model.optimizer.learning_rate = 1e30


class InterruptAfter(keras.callbacks.Callback):
    """Ctrl-C at the end of an epoch, counted from 1."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.at = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch + 1 == self.at:
            raise KeyboardInterrupt


def die_at_write(number: int) -> None:
    """Lets SIGKILL come between filling the temporary file of the `number`th write and renaming it."""
    rename, count = Path.replace, iter(range(1, 10**6))

    def replace(self: Path, target: Path) -> Path:
        if next(count) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

    Path.replace = replace


if __name__ == "__main__":
    keep_apart()
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--die-at-write", type=int)
    parser.add_argument("--diverge", action="store_true")
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a job in the background inherits that it is ignored
    arguments = parser.parse_args()
    if arguments.die_at_write:
        die_at_write(arguments.die_at_write)
    for folder in arguments.folders:
        try:
            train(
                recipe(), sequences(), folder, callbacks=[Pace(), *([Diverge()] if arguments.diverge else [])]
            )
        except NotFiniteLoss as error:
            print(error)
            split = sequences()["valid"]
            logits = Run.open(folder).model.predict(split.inputs, verbose=0)["emotion"].astype(np.float64)
            print(f"reopened: {log_loss(split.labels, softmax(logits, axis=1))!r}")
