"""train(recipe, data) → Run, on any backend."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.files import PARTIAL, locked, remove_partial, write_text
from keras_lmf.locate import RECIPE, WEIGHTS
from keras_lmf.models import build, foretold_shapes, refresh_standardization, weight_shapes
from keras_lmf.models.pretrained import fill, fill_fine_tuned, front_ends, on_features
from keras_lmf.models.start import Copied, Source, copy_parts
from keras_lmf.recipe import Recipe
from keras_lmf.recipe.runs import CALIBRATION, ENVIRONMENT
from keras_lmf.spec import DEFAULT_DETECTOR
from keras_lmf.training.checkpoint import NotFiniteLoss, Progress, State, read_progress
from keras_lmf.training.devices import OneDevice
from keras_lmf.training.distillation import with_unlabelled
from keras_lmf.training.epochs import fit_epochs, steps_of
from keras_lmf.training.features import features, train_features
from keras_lmf.training.fitted import centered_apart, fit_on_train
from keras_lmf.training.named import named, warn_of_known_people
from keras_lmf.training.optimizer import compiled
from keras_lmf.training.parts import fit_parts
from keras_lmf.training.prior import correct_prior
from keras_lmf.training.results import calibrate, write_history, write_results
from keras_lmf.training.run import CURVES, HISTORY, STATE, Run, environment, fitting
from keras_lmf.training.stages import stage_of

ONE = OneDevice()
FEATURES = f"{PARTIAL}features"  # a folder, for the time of a training
LEFT = (STATE, RECIPE, ENVIRONMENT, WEIGHTS, HISTORY, CURVES)  # by every training


def train(
    recipe: Recipe,
    data: Dataset,
    folder: str | Path | None = None,
    *,
    start: keras.Model | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    devices: OneDevice = ONE,
) -> Run:
    """Trains a recipe; early stopping on "valid", the best epoch's weights kept.

    A run that was interrupted (Ctrl-C, kill, power) goes on from its last whole epoch when called again with the
    same recipe, data, folder and backend, to bit-identical weights; a finished one is returned as it is. Only
    "train" and "valid" are read; data without "valid" train for all `recipe.training.epochs` and the last epoch's
    weights are kept.

    Args:
        recipe: what to build and how to train it. What its `start` and its `training.distillation` name must be on this
            machine; which parts were copied is told on standard error, and kept in the run
            (`Run.environment["start"]`).
        data: its corpus. Modalities that the recipe doesn't name are left out.
        folder: for the run; default `runs/<recipe.name>`.
        start: a model of the recipe, from whose weights the training starts; None: from random ones. Not for a fusion
            that trains its parts by themselves.
        callbacks: your own Keras callbacks, called after this package's. Their state is not part of a resume.
        devices: that it is divided among: `Devices`, on the JAX backend.

    Raises:
        LMFError: data, a `start`, a teacher or unlabelled clips that don't fit the recipe, or a folder that holds
            another run, is in use by another process, or can't be written.
        NotFiniteLoss: the loss became NaN or infinite; the best weights so far are in the folder, where an epoch ended.
    """
    recipe = recipe.for_target(data.target)
    others = named(recipe)
    folder = Path(folder) if folder is not None else Path("runs") / recipe.name
    if folder.exists() and not folder.is_dir():
        raise LMFError(f"{folder} is a file: name a folder for the run")
    run = Run(folder, recipe, fitting(recipe, data))
    if start is not None and recipe.parts():
        raise LMFError(
            f"'start' is for a recipe that trains as one; fusion {recipe.fusion.name!r} trains its parts by themselves."
        )
    if start is not None and recipe.start is not None:
        raise LMFError(f"The recipe starts from {recipe.start.source!r}: give no 'start' beside it.")
    if start is not None and weight_shapes(start) != foretold_shapes(recipe):
        raise LMFError(
            f"'start' is no model of the recipe {recipe.name!r}: its weights have other names or shapes."
        )
    for other in others.sources:
        warn_of_known_people(recipe, other)
    learnt = with_unlabelled(run.data, recipe, others.teachers)
    fingerprint = _fingerprint(recipe, learnt, start, others.sources)
    if devices is not ONE and recipe.parts():
        raise LMFError(
            f"Fusion {recipe.fusion.name!r} trains its parts by themselves: one after the other, on one device."
        )
    if devices.told(lambda: fingerprint) != fingerprint:
        raise LMFError("Process 0 trains another recipe, or has other data: give all processes the same.")
    if not devices.told(lambda: _is_complete(run, fingerprint)):
        with contextlib.ExitStack() as held:
            devices.told(lambda: _enter(held, folder))
            _train(run, learnt, fingerprint, start or others.start, others.teachers, callbacks, devices)
            devices.told(lambda: None)  # the others wait until all is written
    return run


def _enter(held: contextlib.ExitStack, folder: Path) -> None:
    """Locks the folder, and clears it of what was left half-written, now and when `held` ends (features on disk)."""
    held.enter_context(locked(folder))
    remove_partial(folder)
    held.callback(remove_partial, folder)


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
    data: Dataset,
    fingerprint: str,
    start: keras.Model | Source | None,
    teachers: Sequence[Source],
    callbacks: Sequence[keras.callbacks.Callback],
    devices: OneDevice,
) -> None:
    """Trains on `data` from the beginning or from the last whole epoch, and writes the results."""
    folder, recipe = run.folder, run.recipe
    models = front_ends(recipe)
    trained = on_features(recipe, models) if models else recipe
    place = folder / f"{FEATURES}-{devices.process}"

    @functools.cache
    def rows() -> Dataset:
        changed = models or teachers or recipe.training.augmentation
        learnt = features(recipe, data, models, place, teachers) if changed else data
        if recipe.training.center == "all":
            return learnt
        return centered_apart(learnt, [name for name, part in trained.inputs.items() if part.media is None])

    steps = steps_of(recipe.training, data)
    done = devices.told(lambda: _epochs_done(folder))
    with devices.scope():
        model = compiled(trained, steps, stage_of(trained, done or 0), devices.model_class)
        state = State(model, Progress(fingerprint=fingerprint))
    facts = {"recipe": recipe.fingerprint, "data": run.data.fingerprint, "run": fingerprint}
    facts |= {"face_detector": DEFAULT_DETECTOR}  # where the recipe names none
    if teachers:
        facts["teachers"] = [{"from": teacher.name, "weights": teacher.sha256} for teacher in teachers]
    if done is None:
        facts |= _begin(recipe, trained, model, rows, start, devices)
        state.best_weights = state.weights()
    else:
        _resume(state, folder / STATE, devices)
    refresh_standardization(model)

    def save() -> None:
        if devices.lead:
            state.save(folder / STATE)
            write_history(folder, state.progress)

    def finish() -> keras.Model:
        # Without optimizer: Keras would write the optimizer's moments too, which are the last step's.
        best = build(trained)
        best.set_weights(state.best_weights)
        refresh_standardization(best)
        if recipe.training.prior_correction:
            correct_prior(best, data["train"], recipe.training.prior_correction)
        whole = fill(build(recipe), models, best) if models else best
        write_results(folder, recipe, whole, state.progress)
        return best

    if devices.lead:
        if done is None:
            write_text(folder / ENVIRONMENT, json.dumps({**environment(), **facts}, indent=2) + "\n")
            state.save(folder / STATE)
        # Every time: the state is what a run resumes from, and a kill may have come right after it was written.
        recipe.write(folder / RECIPE)
    if not state.progress.finished:
        try:
            if trained.parts():
                inner = functools.partial(train, callbacks=callbacks)
                fit_parts(trained, rows(), model, state, folder, inner)
            else:
                fit_epochs(trained, rows(), steps, state, save, callbacks, devices)
        except NotFiniteLoss as error:
            if not state.progress.best_epoch or not devices.lead:
                raise  # what is there is no result
            finish()
            raise NotFiniteLoss(f"{error} They are in {folder / WEIGHTS}.") from None
        state.progress.finished = True
        save()
    if devices.lead:
        best = finish()
        if _calibrated(run) and not (folder / CALIBRATION).is_file():
            calibrate(folder, best, rows()["valid"], recipe.presence is not None)


def _epochs_done(folder: Path) -> int | None:
    """Whole epochs of the run in the folder; None: it has not begun."""
    if (folder / STATE).exists():
        return read_progress(folder / STATE).epoch
    if (folder / RECIPE).exists():
        raise LMFError(f"{folder} holds a recipe but no {STATE}: name another folder, or delete this one")
    return None


def _resume(state: State, path: Path, devices: OneDevice) -> None:
    """Goes on from the state in `path`, which the leading process reads for all."""
    found: dict[str, np.ndarray] = {}

    def read() -> str:
        arrays, progress = state.read(path)
        found.update(arrays)
        return progress.model_dump_json()

    progress = devices.told(read)
    state.take(devices.given(found or state.arrays()), Progress.model_validate_json(progress))


def _begin(
    recipe: Recipe,
    trained: Recipe,
    model: keras.Model,
    rows: Callable[[], Dataset],
    start: keras.Model | Source | None,
    devices: OneDevice,
) -> dict[str, Any]:
    """Gives the model what it has before the first epoch; returns what the run is to keep of that."""
    if isinstance(start, keras.Model):
        for layer in model.layers:
            layer.set_weights(start.get_layer(layer.name).get_weights())
        return {}
    if trained.parts():  # whose own trainings do it
        return {}
    tuned = fill_fine_tuned(trained, model)
    copied = Copied({}, {}) if start is None else copy_parts(start, model, trained, recipe)
    new = [name for name in trained.inputs if name not in copied.parts]
    tuned = {modality: front_end for modality, front_end in tuned.items() if modality in new}
    fit_on_train(model, train_features(rows(), tuned, recipe.name) if tuned else rows(), new)
    if recipe.training.output_bias == "label_mean" and "head" not in copied.parts:
        mean = rows()["train"].labels.mean(axis=0)
        model.get_layer(recipe.target.name).bias.assign(mean.reshape(recipe.target.size))
    if start is None:
        return {}
    if devices.lead:
        tqdm.write(f"{recipe.name} starts from {start.name}; {copied}", file=sys.stderr)
    facts = {"from": start.name, "weights": start.sha256}
    return {"start": facts | {"copied": dict(copied.parts), "new": dict(copied.new)}}


def _fingerprint(recipe: Recipe, data: Dataset, start: keras.Model | None, sources: Sequence[Source]) -> str:
    parts = [recipe.fingerprint, data.fingerprint, keras.backend.backend(), keras.config.dtype_policy().name]
    parts += [source.sha256 for source in sources]
    digest = hashlib.sha256(" ".join(parts).encode())
    for array in start.get_weights() if start is not None else ():
        digest.update(array.tobytes())
    return digest.hexdigest()
