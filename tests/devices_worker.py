"""One training on one device, and again divided among two of one process, for test_devices.py.

python devices_worker.py FOLDER    writes the data mine.npz, the recipe words.toml, and the runs "one" and "two"
"""

from __future__ import annotations

import sys
from pathlib import Path

from one_framework import keep_apart
from resume_worker import recipe, sequences

from keras_lmf.recipe import Recipe
from keras_lmf.training import Devices, train

EPOCHS = 20


def words() -> Recipe:
    """30 rows in batches of 7, which two devices can't share evenly, and a last one of 2; noise and dropout."""
    regularised = {"input_dropout": 0.2, "input_noise": 0.3, "dropout": 0.2, "units": [5]}
    return recipe(
        corpus={"name": "mine.npz"},
        inputs={
            "audio": {"backbone": {"name": "average_pooling", **regularised}},
            "video": {"backbone": {"name": "mlp", **regularised}},
        },
        presence={"dropout": 0.2},
        training={
            "epochs": EPOCHS,
            "patience": EPOCHS,
            "batch_size": 7,
            "learning_rate": 2e-3,
            "first": {"epochs": 2, "train": ["fusion", "head"]},
        },
    )


if __name__ == "__main__":
    keep_apart()
    folder = Path(sys.argv[1])
    sequences().save(folder / "mine.npz")
    words().write(folder / "words.toml")
    data = sequences()
    train(words(), data, folder / "one")
    devices = Devices.of_this_process()
    assert devices.count == 2
    train(words(), data, folder / "two", devices=devices)
