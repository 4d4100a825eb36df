"""What a model says of windows: with all that is there, with each modality alone, and what each of them contributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.calibration import softmax
from keras_lmf.evaluation.subsets import only, presence
from keras_lmf.evaluation.terms import Subset, centred, contributions, every_subset
from keras_lmf.recognition.opened import Opened

Arrays = dict[str, np.ndarray]
Run = Callable[[Arrays], np.ndarray]  # of N rows → (N, width)


class Judgement(NamedTuple):
    """Of N windows.

    Attributes:
        probabilities: (N, labels); NaN where there is nothing to judge by.
        there: modality → (N,) bool.
        alone: modality → (N, labels), as if the others were absent; NaN where it is absent itself. Without entries for
            a model of one modality, or one that needs them all.
        contributions: subset of modalities → (N, labels): its contribution to the logits (less their mean, which no
            probability depends on), 0 where one of them is absent; the empty subset's is what is answered to nothing.
            NaN where there is nothing to judge by, and without entries as `alone`.
    """

    probabilities: np.ndarray
    there: Arrays
    alone: Arrays
    contributions: dict[Subset, np.ndarray]

    def take(self, rows: np.ndarray) -> Judgement:
        """Of these windows alone."""
        parts = ({key: values[rows] for key, values in part.items()} for part in self[1:])
        return Judgement(self.probabilities[rows], *parts)


def answer(model: Opened, name: str, inputs: Mapping[str, np.ndarray]) -> tuple[Arrays, np.ndarray]:
    """Whether each modality is there, modality → (N,) bool, and the logits (N, labels), NaN with nothing to judge by.

    inputs: (N, …) each, of zeros where a modality is absent.

    Raises:
        LMFError: the model answers with NaN or infinity.
    """
    return _where_judged(model, name, inputs, model.logits, len(model.labels))


def embed(model: Opened, name: str, inputs: Mapping[str, np.ndarray]) -> tuple[Arrays, np.ndarray]:
    """As `answer`; instead of the logits the vectors that they are made of, (N, width).

    Raises:
        LMFError: as there, or the model has no such vectors.
    """
    return _where_judged(model, name, inputs, model.embed, model.embedding_width)


def probabilities(model: Opened, there: Arrays, logits: np.ndarray) -> np.ndarray:
    """(N, labels) of what `answer` gives, each row by the temperature of the modalities that are there."""
    temperatures = [
        model.spec.temperature_of([key for key, judged in there.items() if judged[row]])
        for row in range(len(logits))
    ]
    return softmax(logits / np.reshape(temperatures, (-1, 1)))


def judge(model: Opened, name: str, inputs: Mapping[str, np.ndarray]) -> Judgement:
    """All that is said of the windows; arguments and errors as of `answer`.

    Contributions are made of the model's answers alone (`evaluation.terms`), so that files have them too. M
    modalities take up to 2^M − 1 runs instead of one.
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
    terms = contributions({subset: centred(logits) for subset, logits in answers.items()})
    for subset, term in terms.items():
        term[~np.isnan(term[:, 0]) & ~_all_there(subset, there)] = 0  # but for rounding it is
    return Judgement(shares, there, alone, terms)


def _answers(
    model: Opened, name: str, inputs: Mapping[str, np.ndarray], there: Arrays, logits: np.ndarray
) -> dict[Subset, np.ndarray]:
    """Every subset of modalities, smaller ones first → (N, labels), the logits as if only these were there.

    `logits` are those of all; a row runs again only where something is in the subset and something outside of it.
    """
    judged = ~np.isnan(logits[:, 0])
    answers = {}
    for subset in every_subset(inputs):
        inside, beyond = (
            judged & np.any([there[key] & (key in chosen) for key in inputs], axis=0)
            for chosen in (subset, set(inputs) - set(subset))
        )
        answers[subset] = np.where(beyond[:, None] & ~inside[:, None], model.of_nothing, logits)
        rows = inside & beyond
        if rows.any():
            some = {key: values[rows] for key, values in inputs.items()}
            answers[subset][rows] = _named(model.logits, name, only(some, subset))
    return answers


def _all_there(subset: Subset, there: Arrays) -> np.ndarray:
    return np.all([there[key] for key in subset], axis=0)


def _where_judged(
    model: Opened, name: str, inputs: Mapping[str, np.ndarray], run: Run, width: int
) -> tuple[Arrays, np.ndarray]:
    """Which modalities are there, and what `run` gives of the rows that have what the model needs, else NaN."""
    there = presence(inputs)
    derived = model.spec.presence == "derived"
    needed = np.stack([there[key] for key in (there if derived else model.media)])
    judged = needed.any(axis=0) if derived else needed.all(axis=0)
    rows = np.full((len(judged), width), np.nan)
    if judged.any():
        rows[judged] = _named(run, name, {key: values[judged] for key, values in inputs.items()})
    return there, rows


def _named(run: Run, name: str, inputs: Arrays) -> np.ndarray:
    """What `run` gives; its errors say whose inputs these are."""
    try:
        return run(inputs)
    except LMFError as error:
        raise LMFError(f"{name}: {error}") from error
