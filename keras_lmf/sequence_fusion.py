"""Fusion of sequences: at each step, and by attention between them. Functions of Keras tensors that carry masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_lmf.backbones.parts import dense, side_by_side
from keras_lmf.backbones.sequence import convolutions
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.layers import (
    AttentionPooling,
    CrossModalAttention,
    LastStep,
    Positions,
    PresentSteps,
    StatisticsPooling,
    TimeAlignment,
)

Sequences = dict[str, Any]
Seeds = Iterator[int | None]


def mean_pooling(sequence: Any, seeds: Seeds, name: str) -> Any:
    """The mean of the real steps, (batch, width)."""
    return StatisticsPooling(name=name)(sequence)[:, : sequence.shape[-1]]


def last_pooling(sequence: Any, seeds: Seeds, name: str) -> Any:
    """The last real step, (batch, width)."""
    return LastStep(name=name)(sequence)


def attention_pooling(sequence: Any, seeds: Seeds, name: str) -> Any:
    """The mean of the real steps, weighted by a learned score, (batch, width)."""
    return AttentionPooling(seed=next(seeds), name=name)(sequence)


POOLING: dict[str, Callable[[Any, Seeds, str], Any]] = {
    "mean": mean_pooling,
    "last": last_pooling,
    "attention": attention_pooling,
}


@dataclass(frozen=True)
class Clock:
    """How fast sequences are, against the slowest of them.

    Attributes:
        steps: of the slowest, for as long as any of them lasts.
        rates: modality → its steps in the time of one step of the slowest.
    """

    steps: int
    rates: dict[str, float]

    @classmethod
    def of(cls, sequences: Sequences, per_second: Mapping[str, float] | None) -> Clock:
        """The clock of sequences of so many steps a second; None: all last equally long.

        Raises:
            LMFError: a free number of steps, or a modality without a rate.
        """
        lengths = {name: sequence.shape[1] for name, sequence in sequences.items()}
        if free := [name for name, length in lengths.items() if length is None]:
            raise LMFError(
                f"The number of steps of {', '.join(free)} is free; fusion at each step needs it fixed."
            )
        if not per_second:
            steps = min(lengths.values())
            return cls(steps, {name: length / steps for name, length in lengths.items()})
        for name in sequences:
            if name not in per_second:
                raise LMFError(
                    f"The fusion's rates miss {name!r}; received rates of {', '.join(per_second)}."
                )
        for name in per_second:
            if name not in sequences:
                raise unknown_name("modality in the fusion's rates", name, sequences)
        slowest = min(per_second.values())
        rates = {name: per_second[name] / slowest for name in sequences}
        return cls(max(-int(-lengths[name] // rates[name]) for name in sequences), rates)


def fused_steps(
    sequences: Sequences,
    clock: Clock,
    fusion: keras.layers.Layer,
    filters: tuple[int, ...],
    kernel_size: int,
    dropout: float,
    seeds: Seeds,
) -> Any:
    """The fused signal, (batch, steps of the slowest, width): fusion at each step, then convolutions over time.

    A modality's masked step is its absence. Kumar & Martin, section IV.
    """
    aligned = {
        name: sequence
        if clock.rates[name] == 1 and sequence.shape[1] == clock.steps
        else TimeAlignment(clock.steps, rate=clock.rates[name], name=f"{fusion.name}_alignment_{name}")(
            sequence
        )
        for name, sequence in sequences.items()
    }
    return convolutions(
        fusion(aligned), filters, kernel_size, dropout, seeds, name=f"{fusion.name}_convolution"
    )


def to_modalities(fused: Any, sequences: Sequences, clock: Clock, seeds: Seeds, name: str) -> Sequences:
    """The fused signal looks at each modality: M sequences at the slowest rate. Sahay et al. 2020."""
    placed = Positions(name=f"{name}_positions")(fused)
    found = {}
    for modality, sequence in sequences.items():
        own = Positions(clock.rates[modality], name=f"{name}_positions_{modality}")(sequence)
        found[modality] = _seen(fused, placed, own, seeds, f"{name}_{modality}")
    return found


def from_modalities(fused: Any, sequences: Sequences, clock: Clock, seeds: Seeds, name: str) -> Sequences:
    """Each modality looks at the fused signal: M sequences at their own rates. Sahay et al. 2020."""
    placed = Positions(name=f"{name}_positions")(fused)
    found = {}
    for modality, sequence in sequences.items():
        own = dense(fused.shape[-1], next(seeds), name=f"{name}_projection_{modality}")(sequence)
        times = Positions(clock.rates[modality], name=f"{name}_positions_{modality}")(own)
        found[modality] = _seen(own, times, placed, seeds, f"{name}_{modality}")
    return found


def no_attention(fused: Any, sequences: Sequences, clock: Clock, seeds: Seeds, name: str) -> Sequences:
    """The fused signal alone."""
    return {name: fused}


ATTENTION: dict[str, Callable[[Any, Sequences, Clock, Seeds, str], Sequences]] = {
    "none": no_attention,
    "to_modalities": to_modalities,
    "from_modalities": from_modalities,
}


def present(sequences: Sequences, presence: Any, name: str) -> Sequences:
    """The sequences, masked where their modality is absent."""
    if presence is None:
        return sequences
    return {
        modality: PresentSteps(i, name=f"{name}_presence_{modality}")([sequence, presence])
        for i, (modality, sequence) in enumerate(sequences.items())
    }


def pooled(sequences: Sequences, pooling: str, seeds: Seeds, name: str) -> Any:
    """The sequences as vectors, side by side: (batch, the sum of their widths)."""
    vectors = [POOLING[pooling](found, seeds, f"{name}_pooling_{key}") for key, found in sequences.items()]
    return side_by_side(vectors)


def crossmodal_transformers(
    sequences: Sequences, units: int, layers: int, dropout: float, seeds: Seeds, name: str
) -> Sequences:
    """The multimodal transformer: each sequence, enriched by each other one, M (M − 1) stacks of attention.

    Each modality is projected to `units`. A stack of `layers` blocks lets it look at another one; the M − 1 results
    stand side by side, (batch, steps, (M − 1) units), and a stack of as many self-attention blocks follows. Sequences
    keep their rates. Attention is of one head. Tsai et al., "Multimodal Transformer for Unaligned Multimodal Language
    Sequences", ACL 2019, section 3.
    """
    clock = Clock.of(sequences, None)
    placed = {}
    for modality, sequence in sequences.items():
        own = dense(units, next(seeds), use_bias=False, name=f"{name}_projection_{modality}")(sequence)
        placed[modality] = Positions(clock.rates[modality], name=f"{name}_positions_{modality}")(own)
    enriched = {}
    for target, own in placed.items():
        seen = []
        for source, other in placed.items():
            if source != target:
                hidden = own
                for i in range(layers):
                    hidden = _block(hidden, other, dropout, seeds, f"{name}_{source}_to_{target}_{i}")
                seen.append(hidden)
        hidden = keras.layers.Concatenate(name=f"{name}_{target}")(seen) if len(seen) > 1 else seen[0]
        for i in range(layers):
            hidden = _block(hidden, hidden, dropout, seeds, f"{name}_{target}_{i}")
        enriched[target] = hidden
    return enriched


def _block(hidden: Any, other: Any, dropout: float, seeds: Seeds, name: str) -> Any:
    """A transformer's block, normalised before each part: attention to `other`, then two dense layers."""
    width = hidden.shape[-1]
    queries = keras.layers.LayerNormalization(name=f"{name}_norm")(hidden)
    keys = keras.layers.LayerNormalization(name=f"{name}_other_norm")(other)
    attention = CrossModalAttention(width, dropout=dropout, seed=next(seeds), name=f"{name}_attention")
    hidden = keras.layers.Add(name=f"{name}_seen")([hidden, attention([queries, keys])])
    inner = keras.layers.LayerNormalization(name=f"{name}_inner_norm")(hidden)
    inner = dense(4 * width, next(seeds), activation="relu", name=f"{name}_inner")(inner)
    inner = keras.layers.Dropout(dropout, seed=next(seeds), name=f"{name}_dropout")(inner)
    inner = dense(width, next(seeds), name=f"{name}_outer")(inner)
    return keras.layers.Add(name=f"{name}_added")([hidden, inner])


def _seen(sequence: Any, queries: Any, keys: Any, seeds: Seeds, name: str) -> Any:
    """The sequence, to which is added what its steps see, normalised."""
    attention = CrossModalAttention(sequence.shape[-1], seed=next(seeds), name=f"{name}_attention")
    added = keras.layers.Add(name=f"{name}_added")([sequence, attention([queries, keys])])
    return keras.layers.LayerNormalization(name=f"{name}_norm")(added)
