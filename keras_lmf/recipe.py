"""A recipe: what is built, on what it is trained, and how. TOML in and out; loads no backend."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.files import write_text
from keras_lmf.target import Name, Target

Rate = Annotated[float, Field(ge=0, lt=1)]
Noise = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
# What an honest recipe stays far below. A recipe may be a stranger's: `zoo.load` builds what it says.
Count = Annotated[int, Field(ge=1, le=2**20)]
Counts = Annotated[tuple[Count, ...], Field(max_length=32)]


class Part(BaseModel):
    """A frozen section of a recipe; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Regularised(Part):
    """What every backbone for features can do against overfitting; see `backbones.mlp`."""

    name: str
    input_dropout: Rate = 0.0
    input_noise: Noise = 0.0
    dropout: Rate = 0.0


class MLP(Regularised):
    """Vector → embedding: `backbones.mlp`."""

    name: Literal["mlp"]
    units: Counts = (64,)


class Recurrent(Regularised):
    """Sequence → embedding: `backbones.lstm`, `backbones.bilstm` or `backbones.gru`."""

    name: Literal["lstm", "bilstm", "gru"]
    units: Count = 64


class Convolution(Regularised):
    """Sequence → embedding: `backbones.temporal_convolution`."""

    name: Literal["temporal_convolution"]
    filters: Counts = (64, 64)
    kernel_size: Count = 5
    units: Count = 64


class PublishedFeature(Part):
    """Vector → embedding, the published sub-network: `backbones.published_feature_network`."""

    name: Literal["published_feature"]
    units: Count = 32
    dropout: Rate = 0.0


class PublishedText(Part):
    """Sequence → embedding, the published sub-network: `backbones.published_text_network`."""

    name: Literal["published_text"]
    hidden_units: Count = 128
    units: Count = 64
    dropout: Rate = 0.0


Backbone = Annotated[
    MLP | Recurrent | Convolution | PublishedFeature | PublishedText, Field(discriminator="name")
]


class Modality(Part):
    """One input: its shape without the batch axis, (width,) or (steps, width), and its backbone."""

    shape: Counts
    backbone: Backbone


class Early(Part):
    """Concatenation: `layers.EarlyFusion`."""

    name: Literal["early"]


class Tensor(Part):
    """Outer product: `layers.TensorFusion`."""

    name: Literal["tensor"]


class LowRank(Part):
    """Low-rank multimodal fusion: `layers.LowRankFusion`."""

    name: Literal["low_rank"]
    units: Count = 64
    rank: Count = 4
    initialization: Literal["variance_preserving", "reference"] = "variance_preserving"


Fusion = Annotated[Early | Tensor | LowRank, Field(discriminator="name")]


class Head(Part):
    """What follows the fusion: dropout, then hidden ReLU layers with dropout, then one linear layer."""

    units: Counts = ()
    dropout: Rate = 0.0


class Corpus(Part):
    """Which corpus, and the options of its loader (see `keras_lmf.data.corpora`)."""

    name: str
    options: dict[str, Any] = {}


class Training(Part):
    """How to train.

    Attributes:
        fusion_learning_rate: the separate rate of the fusion layer's weights (Liu et al. 2018).
        fit_on: "train", with early stopping on "valid"; or "train + valid" for a last fit with all settings chosen:
            it runs for all `epochs` and keeps the last weights.
        output_bias: where the output layer's bias starts. "label_mean", for a target with a range: at the mean label
            of the training rows, which saves a small learning rate the way there.
        monitor: what chooses the epoch on "valid": "loss", or "pearson", the correlation, for a target with a range.
    """

    epochs: Count = 100
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    fusion_learning_rate: Positive | None = None
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    loss: Literal["cross_entropy", "mae", "mse", "huber"]
    class_weights: Literal["none", "balanced"] = "none"
    patience: Count = 10
    fit_on: Literal["train", "train + valid"] = "train"
    output_bias: Literal["zeros", "label_mean"] = "zeros"
    monitor: Literal["loss", "pearson"] = "loss"


class Recipe(Part):
    """A validated, frozen description of a model, its corpus and its training.

    Raises:
        LMFError: an unknown key (with the nearest one), a missing one, or a value out of range.
    """

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    corpus: Corpus
    target: Target
    inputs: Annotated[dict[Name, Modality], Field(min_length=1, max_length=16)]
    fusion: Fusion
    head: Head = Head()
    training: Training

    def __init__(self, **sections: Any) -> None:
        try:
            super().__init__(**sections)
        except ValidationError as error:
            raise _explain(error) from None

    @model_validator(mode="after")
    def _loss_fits_target(self) -> Recipe:
        if (self.training.loss == "cross_entropy") != (self.target.classes is not None):
            kind = "classes" if self.target.classes else "a range"
            raise ValueError(
                f"loss {self.training.loss!r} does not fit target {self.target.name!r} of {kind}"
            )
        return self

    @model_validator(mode="after")
    def _training_fits_target(self) -> Recipe:
        for key, word in (("output_bias", "label_mean"), ("monitor", "pearson")):
            if getattr(self.training, key) == word and self.target.classes is not None:
                raise ValueError(f"{key} {word!r} needs a range; target {self.target.name!r} has classes")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Recipe:
        names = [*self.inputs, self.target.name]
        taken = [name for name in names if name == "fusion" or name.startswith("head_")]
        if taken or len(set(names)) != len(names):
            raise ValueError(
                "modalities and target need different names, none of them 'fusion' or beginning with 'head_': "
                f"received {', '.join(names)}"
            )
        return self

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """The recipe in a TOML file."""
        path = Path(path)
        try:
            sections = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise LMFError(f"There is no recipe file {path}") from None
        except (
            OSError,
            ValueError,
        ) as error:  # ValueError: no TOML, no UTF-8, or a number of too many digits
            raise LMFError(f"{path} is not a readable TOML file: {error}") from None
        try:
            return cls(**sections)
        except ValueError as error:
            raise LMFError(f"{path}: {error}") from None

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def write(self, path: str | Path) -> Path:
        """Writes the recipe as TOML, atomically."""
        return write_text(Path(path), self.to_toml())

    def replace(self, **changes: Any) -> Recipe:
        """A copy with some values changed; nested sections are merged: `recipe.replace(fusion={"rank": 8})`.

        A section that gives another `name` (another backbone, another fusion) replaces the old one whole.
        """
        return Recipe(**_merged(self.model_dump(exclude_none=True), changes))

    def select(self, modalities: list[str]) -> Recipe:
        """A copy with these modalities only, in this order."""
        for name in modalities:
            if name not in self.inputs:
                raise unknown_name("modality", name, self.inputs)
        sections = self.model_dump(exclude_none=True)
        return Recipe(**{**sections, "inputs": {name: sections["inputs"][name] for name in modalities}})

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the settings that differ from the defaults, as TOML.

        So a setting that a later version adds changes no recipe's fingerprint, as long as its default is what was
        done before.
        """
        settings = self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        return hashlib.sha256(tomli_w.dumps(settings).encode()).hexdigest()


def _merged(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in changes.items():
        before = merged.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            renamed = "name" in value and value["name"] != before.get("name")
            merged[key] = dict(value) if renamed else _merged(before, value)
        else:
            merged[key] = value
    return merged


def _explain(error: ValidationError) -> LMFError:
    """The first problem as a sentence that names the key, what was received and what is allowed."""
    problem = error.errors()[0]
    location = [str(step) for step in problem["loc"]]
    where = ".".join(location)
    if problem["type"] == "extra_forbidden":
        section = _section(location[:-1])
        return unknown_name(f"key {where!r} in the recipe:", location[-1], section.model_fields)
    if problem["type"] == "union_tag_invalid":
        allowed = problem["ctx"]["expected_tags"].replace("'", "").split(", ")
        return unknown_name(f"{location[-1]} in the recipe", problem["ctx"]["tag"], allowed)
    if problem["type"] == "union_tag_not_found":
        return LMFError(f"Recipe: {where} needs a 'name'")
    if problem["type"] == "missing":
        return LMFError(f"Recipe: the key {where!r} is missing")
    received = "" if isinstance(problem["input"], (dict, BaseModel)) else f", received {problem['input']!r}"
    prefix = f"{where}: " if where else ""
    return LMFError(f"Recipe: {prefix}{problem['msg'].removeprefix('Value error, ')}{received}")


def _section(location: list[str]) -> type[BaseModel]:
    """The class of the section at `location`, so that its keys can be listed."""
    fields = {"corpus": Corpus, "target": Target, "inputs": Modality, "head": Head, "training": Training}
    parts = (MLP, Recurrent, Convolution, PublishedFeature, PublishedText, Early, Tensor, LowRank)
    words = {word: part for part in parts for word in get_args(part.model_fields["name"].annotation)}
    if not location:
        return Recipe
    return words[location[-1]] if location[-1] in words else fields[location[0]]
