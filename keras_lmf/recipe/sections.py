"""What the sections of a recipe are made of, and those that every recipe has."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, get_args

from pydantic import BaseModel, Discriminator, Field, Tag, field_validator

from keras_lmf.spec import Spec
from keras_lmf.target import Text

if TYPE_CHECKING:
    import keras

MAX_PARAMETERS = 2**26  # numbers in all weights of a model that a stranger's recipe may build
Rate = Annotated[float, Field(ge=0, lt=1)]
Noise = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
# What an honest recipe stays far below. A recipe may be a stranger's: `zoo.load` builds what it says.
Count = Annotated[int, Field(ge=1, le=2**20)]
Counts = Annotated[tuple[Count, ...], Field(max_length=32)]
Span = tuple[float, float]
# The settings that say how wide a backbone, a fusion or the head is.
WIDTHS = ("units", "filters", "hidden_units")


class _OwnNames(type(Spec)):
    """Lists what sections define: `help` shows the fields' page, not the hundred methods of pydantic's models."""

    def __dir__(cls) -> list[str]:
        return [name for name in super().__dir__() if name[0] != "_" and not hasattr(BaseModel, name)]


class Part(Spec, metaclass=_OwnNames):
    """A frozen section of a recipe; an unknown key is an error."""

    def narrower(self, divisor: int) -> Self:
        """The same with all its widths divided by `divisor`, rounded down, 1 at least."""
        changes = {}
        for name, value in self:
            if isinstance(value, Part):
                changes[name] = value.narrower(divisor)
            elif name in WIDTHS:
                one = isinstance(value, int)
                widths = [max(1, width // divisor) for width in ([value] if one else value)]
                changes[name] = widths[0] if one else tuple(widths)
        return self.model_copy(update=changes)


class Word(Part):
    """A section that `name` chooses from several: a front end, a backbone or a fusion. It builds its own part.

    Class attributes:
        title: what it is called in a text.
        papers: what to cite.
    """

    title: ClassVar[str]
    papers: ClassVar[tuple[str, ...]] = ()

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Its settings by name, without its word."""
        return self.model_dump(exclude={"name"})


class Network(Word):
    """A front end or a backbone: the function of its word's name in a module of `keras_lmf.backbones`.

    Class attributes:
        home: the module.
        media: what of a recording it takes, a word of `spec.MEDIA`; None: features.
    """

    home: ClassVar[str]
    media: ClassVar[str | None] = None

    @property
    def architecture(self) -> dict[str, Any]:
        """Its settings without what a training starts from, and what of it learns."""
        return self.model_dump(exclude={"name", "pretrained", "weights", "fine_tuned"})

    def build(self, shape: Sequence[int], name: str, **seed: int | None) -> keras.Model:
        """The network for rows of `shape`, with random weights where it has any, drawn from `seed`."""
        return self.made(self.home, self.name, shape, name, **seed)

    def made(
        self, home: str, function: str, shape: Sequence[int], name: str, **seed: int | None
    ) -> keras.Model:
        """What a function of a module of `keras_lmf.backbones` makes of its settings."""
        # Imported here, with Keras: a recipe is read without.
        make = getattr(importlib.import_module(f"keras_lmf.backbones.{home}"), function)
        return make(shape, **self.architecture, **seed, name=name)


def words(union: Any) -> dict[str, type[Word]]:
    """Word → section, of an annotated union of sections."""
    sections = get_args(get_args(union)[0])
    return {word: part for part in sections for word in get_args(part.model_fields["name"].annotation)}


class Presence(Part):
    """An input that is all zeros is absent: its embedding is zero, and the fusion's terms without it remain.

    Without this section every modality is taken to be there.
    """

    dropout: Rate = Field(0.0, description="Rate at which training takes away one of a sample's modalities.")


class Head(Part):
    """What follows the fusion: dropout, then hidden ReLU layers with dropout, then one linear layer."""

    units: Counts = Field((), description="Widths of the hidden layers.")
    dropout: Rate = Field(0.0, description="Rate of dropout before the first layer and after hidden ones.")

    def build(self, seeds: Iterator[int | None]) -> list[keras.layers.Layer]:
        """The layers between the fusion and the linear one, with weights and dropout drawn from `seeds`."""
        import keras

        from keras_lmf.backbones.sequence import dense

        def dropout(name: str) -> list[keras.layers.Layer]:
            return [keras.layers.Dropout(self.dropout, seed=next(seeds), name=name)] if self.dropout else []

        layers = dropout("fusion_dropout")
        for i, units in enumerate(self.units):
            layers.append(dense(units, next(seeds), activation="relu", name=f"head_{i}"))
            layers += dropout(f"head_dropout_{i}")
        return layers


CorpusName = Annotated[Text, Field(max_length=255)]
# Told apart by their type, so that an error speaks of what was written.
CorpusNames = Annotated[
    Annotated[CorpusName, Tag("one")]
    | Annotated[tuple[CorpusName, ...], Field(min_length=2, max_length=64), Tag("list")],
    Discriminator(lambda name: "list" if isinstance(name, list | tuple) else "one"),
]


class Corpus(Part):
    """What a model is trained on."""

    name: CorpusNames = Field(
        description="A corpus of `keras_lmf.data.corpora`, or a list of several, which are joined."
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of its loader; of several also a table for one of them, under its name, and `merge` and "
        "`words`: what to do with words that are no basic emotion.",
    )

    @field_validator("options")
    @classmethod
    def _say_no_place(cls, options: dict[str, Any]) -> dict[str, Any]:
        tables = [options, *(value for value in options.values() if isinstance(value, dict))]
        if taken := {"name", "root", "inputs"} & {key for table in tables for key in table}:
            raise ValueError(
                f"{taken.pop()!r} is no option: who trains says where the data are, and [inputs] what they fill"
            )
        return options

    @property
    def names(self) -> tuple[str, ...]:
        """Of the corpora: one or several."""
        return (self.name,) if isinstance(self.name, str) else self.name

    def options_of(self, name: str) -> dict[str, Any]:
        """The options of one of the corpora: what all are given, and its own, which comes before."""
        if isinstance(self.name, str):
            return self.options
        own = {PurePath(other).stem for other in self.names}
        common = {key: value for key, value in self.options.items() if key not in {*own, "merge", "words"}}
        return {**common, **self.options.get(PurePath(name).stem, {})}
