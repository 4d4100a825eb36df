"""A corpus with a known answer: the label lies in when the modalities agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.data.corpora.description import CorpusDescription
from keras_lmf.data.corpora.synthetic import GROUPS
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import LMFError
from keras_lmf.target import Target

DESCRIPTION = CorpusDescription(
    title="made-up sequences",
    licence="none needed: the data are generated",
    weights_licence="Apache-2.0",
    inputs=dict.fromkeys(("audio", "video"), ("standard deviations", "4 numbers a step")),
    notes=(
        "The label lies in when the modalities agree. Neither alone says anything, nor do both, pooled over time.",
    ),
    citation="keras-lmf",
)


def load(
    root: str | Path | None = None,
    *,
    samples: int = 3000,
    steps: int = 16,
    width: int = 4,
    agreement: float = 0.75,
    noise: float = 0.3,
    rate: int = 1,
    distractors: int = 0,
    seed: int = 0,
) -> Dataset:
    """Each modality is up or down at each step, half of the time each; "together" is where they mostly agree.

    A step is s_m(t) w_m + ε: s_m(t) = ±1, a hidden unit vector w_m of each modality, and ε ~ N(0, noise²). Audio is
    drawn from all sequences with as many ups as downs; video from those that agree with it at the share `agreement` of
    the steps ("together"), or disagree at that share ("apart").

    What is known of it:

    - **A modality alone says nothing.** Given either label, each is drawn evenly from all balanced sequences.
    - **Nor do both, pooled over time.** Whatever does not look at the order of each modality's steps, such as a mean, a
      maximum or any network before one, sees half ups and half downs, with noise that knows no label.
    - **Fusion at each step is exact.** Without noise, the mean of (w_a·audio) (w_v·video) over the steps is above 0
      where the label is "together": one rank-1 term of LowRankFusion, then the mean.

    20 synthetic groups (speakers), 12 train, 4 valid, 4 test: 60, 20 and 20 % of the samples.

    Args:
        root: ignored; here so that all corpora are called alike.
        samples: ≥ 20 in all splits together.
        steps: of the video, an even number ≥ 4.
        width: features of each step, ≥ 1.
        agreement: share of the steps, above .5 and at most 1; rounded to what `steps` allows.
        noise: standard deviation of ε, ≥ 0.
        rate: steps of the audio for one of the video, ≥ 1.
        distractors: modalities "distractor_1", … of as many steps as the video, which agree with nothing, ≥ 0.
        seed: the same seed gives the same corpus.
    """
    name = "Corpus 'synthetic_steps':"
    least = (("samples", samples, len(GROUPS)), ("steps", steps, 4), ("width", width, 1), ("rate", rate, 1))
    for option, value, lowest in (*least, ("distractors", distractors, 0), ("seed", seed, 0)):
        whole_number(f"{name} {option}", value, lowest)
    if steps % 2:
        raise LMFError(f"{name} steps must be even, received {steps}.")
    if not isinstance(agreement, int | float) or not 0.5 < agreement <= 1:
        raise LMFError(f"{name} agreement must be above 0.5 and at most 1, received {agreement!r}.")
    if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < float("inf"):
        raise LMFError(f"{name} noise must be a number ≥ 0, received {noise!r}.")
    random = np.random.default_rng(seed)
    half = steps // 2
    kept = max(round(agreement * half), half // 2 + 1)  # of the ups, and of the downs
    together = random.random(samples) < 0.5
    places = random.permuted(
        np.tile(np.arange(steps), (samples, 1)), axis=1
    )  # the first half are audio's ups
    audio, video = -np.ones((2, samples, steps))
    np.put_along_axis(audio, places[:, :half], 1, axis=1)
    order = np.arange(half)
    agreeing = np.where(together[:, None], order < kept, order >= kept)
    np.put_along_axis(video, places[:, :half], np.where(agreeing, 1, -1), axis=1)
    np.put_along_axis(video, places[:, half:], np.where(agreeing, -1, 1), axis=1)
    signals = {"audio": np.repeat(audio, rate, axis=1), "video": video}
    balanced = np.tile(np.where(np.arange(steps) < half, 1.0, -1.0), (samples, 1))
    for number in range(1, distractors + 1):
        signals[f"distractor_{number}"] = random.permuted(balanced, axis=1)
    inputs = {}
    for modality, signal in signals.items():
        hidden = random.standard_normal(width)
        hidden /= np.linalg.norm(hidden)
        clean = signal[:, :, None] * hidden
        inputs[modality] = (clean + noise * random.standard_normal(clean.shape)).astype(np.float32)
    group = np.arange(samples) * len(GROUPS) // samples
    return Dataset(
        name="synthetic_steps",
        target=Target(name="emotion", classes=("apart", "together")),
        inputs=inputs,
        labels=together.astype(np.int64),
        groups=np.array([f"speaker_{number:02d}" for number in group]),
        ids=np.array([f"sample_{number:06d}" for number in range(samples)]),
        splits=np.array(GROUPS)[group],
    )
