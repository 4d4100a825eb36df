"""What a model says of windows: with all that is there, with each modality alone, and what each of them contributes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.calibration import softmax
from keras_lmf.evaluation.subsets import presence
from keras_lmf.recognition.opened import Opened

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
            which no probability depends on), 0 where one of them is absent; NaN and without entries as `alone`.
    """

    probabilities: np.ndarray
    there: Arrays
    alone: Arrays
    contributions: dict[Subset, np.ndarray]


def answer(model: Opened, name: str, inputs: Mapping[str, np.ndarray]) -> tuple[Arrays, np.ndarray]:
    """Whether each modality is there, modality → (N,) bool, and the logits (N, labels), NaN with nothing to judge by.

    inputs: (N, …) each, of zeros where a modality is absent.

    Raises:
        LMFError: the model answers with NaN or infinity.
    """
    there = presence(inputs)
    derived = model.spec.presence == "derived"
    needed = np.stack([there[key] for key in (there if derived else model.media)])
    judged = needed.any(axis=0) if derived else needed.all(axis=0)
    logits = np.full((len(judged), len(model.spec.target.classes)), np.nan)
    if judged.any():
        logits[judged] = _logits(model, name, {key: values[judged] for key, values in inputs.items()})
    return there, logits


def probabilities(model: Opened, there: Arrays, logits: np.ndarray) -> np.ndarray:
    """(N, labels) of what `answer` gives, each row by the temperature of the modalities that are there."""
    temperatures = [
        model.spec.temperature_of([key for key, judged in there.items() if judged[row]])
        for row in range(len(logits))
    ]
    return softmax(logits / np.reshape(temperatures, (-1, 1)))


def judge(model: Opened, name: str, inputs: Mapping[str, np.ndarray]) -> Judgement:
    """All that is said of the windows; arguments and errors as of `answer`.

    Contributions are those of `LowRankFusion.interactions`, behind a linear head the same numbers, but made of the
    model's answers alone, so that files have them too: that of a subset is the answer to it, less the contributions
    of all smaller ones in it (inclusion and exclusion). M modalities take up to 2^M − 1 runs instead of one.
    """
    there, logits = answer(model, name, inputs)
    shares = probabilities(model, there, logits)
    if model.spec.presence != "derived" or len(inputs) == 1:
        return Judgement(shares, there, {}, {})
    answers = _answers(model, name, inputs, there, logits)
    alone = {
        key: np.where(there[key][:, None], softmax(answers[key,], model.spec.temperature_of([key])), np.nan)
        for key in inputs
    }
    return Judgement(shares, there, alone, _contributions(answers, there))


def _answers(
    model: Opened, name: str, inputs: Mapping[str, np.ndarray], there: Arrays, logits: np.ndarray
) -> dict[Subset, np.ndarray]:
    """Every subset of modalities, smaller ones first → (N, labels), the logits as if only these were there.

    `logits` are those of all; a row runs again only where something is in the subset and something outside of it.
    """
    judged = ~np.isnan(logits[:, 0])
    answers = {}
    for size in range(len(inputs) + 1):
        for subset in itertools.combinations(inputs, size):
            within, beyond = (
                judged & np.any([there[key] & (key in chosen) for key in inputs], axis=0)
                for chosen in (subset, set(inputs) - set(subset))
            )
            answers[subset] = np.where(beyond[:, None] & ~within[:, None], model.of_nothing, logits)
            rows = within & beyond
            if rows.any():
                answers[subset][rows] = _logits(
                    model,
                    name,
                    {
                        key: values[rows] if key in subset else np.zeros_like(values[rows])
                        for key, values in inputs.items()
                    },
                )
    return answers


def _contributions(answers: dict[Subset, np.ndarray], there: Arrays) -> dict[Subset, np.ndarray]:
    """Of every subset but the empty one, whose answer depends on nothing."""
    terms: dict[Subset, np.ndarray] = {}
    for subset, logits in answers.items():
        smaller = [term for part, term in terms.items() if set(part) < set(subset)]
        terms[subset] = logits - logits.mean(axis=1, keepdims=True) - sum(smaller)
    return {
        subset: np.linalg.norm(term, axis=1) * np.all([there[key] for key in subset], axis=0)
        for subset, term in terms.items()
        if subset
    }


def _logits(model: Opened, name: str, inputs: Arrays) -> np.ndarray:
    try:
        return model.runtime.predict(inputs)[model.spec.target.name]
    except LMFError as error:
        raise LMFError(f"{name}: {error}") from error
