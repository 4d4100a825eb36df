"""What a model says of windows: with all that is there, with each modality alone, and what each of them contributes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.calibration import softmax
from keras_lmf.recognition.opening import Opened

Subset = tuple[str, ...]
Arrays = dict[str, np.ndarray]


class Judgement(NamedTuple):
    """Of N windows.

    Attributes:
        probabilities: (N, labels); NaN where there is nothing to judge by.
        there: modality → (N,) bool.
        alone: modality → (N, labels), as if the others were absent; NaN where it is absent itself. Without entries for
            a model of one modality, or one that needs them all.
        contributions: subset of modalities → (N,): the length of its contribution to the logits (less their mean,
            which no probability depends on); as `alone`.
    """

    probabilities: np.ndarray
    there: Arrays
    alone: Arrays
    contributions: dict[Subset, np.ndarray]


def judge(model: Opened, name: str, inputs: Arrays) -> Judgement:
    """The windows' judgement; inputs: (N, …) each, of zeros where a modality is absent.

    Contributions are those of `LowRankFusion.interactions`, behind a linear head the same numbers, but made of the
    model's answers alone, so that files have them too: that of a subset is the answer to it, less the contributions
    of all smaller ones in it (inclusion and exclusion).

    Raises:
        LMFError: the model answers with NaN or infinity.
    """
    there = {key: values.reshape(len(values), -1).any(axis=1) for key, values in inputs.items()}
    derived = model.facts.presence == "derived"
    needed = np.stack([there[key] for key in (there if derived else model.media)])
    judged = needed.any(axis=0) if derived else needed.all(axis=0)
    logits = np.full((len(judged), len(model.facts.target.classes)), np.nan)
    logits[judged] = _logits(model, name, {key: values[judged] for key, values in inputs.items()})
    probabilities = softmax(logits, model.facts.temperature)
    if not derived or len(inputs) == 1:
        return Judgement(probabilities, there, {}, {})
    answers = {
        subset: _answers(model, name, inputs, there, logits, subset) for subset in _subsets(tuple(inputs))
    }
    alone = {
        key: np.where(there[key][:, None], softmax(answers[key,], model.facts.temperature), np.nan)
        for key in inputs
    }
    return Judgement(probabilities, there, alone, _contributions(answers))


def _answers(
    model: Opened, name: str, inputs: Arrays, there: Arrays, logits: np.ndarray, subset: Subset
) -> np.ndarray:
    """(N, labels): the logits as if only the modalities of `subset` were there; `logits` are those of all."""
    nobody = np.zeros((1, len(logits)), bool)
    within = np.concatenate([nobody, *([there[key]] for key in subset)]).any(axis=0)
    beyond = np.concatenate([nobody, *([there[key]] for key in inputs if key not in subset)]).any(axis=0)
    answers = logits.copy()
    rows = beyond & within
    answers[rows] = _logits(
        model,
        name,
        {
            key: values[rows] if key in subset else np.zeros_like(values[rows])
            for key, values in inputs.items()
        },
    )
    if (beyond & ~within).any():
        answers[beyond & ~within] = _logits(
            model, name, {key: np.zeros_like(values[:1]) for key, values in inputs.items()}
        )
    return answers


def _contributions(answers: dict[Subset, np.ndarray]) -> dict[Subset, np.ndarray]:
    """Of every subset but the empty one, whose answer depends on nothing."""
    centred = {subset: logits - logits.mean(axis=1, keepdims=True) for subset, logits in answers.items()}
    terms: dict[Subset, np.ndarray] = {}
    for subset in centred:  # smaller ones first
        smaller = [term for part, term in terms.items() if set(part) < set(subset)]
        terms[subset] = centred[subset] - sum(smaller)
    return {subset: np.linalg.norm(term, axis=1) for subset, term in terms.items() if subset}


def _subsets(names: Subset) -> Iterator[Subset]:
    """From the empty one to all."""
    return itertools.chain.from_iterable(
        itertools.combinations(names, size) for size in range(len(names) + 1)
    )


def _logits(model: Opened, name: str, inputs: Arrays) -> np.ndarray:
    if not len(next(iter(inputs.values()))):
        return np.zeros((0, len(model.facts.target.classes)))
    logits = model.runtime.predict(inputs)[model.facts.target.name]
    if not np.isfinite(logits).all():
        raise LMFError(f"{name}: {model.name} answers with NaN or infinity.")
    return logits
