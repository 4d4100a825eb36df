"""The fusions of a recipe: one class for each word."""

from __future__ import annotations

import abc
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError

from keras_lmf.errors import invalid, unknown_name
from keras_lmf.recipe.sections import Count, Counts, Part, Rate, Word, words
from keras_lmf.spec import PerSecond, known
from keras_lmf.target import Name, Target, Text

if TYPE_CHECKING:
    import keras


class FusionWord(Word):
    """A fusion: embeddings → one vector.

    Class attributes:
        acronym: what its models are called in papers; None: they have none.
        of_steps: whether it takes sequences: backbones then keep their steps.
        layer: its name in `keras_lmf.layers`.
        out_of_fold: of a fusion of answers: whether it is fitted on the training rows, each answered by parts that have
            not learnt from it, instead of the validation rows.
    """

    acronym: ClassVar[str | None] = None
    of_steps: ClassVar[bool] = False
    layer: ClassVar[str]
    out_of_fold: ClassVar[bool] = False

    def build(self, seeds: Iterator[int | None], name: str) -> Callable[..., Any] | None:
        """The layer, or a function that is called as one, with weights drawn from `seeds`; None: nothing to fuse."""
        # Imported here, with Keras: a recipe is read without.
        return getattr(importlib.import_module("keras_lmf.layers"), self.layer)(**self.options, name=name)

    def parts(self, modalities: Sequence[str]) -> dict[str, tuple[Sequence[str], FusionWord]]:
        """Of a fusion of answers: name → modalities and fusion of each network that answers by itself."""
        return {}

    def require(self, modalities: Sequence[str], target: Target) -> None:
        """A ValueError where it can't fuse these modalities for this target."""


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


class Rule(Part):
    """A line of a rule table: where all of `when` hold, the answer is `then`."""

    when: dict[Name, Text] = Field(min_length=1, max_length=16, description="Part → the class that it names.")
    then: Text = Field(description="The answer.")

    @classmethod
    def of(cls, line: Rule | Mapping[str, Any]) -> Rule:
        """A line as a rule; LMFError where it is none."""
        try:
            return cls.model_validate(line)
        except ValidationError as error:
            raise invalid(error, cls, "A rule") from None


ClassRule = Literal["product", "sum", "maximum", "vote"]


class FusionOfAnswers(FusionWord, abc.ABC):
    """A fusion of answers: each modality has a network of its own, trained by itself; what they answer is joined."""

    folds: int = Field(
        5,
        ge=2,
        le=50,
        description="Into which the training groups are divided where the parts answer rows that they have not seen.",
    )

    def parts(self, modalities: Sequence[str]) -> dict[str, tuple[Sequence[str], FusionWord]]:
        return {name: ((name,), NoFusion(name="none")) for name in modalities}

    def require(self, modalities: Sequence[str], target: Target) -> None:
        if len(modalities) < 2:
            raise ValueError(
                f"fusion {self.name!r} takes two inputs or more, received {', '.join(modalities)}"
            )

    @abc.abstractmethod
    def joint(self, target: Target, parts: Sequence[str]) -> dict[str, Any]:
        """What is joined how: `rule` and settings of `models.joints.joint_layer`."""

    def build(self, seeds: Iterator[int | None], name: str) -> None:
        return None  # what joins the answers depends on the target: `joint`


class Decision(FusionOfAnswers):
    """A rule on the answers of separate networks: `models.decision_fusion`. Its settings are fitted on "valid"."""

    title = "decision fusion"
    papers = ("Kittler et al., On Combining Classifiers, IEEE TPAMI 1998",)
    name: Literal["decision"]
    rule: ClassRule | Literal["inverse_variance"] | None = Field(
        None,
        description='For classes "product" (if left out), "sum", "maximum" or "vote"; for a range "inverse_variance".',
    )
    importance: Literal["fitted", "equal"] = Field(
        "fitted",
        description='How much each part counts: as fitted, or "equal": alike. A "vote" is then the plain majority.',
    )
    rules: tuple[Rule, ...] = Field(
        (),
        max_length=1000,
        description="A table of rules that go before, in order: the first that holds decides.",
    )

    def require(self, modalities: Sequence[str], target: Target) -> None:
        super().require(modalities, target)
        numbers = self.rule == "inverse_variance"
        if self.rule is not None and numbers == bool(target.classes):
            kind = "classes" if target.classes else "a range"
            raise ValueError(f"fusion.rule {self.rule!r} does not fit target {target.name!r} of {kind}")
        if self.importance != "fitted" and not target.classes:
            raise ValueError(
                f"fusion.importance {self.importance!r} is for classes; target {target.name!r} has a range"
            )
        if self.rules and not target.classes:
            raise ValueError(f"fusion.rules name classes; target {target.name!r} has a range")
        parts = self.parts(modalities)
        for rule in self.rules:
            for part in rule.when:
                if part not in parts:
                    raise unknown_name("part in fusion.rules", part, parts)
            for word in (*rule.when.values(), rule.then):
                if word not in target.classes:
                    raise unknown_name("class in fusion.rules", word, target.classes)

    def joint(self, target: Target, parts: Sequence[str]) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "rule": self.rule or ("product" if target.classes else "inverse_variance")
        }
        if self.importance == "equal":
            settings["importance"] = dict.fromkeys(parts, 1.0)
            if self.rule == "vote":  # the prior would outvote them where a class is frequent
                settings["prior"] = [1 / target.size] * target.size
        return settings | ({"rules": self.rules, "classes": target.classes} if self.rules else {})


class Hybrid(Decision):
    """Feature and decision level together: a network that fuses features is one more voter, named "fused"."""

    title = "hybrid fusion"
    name: Literal["hybrid"]
    features: Annotated[
        Concatenation | OuterProduct | LowRank | StepByStep | MultimodalTransformer,
        Field(discriminator="name"),
    ] = Field(LowRank(name="low_rank"), description='The fusion of features in the network "fused".')

    def parts(self, modalities: Sequence[str]) -> dict[str, tuple[Sequence[str], FusionWord]]:
        return {**super().parts(modalities), "fused": (modalities, self.features)}

    def require(self, modalities: Sequence[str], target: Target) -> None:
        super().require(modalities, target)
        if "fused" in modalities:
            raise ValueError("fusion 'hybrid' has a part of the name 'fused': no modality can be called so")


class StackedAnswers(FusionOfAnswers):
    """A linear layer on the answers of separate networks: `layers.Stacking`.

    It is fitted on the training rows, each answered by networks that have not seen its group (speaker, video).
    """

    title = "stacking"
    papers = ("Wolpert, Stacked Generalization, Neural Networks 1992",)
    out_of_fold = True
    name: Literal["stacking"]

    def joint(self, target: Target, parts: Sequence[str]) -> dict[str, Any]:
        return {"rule": "stacking"}


Fusion = Annotated[
    NoFusion
    | Concatenation
    | OuterProduct
    | LowRank
    | StepByStep
    | MultimodalTransformer
    | Decision
    | StackedAnswers
    | Hybrid,
    Field(discriminator="name"),
]
FUSIONS = words(Fusion)
FusionName = Annotated[str, known("fusion", FUSIONS)]
