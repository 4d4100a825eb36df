"""A corpus with a known answer: the label lies in the product of the modalities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_lmf.data.corpora.description import CorpusDescription
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import LMFError
from keras_lmf.target import Target

# Groups 0–11 are train, 12–15 valid, 16–19 test.
GROUPS = ["train"] * 12 + ["valid"] * 4 + ["test"] * 4

DESCRIPTION = CorpusDescription(
    title="made-up data",
    licence="none needed: the data are generated",
    weights_licence="Apache-2.0",
    inputs=dict.fromkeys(("audio", "video"), ("standard deviations", "8 standard-normal numbers")),
    notes=("The label lies in the product of the modalities: neither alone says anything about it.",),
    citation="keras-lmf",
)


def load(
    root: str | Path | None = None,
    *,
    modalities: Sequence[str] = ("audio", "video"),
    samples: int = 3000,
    width: int = 8,
    noise: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Draw x_m ~ N(0, I) of `width` features for each of M ≥ 2 modalities; the class is "excited" where
    ∏_m w_m·x_m > 0 and "calm" elsewhere, with one hidden unit vector w_m per modality.

    What is known of it, for every M ≥ 2:

    - **A modality alone says nothing**, nor do any M − 1 of them: given those, the sign of the remaining
      w_m·x_m is a fair coin.
    - **A linear layer on the concatenation is at chance.** Negating two modalities leaves distribution and
      class as they are. So a linear model with weights (a_1, …, a_M) has the same expected loss with any two
      a_m negated. All these weights average to 0 (for M = 2, (a_1, a_2) and (−a_1, −a_2) do), so a convex
      loss (cross-entropy, hinge, squared) is least at a = 0: a constant output, right half the time. And at
      M = 2 a linear score with threshold 0 is right half the time whatever its weights: x and −x share their
      class and get opposite answers. (A threshold moved on purpose can reach 5/8 at M = 2, with
      a = (w_1, w_2): no distribution hides its label from every half-space.)
    - **Rank-1 fusion is exact.** ∏_m w_m·x_m is one rank-1 term of LowRankFusion with zero constant rows.
    - `noise` flips each label with that probability, so no model exceeds an expected accuracy of 1 − noise.

    20 synthetic groups (speakers), 12 train, 4 valid, 4 test: 60, 20 and 20 % of the samples.

    Args:
        root: ignored; here so that all corpora are called alike.
        modalities: two or more names.
        samples: 20 … 10⁶ in all splits together.
        width: features of each modality, 1 … 10⁴; up to 10⁸ numbers in all.
        noise: share of flipped labels, in [0, 0.5).
        seed: the same seed gives the same corpus.
    """
    names = tuple(modalities) if isinstance(modalities, list | tuple) else ()
    if len(names) < 2 or len(set(names)) != len(names):
        raise LMFError(
            f"Corpus 'synthetic': modalities must be two or more different names, received {modalities!r}."
        )
    for option, value, least, most in (
        ("samples", samples, len(GROUPS), 10**6),
        ("width", width, 1, 10**4),
        ("samples × width × modalities", samples * width * len(names), 1, 10**8),
        ("seed", seed, 0, None),
    ):
        whole_number(f"Corpus 'synthetic': {option}", value, least, most)
    if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < 0.5:
        raise LMFError(f"Corpus 'synthetic': noise must be in [0, 0.5), received {noise!r}.")
    random = np.random.default_rng(seed)
    features = random.standard_normal((len(names), samples, width)).astype(np.float32)
    hidden = random.standard_normal((len(names), width))
    hidden /= np.linalg.norm(hidden, axis=1, keepdims=True)
    excited = np.einsum("mnd,md->mn", features, hidden).prod(axis=0) > 0
    flipped = random.random(samples) < noise
    group = np.arange(samples) * len(GROUPS) // samples
    return Dataset(
        name="synthetic",
        target=Target(name="emotion", classes=("calm", "excited")),
        inputs=dict(zip(names, features)),
        labels=excited ^ flipped,
        groups=np.array([f"speaker_{number:02d}" for number in group]),
        ids=np.array([f"sample_{number:06d}" for number in range(samples)]),
        splits=np.array(GROUPS)[group],
    )
