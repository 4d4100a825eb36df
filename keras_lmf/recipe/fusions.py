"""The fusions of a recipe: one class for each word."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from keras_lmf.recipe.sections import Count, Word, words
from keras_lmf.spec import known

if TYPE_CHECKING:
    import keras


class FusionWord(Word):
    """A fusion: embeddings → one vector.

    Class attributes:
        acronym: what its models are called in papers; None: they have none.
        layer: its name in `keras_lmf.layers`.
    """

    acronym: ClassVar[str | None] = None
    layer: ClassVar[str]

    def build(self, seeds: Iterator[int | None], name: str) -> keras.layers.Layer | None:
        """The layer, with weights drawn from `seeds`; None: there is nothing to fuse."""
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


Fusion = Annotated[NoFusion | Concatenation | OuterProduct | LowRank, Field(discriminator="name")]
FUSIONS = words(Fusion)
FusionName = Annotated[str, known("fusion", FUSIONS)]
