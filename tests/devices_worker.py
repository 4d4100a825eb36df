"""A small training that is divided among devices, for test_devices.py, in a process of its own that may be killed.

python devices_worker.py FOLDER [ADDRESS PROCESSES PROCESS]    prints "epoch N" after every epoch
"""

from __future__ import annotations

import sys
from pathlib import Path

from one_framework import keep_apart
from resume_worker import Pace, recipe, sequences

from keras_lmf.errors import LMFError
from keras_lmf.recipe import Recipe
from keras_lmf.training import Devices, train


def words() -> Recipe:
    """30 rows in batches of 7, which two devices can't share evenly; the last batch has 2. Two stages."""
    training = {"epochs": 4, "batch_size": 7, "first": {"epochs": 1, "train": ["fusion", "head"]}}
    return recipe(training=training)


if __name__ == "__main__":
    keep_apart()
    folder, *place = sys.argv[1:]
    try:
        if place:
            devices = Devices.of_processes(place[0], int(place[1]), int(place[2]))
        else:
            devices = Devices.of_this_process()
        run = train(words(), sequences(), Path(folder), callbacks=[Pace()], devices=devices)
        print(f"{devices.count} devices, process {devices.process}", flush=True)
    except LMFError as error:
        sys.exit(f"{error}")
