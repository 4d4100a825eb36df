"""An entry's temperatures, fitted to answers about rows that the answering models have not learnt from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_lmf import zoo
from keras_lmf.data import Dataset, Split, corpora
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.calibration import (
    expected_calibration_error,
    expected_calibration_error_quantile,
    fit_temperature,
    negative_log_likelihood,
    softmax,
    subset_logits,
    temperatures_of_subsets,
)
from keras_lmf.lazy import Array
from keras_lmf.locate import RECIPE
from keras_lmf.models import pretrained
from keras_lmf.publishing.metadata import described
from keras_lmf.publishing.retrainings import trained
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training.features import features
from keras_lmf.training.run import fitting
from keras_lmf.zoo import Calibration, Entry

LEAST_ROWS, LEAST_SPEAKERS = 300, 4  # of "valid", for a temperature fitted to it alone; docs/zoo.md says why
FOLDS = 5  # at most: a speaker is in one


@dataclass(frozen=True, eq=False)
class Unseen:
    """Answers about N rows, each by a model that has not learnt from it.

    Attributes:
        logits: (N, classes).
        subsets: as of `subset_logits`; empty where the model needs every modality.
        labels: (N,) class integers.
        groups: (N,) str, the speakers.
        split: which rows, and how they were answered.
    """

    logits: np.ndarray
    subsets: dict[str, np.ndarray]
    labels: np.ndarray
    groups: np.ndarray
    split: str


def calibrated(recipe: Recipe, data: Dataset, model: keras.Model, work: Path) -> Calibration | None:
    """The temperatures of `model`, and its errors on the test split, to which nothing is fitted.

    Args:
        recipe: of the model.
        data: its corpus.
        model: the trained one, or one with its weights.
        work: for the runs of twins; a finished run there is not trained again.

    Returns:
        None for a regression, and where no row can be held out: a corpus of one speaker, or one without "valid" of a
        recipe that starts from another model, which may know every speaker.
    """
    unseen = unseen_answers(recipe, data, model, work) if recipe.target.classes else None
    if unseen is None:
        return None
    temperature, test = fit_temperature(unseen.logits, unseen.labels), data["test"]
    logits = open_artifact(model).predict(test.inputs)[recipe.target.name]
    after = softmax(logits, temperature)
    return Calibration(
        temperature=temperature,
        subset_temperatures=temperatures_of_subsets(unseen.subsets, unseen.labels),
        ece_before=expected_calibration_error(softmax(logits), test.labels),
        ece_after=expected_calibration_error(after, test.labels),
        ece_quantile=expected_calibration_error_quantile(after),
        nll_before=negative_log_likelihood(logits, test.labels),
        nll_after=negative_log_likelihood(logits, test.labels, temperature),
        split=unseen.split,
        rows=len(unseen.labels),
    )


def unseen_answers(recipe: Recipe, data: Dataset, model: keras.Model, work: Path) -> Unseen | None:
    """Answers about rows of "train" and "valid" by models that have not learnt from them.

    Where "valid" has `LEAST_ROWS` rows of `LEAST_SPEAKERS` speakers, they are about these: by the model, or by a twin
    that was trained on "train" alone where the recipe is fitted on both. Else they are out of fold: a twin for each
    fold of the training rows' speakers, trained on the others, answers about the fold; and the model about "valid"
    where it did not learn from it. Out of fold too where a fusion of answers fits what joins its parts on "valid".

    The arguments and None are as of `calibrated`.
    """
    presence, apart = recipe.presence is not None, recipe.training.fit_on == "train"
    joined = bool(recipe.parts()) and not recipe.fusion.out_of_fold
    valid = data["valid"] if "valid" in data.split_names else None
    if valid is not None and not joined and (_suffices(valid) or recipe.start):
        if apart:
            return _pooled([(model, valid)], presence, "valid")
        # For as many epochs as the model: stopped early by "valid", it would be better calibrated there than the model.
        twin = trained(recipe, data.take(data.splits == "train"), work / "without-valid")
        return _pooled([(twin.model, valid)], presence, "valid, by a twin that was trained on train alone")
    learnt = fitting(recipe, data)
    folds = min(FOLDS, len(np.unique(learnt["train"].groups)))
    if folds < 2 or recipe.start:
        return None
    answered = [*_twins(recipe, learnt, folds, work)]
    if valid is not None and apart and not joined:
        answered.append((model, valid))
    rows = "train" if valid is None or (apart and joined) else "train + valid"
    return _pooled(answered, presence, f"{rows}, out of fold ({folds} folds by speaker)")


def _suffices(valid: Split) -> bool:
    return len(valid) >= LEAST_ROWS and len(np.unique(valid.groups)) >= LEAST_SPEAKERS


def _twins(recipe: Recipe, data: Dataset, folds: int, work: Path) -> Iterator[tuple[keras.Model, Split]]:
    """For each fold of the training rows' speakers a model that was trained without them, and their rows."""
    from sklearn.model_selection import GroupKFold  # here, as it takes a second

    rows = data
    if models := pretrained.front_ends(recipe):  # their features are made once for all twins
        rows = features(recipe, data, models, work / "features")
        recipe = pretrained.on_features(recipe, models)
    train = np.flatnonzero(rows.splits == "train")
    for k, (_, fold) in enumerate(GroupKFold(folds).split(train, groups=rows.groups[train])):
        held = train[fold]
        others = np.setdiff1d(np.arange(len(rows)), held)
        twin = trained(recipe, rows.take(others), work / f"fold-{k}")
        clips = held[np.isin(rows.ids[held], data.ids)]  # no augmented copy
        yield twin.model, rows.take(clips)["train"]


def _pooled(answered: list[tuple[keras.Model, Split]], presence: bool, split: str) -> Unseen:
    logits, subsets = [], []
    for model, rows in answered:
        runtime = open_artifact(model)

        def answers(inputs: Mapping[str, Array], runtime=runtime, name: str = rows.target.name) -> np.ndarray:
            return runtime.predict(inputs)[name]

        logits.append(answers(rows.inputs))
        subsets.append(subset_logits(answers, rows.inputs) if presence else {})
    return Unseen(
        logits=np.concatenate(logits),
        subsets={name: np.concatenate([part[name] for part in subsets]) for name in subsets[0]},
        labels=np.concatenate([rows.labels for _, rows in answered]),
        groups=np.concatenate([rows.groups for _, rows in answered]),
        split=split,
    )


def calibrate(folder: str | Path, work: str | Path, *, root: str | Path | None = None) -> Entry:
    """Fits the temperatures of a published entry anew; its weights and metrics stay. On any backend.

    They are written into its .tflite files and their sidecars and, last, into entry.json. A call that was interrupted
    between these is made good by another one.

    Args:
        folder: the entry's.
        work: for the runs of twins; a finished run there is not trained again.
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.

    Raises:
        LMFError: an entry of a regression, one of which no row can be held out, or as `zoo.load`.
    """
    folder, work = Path(folder), Path(work)
    entry, recipe = Entry.read(folder), Recipe.read(folder / RECIPE)
    if not entry.target.classes:
        raise LMFError(f"{entry.name!r} gives numbers. Temperatures are for models of classes.")
    data = corpora.load(recipe.corpus.name, root, recipe.recorded, **recipe.corpus.options)
    calibration = calibrated(recipe, data.select(list(recipe.inputs)), zoo.load(folder), work)
    if calibration is None:
        raise LMFError(
            f"No temperature can be fitted to {entry.name!r}: {entry.corpus!r} has neither a validation split nor a "
            "speaker who can be left out."
        )
    fitted = {name: getattr(calibration, name) for name in ("temperature", "subset_temperatures")}
    entry = described(folder, entry, **fitted).model_copy(update={"calibration": calibration})
    entry.write(folder)
    return entry
