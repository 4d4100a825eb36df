"""The epochs of a training: stage by stage, batch by batch, on one device or several."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence

import keras

from keras_lmf.data.augmentation import with_copies
from keras_lmf.data.batches import Batches, balanced_class_weights, epoch_order
from keras_lmf.data.dataset import Dataset
from keras_lmf.recipe import Recipe, Training
from keras_lmf.training.checkpoint import Monitor, State
from keras_lmf.training.devices import OneDevice
from keras_lmf.training.optimizer import compiled
from keras_lmf.training.stages import stages

VALID_ROWS = 256  # in a batch


def steps_of(training: Training, data: Dataset) -> int:
    """How many an epoch has."""
    rows = data.splits == "train"
    copies = training.augmentation.copies if training.augmentation else 1
    own = data.corpora[rows] if training.batches == "corpora" and data.corpora is not None else None
    order = epoch_order(copies * int(rows.sum()), None, 0, with_copies(own, copies))
    return math.ceil(len(order) / training.batch_size)


def fit_epochs(
    recipe: Recipe,
    data: Dataset,
    steps: int,
    state: State,
    save: Callable[[], None],
    callbacks: Sequence[keras.callbacks.Callback],
    devices: OneDevice,
) -> None:
    """Goes on, stage by stage; a stage that begins takes over all but the optimizer of the one before."""
    training, size = recipe.training, recipe.training.batch_size
    options = {"of": training.batches, "part": functools.partial(devices.part, batch_size=size)}
    if training.class_weights == "balanced":
        options["class_weights"] = balanced_class_weights(data["train"])
    valid = None
    if "valid" in data.split_names:
        part = functools.partial(devices.part, batch_size=VALID_ROWS)
        valid = Batches(data["valid"], VALID_ROWS, part=part)
    with warnings.catch_warnings():  # in a notebook without ipywidgets tqdm says that its bars are plain
        warnings.simplefilter("ignore")
        from tqdm.keras import TqdmCallback
    sample = {modality: values[:1] for modality, values in data["train"].inputs.items()}
    monitor = Monitor(state, training, save, sample)
    for stage in stages(recipe):
        first_epoch = state.progress.epoch
        if first_epoch >= stage.end or state.progress.finished:
            continue
        batches = Batches(data["train"], size, seed=recipe.seed, first_epoch=first_epoch, **options)
        bar = TqdmCallback(stage.end, verbose=0, desc=recipe.name, initial=first_epoch, leave=False, delay=2)
        shown = [bar] if devices.lead else []
        try:
            with devices.scope():
                if 0 < first_epoch == stage.start:
                    state.move_to(compiled(recipe, steps, stage, devices.model_class))
                devices.prepare(state.model, (batches.rows, size), (valid.rows if valid else 0, VALID_ROWS))
                state.model.fit(
                    batches,
                    validation_data=valid,
                    epochs=stage.end,
                    initial_epoch=first_epoch,
                    shuffle=False,  # `Batches` shuffles; Keras would shuffle again, from a global generator
                    callbacks=[monitor, *shown, *callbacks],
                    verbose=0,
                )
        finally:
            bar.epoch_bar.close()
