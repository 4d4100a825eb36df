"""What each subset of modalities contributes to an answer, from the answers to the subsets alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from keras_lmf.errors import LMFError

Subset = tuple[str, ...]
TOGETHER = " × "
CONSTANT = "constant"


def every_subset(modalities: Iterable[str]) -> Iterator[Subset]:
    """Every subset in modality order, smaller ones first, the empty one too."""
    names = tuple(modalities)
    for size in range(len(names) + 1):
        yield from itertools.combinations(names, size)


def contributions(answers: Mapping[Subset, np.ndarray]) -> dict[Subset, np.ndarray]:
    """Each subset's contribution: the answer to it, less the contributions of all smaller ones in it.

    Inclusion and exclusion. Of a low-rank, tensor or early fusion behind a linear head these are the terms into which
    its product expands (`LowRankFusion.interactions`).

    Args:
        answers: every subset of the modalities, smaller ones first (`every_subset`) → (N, …), as if the others were
            absent.

    Returns:
        subset → (N, …) in float64. The empty one is what is answered to nothing. They add up to the answer to all.
    """
    terms: dict[Subset, np.ndarray] = {}
    for subset, answer in answers.items():
        smaller = [term for part, term in terms.items() if set(part) < set(subset)]
        terms[subset] = np.asarray(answer, np.float64) - sum(smaller)
    return terms


def title(subset: Subset) -> str:
    """ "voice × face"; the empty one is "constant"."""
    return TOGETHER.join(subset) or CONSTANT


def centred(logits: np.ndarray) -> np.ndarray:
    """Less their mean over the classes, on which no probability depends."""
    return logits - logits.mean(axis=-1, keepdims=True)


def interactions(
    terms: Mapping[Subset, np.ndarray], names: Sequence[str], *, classes: bool = True
) -> pd.DataFrame:
    """Which subsets of modalities carry the answers to a corpus, by class.

    Args:
        terms: subset → (N, K), contributions to the logits or values, as `klmf.explain(…).terms`.
        names: of the K classes, or of the K values of a regression.
        classes: whether they are classes, so that a row's answer is the one with the largest sum.

    Returns:
        A row for each class that is answered (for each value of a regression) and each subset, "constant" among them:
        `answer`, `rows` with that answer, `subset`, and
        `push`, the mean contribution to it (of classes: to its logit less the mean of all, so above 0 is for it);
        `share`, the size of the contributions as a share of those of all subsets but the constant: of classes the
        length of the contribution to all logits, as in `Prediction.shares`; NaN for the constant;
        `decisive`, the share of the rows with another answer if this contribution were 0; NaN for a regression.

    Raises:
        LMFError: no terms, or names that are not as many as their columns.
    """
    if not terms or any(np.ndim(term) != 2 or term.shape[1] != len(names) for term in terms.values()):
        shapes = ", ".join(f"{title(subset)} {np.shape(term)}" for subset, term in terms.items())
        raise LMFError(
            f"interactions takes terms (N, {len(names)}), a column for each name; received {shapes or 'none'}."
        )
    if classes:
        terms = {subset: centred(term) for subset, term in terms.items()}
    whole = sum(terms.values())
    answers = whole.argmax(axis=1)
    rows = []
    for k, name in enumerate(names):
        chosen = answers == k if classes else np.ones(len(whole), bool)
        if not chosen.any():
            continue
        sizes = {
            subset: (np.linalg.norm(term[chosen], axis=1) if classes else np.abs(term[chosen, k])).mean()
            for subset, term in terms.items()
            if subset
        }
        total = sum(sizes.values())
        for subset, term in terms.items():
            changed = ((whole - term)[chosen].argmax(axis=1) != k).mean() if classes else np.nan
            share = sizes[subset] / total if subset and total else np.nan
            rows.append((name, int(chosen.sum()), title(subset), term[chosen, k].mean(), share, changed))
    return pd.DataFrame(rows, columns=["answer", "rows", "subset", "push", "share", "decisive"])
