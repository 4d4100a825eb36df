"""Training behind a fusion of answers: each part by itself, as a run of its own, then what joins them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_lmf import decisions
from keras_lmf.data.batches import Batches
from keras_lmf.data.dataset import Dataset, Split
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.subsets import presence
from keras_lmf.lazy import Array
from keras_lmf.models.factory import least_inputs
from keras_lmf.models.joints import joint_layer
from keras_lmf.models.standardization import refresh_standardization
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training.checkpoint import WATCHED, State
from keras_lmf.training.run import Run

PARTS = "parts"
Train = Callable[[Recipe, Dataset, Path], Run]
Scores = dict[str, np.ndarray]


def fit_parts(
    recipe: Recipe, data: Dataset, model: keras.Model, state: State, folder: Path, train: Train
) -> None:
    """Trains the parts, gives their weights to `model`, and fits what joins them; the state is then the best.

    The runs are in `folder/parts/<part>`, those of folds in `folder/parts/<part>/fold-<k>`. They resume as any run, and
    what follows draws no random number, so the whole does. What joins is fitted on "valid"; where there is none, or the
    fusion says so, on "train", each row answered by parts that have seen no row of its group.
    """
    unseen = recipe.fusion.out_of_fold or "valid" not in data.split_names
    split = data["train" if unseen else "valid"]
    fold = _folds(split.groups, recipe.fusion.folds) if unseen else {}
    scores = {}
    for part, own in recipe.parts().items():
        place, rows = folder / PARTS / part, _rows_of(own, recipe, data)
        if unseen:
            scores[part] = _answers_out_of_fold(own, rows, split, fold, place, train)
        run = train(own, rows, place)
        if not unseen:
            scores[part] = _answers(run, split)
        if recipe.presence:
            scores[part][_count_there(own, split.inputs) < least_inputs(len(own.inputs))] = np.nan
        model.get_layer(f"{part}_part").set_weights(run.model.get_weights())
    joint = model.get_layer(recipe.target.name)
    joint.set_weights(fitted_joint(recipe, scores, split.labels).get_weights())
    refresh_standardization(model)
    _note(recipe, data, model, state)


def fitted_joint(recipe: Recipe, scores: Scores, labels: np.ndarray) -> keras.layers.Layer:
    """The layer that joins the parts, fitted to their answers (rows of NaN: absent)."""
    settings = recipe.fusion.joint(recipe.target, list(scores))
    if recipe.training.class_weights == "balanced":
        settings["prior"] = [1 / recipe.target.size] * recipe.target.size
    if recipe.presence and recipe.fusion.out_of_fold:
        # It learns to do without, too: each row again with each part alone.
        alone = [
            {part: rows if part == left else np.full_like(rows, np.nan) for part, rows in scores.items()}
            for left in scores
        ]
        scores = {part: np.concatenate([scores[part], *(one[part] for one in alone)]) for part in scores}
        labels = np.concatenate([labels] * (1 + len(alone)))
    layer = joint_layer(parts=list(scores), **decisions.fit(scores, labels, **settings))
    layer(
        {
            part: ops.convert_to_tensor(np.nan_to_num(rows[:1]).astype("float32"))
            for part, rows in scores.items()
        }
    )
    return layer


def _rows_of(own: Recipe, whole: Recipe, data: Dataset) -> Dataset:
    """What a part learns from: where inputs may be absent, the rows that have any of its own."""
    data = data.select(list(own.inputs))
    return data.take(_count_there(own, data.inputs) > 0) if whole.presence else data


def _count_there(own: Recipe, inputs: Mapping[str, Array]) -> np.ndarray:
    """(N,): how many of the part's inputs are not all zeros."""
    return np.sum([*presence({name: inputs[name] for name in own.inputs}).values()], axis=0)


def _answers(run: Run, split: Split) -> np.ndarray:
    """(N, size) of the part's target."""
    inputs = {name: split.inputs[name] for name in run.recipe.inputs}
    return open_artifact(run.model).predict(inputs)[run.recipe.target.name]


def _answers_out_of_fold(
    own: Recipe, data: Dataset, whole: Split, fold: dict[str, int], folder: Path, train: Train
) -> np.ndarray:
    """The answers to the rows of `whole`, each by a run of the part on the other folds."""
    scores = np.zeros((len(whole), own.target.size))
    place = np.array([fold[group] for group in whole.groups])
    in_training = data.splits == "train"
    for k in sorted(set(fold.values())):
        held = np.array([fold.get(group) == k for group in data.groups])
        run = train(own, data.take(~(held & in_training)), folder / f"fold-{k}")
        scores[place == k] = _answers(run, whole)[place == k]
    return scores


def _folds(groups: np.ndarray, most: int) -> dict[str, int]:
    """Group → fold, of about equally many rows: the largest group first, each to the fold with the fewest."""
    names, counts = np.unique(groups, return_counts=True)
    count = min(most, len(names))
    if count < 2:
        raise LMFError(
            f"Parts answer rows of groups that they have not seen: train needs two groups or more, it has {len(names)}."
        )
    filled, fold = np.zeros(count, int), {}
    for i in np.argsort(-counts, kind="stable"):
        fold[str(names[i])] = int(filled.argmin())
        filled[filled.argmin()] += counts[i]
    return fold


def _note(recipe: Recipe, data: Dataset, model: keras.Model, state: State) -> None:
    """The joint model as the best of one epoch, with what Keras would log of it."""
    logs = {}
    for split, prefix in (("train", ""), ("valid", "val_")):
        if split in data.split_names:
            found = model.evaluate(Batches(data[split], 256), verbose=0, return_dict=True)
            logs |= {f"{prefix}{name}": float(value) for name, value in found.items()}
    name, sign = WATCHED[recipe.training.monitor]
    progress = state.progress
    progress.epoch = progress.best_epoch = 1
    progress.history = [{"epoch": 1, **logs}]
    progress.best_value = sign * logs.get(name, np.inf)
    state.best_weights = state.weights()
