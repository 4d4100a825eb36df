"""train(recipe, data) → Run, on any backend."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from tqdm.keras import TqdmCallback

from keras_lmf.data.batches import Batches, balanced_class_weights, epoch_order
from keras_lmf.data.dataset import Dataset, Split
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import plots
from keras_lmf.evaluation.calibration import fit_subset_temperatures, fit_temperature
from keras_lmf.files import PARTIAL, locked, remove_partial, write_atomically, write_text
from keras_lmf.locate import RECIPE, WEIGHTS
from keras_lmf.models import build, foretold_shapes, refresh_standardization, weight_shapes
from keras_lmf.models.pretrained import fill, front_ends, on_features
from keras_lmf.recipe import FittedTemperature, Recipe, Training
from keras_lmf.recipe.recipe import CALIBRATION
from keras_lmf.runtime import open_artifact
from keras_lmf.training.checkpoint import Monitor, NotFiniteLoss, Progress, State, read_progress
from keras_lmf.training.features import features
from keras_lmf.training.fitted import fit_on_train
from keras_lmf.training.optimizer import compiled
from keras_lmf.training.parts import fit_parts
from keras_lmf.training.run import CURVES, ENVIRONMENT, HISTORY, STATE, Run, environment, fitting

FEATURES = f"{PARTIAL}features"  # a folder, for the time of a training
LEFT = (STATE, RECIPE, ENVIRONMENT, WEIGHTS, HISTORY, CURVES)  # by every training


def train(
    recipe: Recipe,
    data: Dataset,
    folder: str | Path | None = None,
    *,
    start: keras.Model | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Run:
    """Trains a recipe; early stopping on "valid", the best epoch's weights kept.

    A run that was interrupted (Ctrl-C, kill, power) goes on from its last whole epoch when called again with the
    same recipe, data, folder and backend, to bit-identical weights; a finished one is returned as it is. Only
    "train" and "valid" are read; data without "valid" train for all `recipe.training.epochs` and the last epoch's
    weights are kept.

    Args:
        recipe: what to build and how to train it.
        data: its corpus. Modalities that the recipe doesn't name are left out.
        folder: for the run; default `runs/<recipe.name>`.
        start: a model of the recipe, from whose weights the training starts; None: from random ones. Not for a fusion
            that trains its parts by themselves.
        callbacks: your own Keras callbacks, called after this package's. Their state is not part of a resume.

    Raises:
        LMFError: data or a `start` that don't fit the recipe, or a folder that holds another run, is in use by another
            process, or can't be written.
        NotFiniteLoss: the loss became NaN or infinite; the best weights so far are in the folder, where an epoch ended.
    """
    folder = Path(folder) if folder is not None else Path("runs") / recipe.name
    if folder.exists() and not folder.is_dir():
        raise LMFError(f"{folder} is a file: name a folder for the run")
    run = Run(folder, recipe, fitting(recipe, data))
    if start is not None and recipe.parts():
        raise LMFError(
            f"'start' is for a recipe that trains as one; fusion {recipe.fusion.name!r} trains its parts by themselves."
        )
    if start is not None and weight_shapes(start) != foretold_shapes(recipe):
        raise LMFError(
            f"'start' is no model of the recipe {recipe.name!r}: its weights have other names or shapes."
        )
    fingerprint = _fingerprint(recipe, run.data, start)
    if not _is_complete(run, fingerprint):
        with locked(folder):
            remove_partial(folder)
            try:
                _train(run, fingerprint, start, callbacks)
            finally:
                remove_partial(folder)  # features on disk
    return run


def _is_complete(run: Run, fingerprint: str) -> bool:
    """Whether all that a training leaves is in the folder, and nothing is to be written."""
    if not all((run.folder / name).is_file() for name in (*LEFT, *_calibrated(run))):
        return False
    progress = read_progress(run.folder / STATE)
    return progress.finished and progress.fingerprint == fingerprint


def _calibrated(run: Run) -> list[str]:
    return [CALIBRATION] if run.recipe.target.classes and "valid" in run.data.split_names else []


def _train(
    run: Run,
    fingerprint: str,
    start: keras.Model | None,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Trains from the beginning or from the last whole epoch, and writes the results."""
    folder, recipe, data = run.folder, run.recipe, run.data
    models = front_ends(recipe)
    trained = on_features(recipe, models) if models else recipe
    rows = functools.cache(lambda: features(recipe, data, models, folder / FEATURES) if models else data)
    model = compiled(trained, _steps(recipe.training, data))
    if not (folder / STATE).exists():
        if (folder / RECIPE).exists():
            raise LMFError(f"{folder} holds a recipe but no {STATE}: name another folder, or delete this one")
        if start is not None:
            for layer in model.layers:
                layer.set_weights(start.get_layer(layer.name).get_weights())
        elif not trained.parts():  # whose own trainings do it
            fit_on_train(model, rows())
            if recipe.training.output_bias == "label_mean":
                mean = rows()["train"].labels.mean(axis=0)
                model.get_layer(recipe.target.name).bias.assign(mean.reshape(recipe.target.size))
        state = State(model, Progress(fingerprint=fingerprint))
        facts = {"recipe": recipe.fingerprint, "data": data.fingerprint, "run": fingerprint}
        write_text(folder / ENVIRONMENT, json.dumps({**environment(), **facts}, indent=2) + "\n")
        state.save(folder / STATE)
    else:
        state = State(model, Progress(fingerprint=fingerprint))
        state.load(folder / STATE)
    refresh_standardization(model)
    # Every time: the state is what a run resumes from, and a kill may have come right after it was written.
    recipe.write(folder / RECIPE)

    def save() -> None:
        state.save(folder / STATE)
        _write_history(folder, state.progress)

    def write_results() -> keras.Model:
        # Without optimizer: Keras would write the optimizer's moments too, which are the last step's.
        best = build(trained)
        best.set_weights(state.best_weights)
        refresh_standardization(best)
        _write_results(folder, recipe, fill(build(recipe), models, best) if models else best, state.progress)
        return best

    if not state.progress.finished:
        try:
            if trained.parts():
                inner = functools.partial(train, callbacks=callbacks)
                fit_parts(trained, rows(), model, state, folder, inner)
            else:
                _fit(trained, rows(), model, state, save, callbacks)
        except NotFiniteLoss as error:
            if not state.progress.best_epoch:
                raise  # what is there is no result
            write_results()
            raise NotFiniteLoss(f"{error} They are in {folder / WEIGHTS}.") from None
        state.progress.finished = True
        save()
    best = write_results()
    if _calibrated(run) and not (folder / CALIBRATION).is_file():
        _calibrate(folder, best, rows()["valid"], recipe.presence is not None)


def _steps(training: Training, data: Dataset) -> int:
    """How many an epoch has."""
    rows = data.splits == "train"
    corpora = data.corpora[rows] if training.batches == "corpora" and data.corpora is not None else None
    copies = training.augmentation.copies if training.augmentation else 1
    return math.ceil(copies * len(epoch_order(int(rows.sum()), None, 0, corpora)) / training.batch_size)


def _calibrate(folder: Path, model: keras.Model, valid: Split, presence: bool) -> None:
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


def _fit(
    recipe: Recipe,
    data: Dataset,
    model: keras.Model,
    state: State,
    save: Callable[[], None],
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    training = recipe.training
    first_epoch = state.progress.epoch
    weights = balanced_class_weights(data["train"]) if training.class_weights == "balanced" else None
    batches = Batches(
        data["train"],
        training.batch_size,
        seed=recipe.seed,
        first_epoch=first_epoch,
        class_weights=weights,
        of=training.batches,
    )
    sample = {modality: values[:1] for modality, values in data["train"].inputs.items()}
    monitor = Monitor(state, training, save, sample)
    bar = TqdmCallback(
        training.epochs, verbose=0, desc=recipe.name, initial=first_epoch, leave=False, delay=2
    )
    try:
        model.fit(
            batches,
            validation_data=Batches(data["valid"], 256) if "valid" in data.split_names else None,
            epochs=training.epochs,
            initial_epoch=first_epoch,
            shuffle=False,  # `Batches` shuffles; Keras would shuffle again, from a global generator
            callbacks=[monitor, bar, *callbacks],
            verbose=0,
        )
    finally:
        bar.epoch_bar.close()


def _fingerprint(recipe: Recipe, data: Dataset, start: keras.Model | None) -> str:
    parts = [recipe.fingerprint, data.fingerprint, keras.backend.backend(), keras.config.dtype_policy().name]
    digest = hashlib.sha256(" ".join(parts).encode())
    for array in start.get_weights() if start is not None else ():
        digest.update(array.tobytes())
    return digest.hexdigest()


def _write_history(folder: Path, progress: Progress) -> None:
    write_text(folder / HISTORY, pd.DataFrame(progress.history).to_csv(index=False))


def _write_results(folder: Path, recipe: Recipe, model: keras.Model, progress: Progress) -> None:
    """The best weights and the curves, once the run is over."""
    write_atomically(folder / WEIGHTS, model.save_weights)
    if progress.history:
        _write_history(folder, progress)  # a kill may have come between state and history
        history = pd.DataFrame(progress.history).set_index("epoch")
        figure = plots.training_curves(history, recipe.name, best_epoch=progress.best_epoch)
        plots.save(figure, folder / CURVES)
