"""The fusions of a recipe: one class for each word."""

from __future__ import annotations

import abc
import importlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from keras_lmf.recipe.sections import Count, Counts, Rate, Word, words
from keras_lmf.spec import PerSecond, known
from keras_lmf.target import Name

if TYPE_CHECKING:
    import keras


class FusionWord(Word):
    """A fusion: embeddings → one vector.

    Class attributes:
        acronym: what its models are called in papers; None: they have none.
        of_steps: whether it takes sequences: backbones then keep their steps.
        layer: its name in `keras_lmf.layers`.
    """

    acronym: ClassVar[str | None] = None
    of_steps: ClassVar[bool] = False
    layer: ClassVar[str]

    def build(self, seeds: Iterator[int | None], name: str) -> Callable[..., Any] | None:
        """The layer, or a function that is called as one, with weights drawn from `seeds`; None: nothing to fuse."""
        # Imported here, with Keras: a recipe is read without.
        return getattr(importlib.import_module("keras_lmf.layers"), self.layer)(**self.options, name=name)


class NoFusion(FusionWord):
    """One modality: there is nothing to fuse."""

    title = ""  # no text names it
    name: Literal["none"]

    def build(self, seeds: Iterator[int | None], name: str) -> None:
        return None


class Concatenation(FusionWord):
    """Concatenation: `layers.EarlyFusion`."""

    title = "early fusion"
    layer = "EarlyFusion"
    name: Literal["early"]


class OuterProduct(FusionWord):
    """Outer product: `layers.TensorFusion`."""

    title = "tensor fusion"
    layer = "TensorFusion"
    acronym = "tfn"
    papers = ("Zadeh et al., Tensor Fusion Network for Multimodal Sentiment Analysis, EMNLP 2017",)
    name: Literal["tensor"]


class LowRank(FusionWord):
    """Low-rank multimodal fusion: `layers.LowRankFusion`."""

    title = "low-rank fusion"
    acronym = "lmf"
    papers = ("Liu et al., Efficient Low-rank Multimodal Fusion with Modality-Specific Factors, ACL 2018",)
    name: Literal["low_rank"]
    units: Count = Field(64, description="Width of the fused vector.")
    rank: Count = Field(4, description="Terms of the sum that stands for the whole outer product.")
    initialization: Literal["variance_preserving", "reference"] = Field(
        "variance_preserving", description='How weights are drawn; "reference" is as the published code does.'
    )

    def build(self, seeds: Iterator[int | None], name: str) -> keras.layers.Layer:
        from keras_lmf.layers import LowRankFusion

        return LowRankFusion(**self.options, seed=next(seeds), name=name)


class FusionOfSteps(FusionWord, abc.ABC):
    """A fusion of sequences: embeddings at each step → one vector."""

    of_steps = True
    pooling: Literal["mean", "last", "attention"] = Field(
        "mean",
        description='How steps become one vector: their mean, the last, or by a learned weight ("attention").',
    )

    @abc.abstractmethod
    def sequences(self, embeddings: dict[str, Any], seeds: Iterator[int | None], name: str) -> dict[str, Any]:
        """What is pooled in the end."""

    def build(self, seeds: Iterator[int | None], name: str) -> Callable[..., Any]:
        from keras_lmf import sequence_fusion

        def fuse(embeddings: dict[str, Any], presence: Any = None) -> Any:
            there = sequence_fusion.present(embeddings, presence, name)
            return sequence_fusion.pooled(self.sequences(there, seeds, name), self.pooling, seeds, name)

        return fuse


class StepByStep(FusionOfSteps):
    """Fusion at each step, convolutions over time, cross-modal attention: `sequence_fusion`."""

    title = "fusion at each step"
    papers = (
        *LowRank.papers,
        "Sahay et al., Low Rank Fusion based Transformers for Multimodal Sequences, 2020",
        "Kumar & Martin, Cross-Modal Harmony",
    )
    name: Literal["step_by_step"]
    each: Annotated[Concatenation | OuterProduct | LowRank, Field(discriminator="name")] = Field(
        LowRank(name="low_rank"), description="The fusion at each step."
    )
    filters: Counts = Field((64,), description="Widths of the ReLU convolutions over the fused signal.")
    kernel_size: Count = Field(3, description="Steps that each convolution sees.")
    dropout: Rate = Field(0.0, description="Rate of dropout after each convolution.")
    attention: Literal["none", "to_modalities", "from_modalities"] = Field(
        "to_modalities",
        description='Who looks at whom: the fused signal at the modalities, these at the fused signal, or "none".',
    )
    rates: dict[Name, PerSecond] | None = Field(
        None, description="Steps a second after each backbone; none: all inputs last equally long."
    )

    def sequences(self, embeddings: dict[str, Any], seeds: Iterator[int | None], name: str) -> dict[str, Any]:
        from keras_lmf import sequence_fusion

        clock = sequence_fusion.Clock.of(embeddings, self.rates)
        fusion = self.each.build(seeds, name)
        fused = sequence_fusion.fused_steps(
            embeddings, clock, fusion, self.filters, self.kernel_size, self.dropout, seeds
        )
        return sequence_fusion.ATTENTION[self.attention](fused, embeddings, clock, seeds, name)


class MultimodalTransformer(FusionOfSteps):
    """Attention between all pairs of modalities: `sequence_fusion.crossmodal_transformers`."""

    title = "pairwise cross-modal attention"
    acronym = "mult"
    papers = ("Tsai et al., Multimodal Transformer for Unaligned Multimodal Language Sequences, ACL 2019",)
    name: Literal["multimodal_transformer"]
    units: Count = Field(64, description="Width of a modality's steps.")
    layers: Count = Field(1, description="Blocks in each stack.")
    dropout: Rate = Field(0.0, description="Rate of dropout in each block.")

    def sequences(self, embeddings: dict[str, Any], seeds: Iterator[int | None], name: str) -> dict[str, Any]:
        from keras_lmf import sequence_fusion

        return sequence_fusion.crossmodal_transformers(
            embeddings, self.units, self.layers, self.dropout, seeds, name
        )


Fusion = Annotated[
    NoFusion | Concatenation | OuterProduct | LowRank | StepByStep | MultimodalTransformer,
    Field(discriminator="name"),
]
FUSIONS = words(Fusion)
FusionName = Annotated[str, known("fusion", FUSIONS)]
