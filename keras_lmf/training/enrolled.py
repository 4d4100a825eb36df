"""What a model answers to clips of a speaker whom it was enrolled with: each clip after some others of its speaker."""

from __future__ import annotations

import keras
import numpy as np

from keras_lmf.data.dataset import Split
from keras_lmf.evaluation import evaluate
from keras_lmf.models.enrolment import centres, shrinkage
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact

CLIPS = (3, 10)
DRAWS = 10
LEAST_CLIPS = 15  # of a speaker: else nearly the same ones are drawn each time


def enrollable(recipe: Recipe, model: keras.Model) -> str | None:
    """The modality whose speakers can be enrolled: sound behind a front end, standardised in one place of the trained
    part `model`; None: there is none."""
    heard = [name for name, part in recipe.inputs.items() if part.front_end and part.media == "waveform"]
    return next((name for name in heard if len(centres(model, name)) == 1), None)


def known_speakers(test: Split, modality: str) -> np.ndarray:
    """(N,) bool: the rows that are heard, of speakers (`groups`) who have 15 or more of them."""
    heard = (test.inputs[modality] != 0).any(axis=tuple(range(1, test.inputs[modality].ndim)))
    names, counts = np.unique(test.groups[heard], return_counts=True)
    return heard & np.isin(test.groups, names[counts >= LEAST_CLIPS])


def enrolled_metrics(model: keras.Model, modality: str, test: Split) -> dict[int, dict[str, float]]:
    """Number of enrolled clips → metrics, the mean over 10 draws.

    In each draw, each row is answered after so many others of its speaker, drawn at random, of whatever labels: the
    features' centre moves as in `models.enrolment`. The draws are the same for every model, and of the 10 clips the
    first are the 3.

    Args:
        model: the trained part, which takes features.
        modality: `enrollable` of it.
        test: rows of `known_speakers`, one or more; features in memory.
    """
    (centre,) = centres(model, modality)
    features, runtime = test.inputs[modality], open_artifact(model)
    steps = features.reshape(len(features), -1, features.shape[-1]).astype(np.float64)
    there = (steps != 0).any(axis=-1, keepdims=True)  # a step of zeros is padding
    means = steps.sum(axis=1) / there.sum(axis=1)
    found: dict[int, list[dict[str, float]]] = {clips: [] for clips in CLIPS}
    for draw in range(DRAWS):
        others = _others(test.groups, max(CLIPS), np.random.default_rng(draw))
        for clips in CLIPS:
            moves = shrinkage(clips) * (means[others[:, :clips]].mean(axis=1) - centre)
            # Features that move by so much are a centre that moves the other way.
            moved = np.where(there, steps - moves[:, None], 0).reshape(features.shape).astype(features.dtype)
            answers = runtime.predict({**test.inputs, modality: moved})[test.target.name]
            found[clips].append(evaluate(answers, test, resamples=0).metrics)
    return {
        clips: {name: float(np.mean([one[name] for one in draws])) for name in draws[0]}
        for clips, draws in found.items()
    }


def _others(groups: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """(N, count): for each row so many other rows of its group, each once, in random order."""
    others = np.empty((len(groups), count), int)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        order = random.random((len(rows), len(rows)))
        np.fill_diagonal(order, np.inf)  # the row itself comes last
        others[rows] = rows[order.argsort(axis=1)[:, :count]]
    return others
