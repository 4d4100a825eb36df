"""What the sections of a recipe are made of, and those that every recipe has."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator

from keras_lmf.errors import unknown_name
from keras_lmf.spec import Spec
from keras_lmf.target import Name, Text

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


class _OwnNames(type(Spec)):
    """Lists what sections define: `help` shows the fields' page, not the hundred methods of pydantic's models."""

    def __dir__(cls) -> list[str]:
        return [name for name in super().__dir__() if name[0] != "_" and not hasattr(BaseModel, name)]


class Part(Spec, metaclass=_OwnNames):
    """A frozen section of a recipe; an unknown key is an error."""


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


class WaveformAugmentation(Part):
    """Changed copies of the training split's waveforms: `data.Augmentation`. Each change is drawn from a span."""

    copies: int = Field(2, ge=2, le=64, description="Clips for each clip, itself among them.")
    gain_db: Span = Field((-6.0, 6.0), description="Louder or quieter, in dB.")
    noise_db: Span | Literal["none"] = Field(
        (15.0, 40.0), description='Signal-to-noise ratio of added noise, in dB; "none" adds none.'
    )
    shift_seconds: Span = Field((-0.1, 0.1), description="Earlier or later, in seconds.")
    speed: Span = Field((0.9, 1.1), description="Faster or slower, as a factor; pitch moves with it.")
    reverberation_seconds: Span = Field(
        (0.0, 0.0), description="Time of reverberation of a room, for half of the copies; zeros: no room."
    )
    bands_hz: tuple[Span, ...] = Field(
        (), max_length=16, description="Pass bands, as of telephones; one is drawn for half of the copies."
    )


class PictureAugmentation(Part):
    """Changes of pictures, drawn anew each time training sees one: `backbones.picture_augmentation`."""

    rotation: Annotated[float, Field(ge=0, le=180)] = Field(0.0, description="Largest turn, in degrees.")
    shift: Rate = Field(0.0, description="Largest move, as a share of height and width.")
    zoom: Rate = Field(0.0, description="Largest change of size, as a share.")
    erasing: Rate = Field(0.0, description="Largest share that is erased: 0, or from .02 on.")
    blur: Rate = Field(0.0, description="Share of the pictures that are blurred.")
    brightness: Rate = Field(0.0, description="Largest change of brightness, as a share of white.")
    contrast: Rate = Field(0.0, description="Largest change of contrast, as a share.")


Trained = Annotated[Text, Field(max_length=4096)]  # the word for a trained model
# One may stand without a list.
TrainedSeveral = Annotated[
    tuple[Trained, ...],
    Field(min_length=1, max_length=16),
    BeforeValidator(lambda words: (words,) if isinstance(words, str) else words),
]
PARTS = ("fusion", "head")  # of a model, beside those of its inputs
ALL_BUT_THE_HEAD = "all but the head"


def _require_parts(key: str, received: Sequence[str], parts: Sequence[str]) -> None:
    for word in received:
        if word not in parts:
            raise unknown_name(f"part in {key}", word, parts)


class Start(Part):
    """Trained weights that a training starts from, instead of random ones: those of another model, part by part.

    A part is copied with all that was fitted to the data before. The head, what follows the fusion, is copied where
    the target is the same one.
    """

    model_config = ConfigDict(serialize_by_alias=True, populate_by_name=True)

    source: Trained = Field(
        alias="from", description="The name or the folder of a zoo entry, or the folder of a run."
    )
    inputs: dict[Name, Name] | None = Field(
        None,
        description="Only the networks of these inputs: my input = its input. None: all parts that agree in name, "
        "kind and shapes.",
    )
    freeze: tuple[Text, ...] = Field(
        (),
        description='Parts that stay as they are: names of inputs, "fusion", or "all but the head". They work as they '
        "do in an answer, without dropout.",
    )

    def frozen(self, parts: Sequence[str]) -> frozenset[str]:
        """Which of a recipe's `parts` stay as they are."""
        body = {part for part in parts if part != "head"} if ALL_BUT_THE_HEAD in self.freeze else set()
        return frozenset(body | set(self.freeze) - {ALL_BUT_THE_HEAD})

    def require(self, parts: Sequence[str]) -> None:
        """A ValueError for parts that a model of these `parts` doesn't have, or where nothing is left to train."""
        _require_parts("start.freeze", self.freeze, [*parts, ALL_BUT_THE_HEAD])
        _require_parts("start.inputs", list(self.inputs or ()), [part for part in parts if part not in PARTS])
        if self.frozen(parts) == set(parts):
            raise ValueError("start.freeze names all parts: nothing is left to train")


class FirstStage(Part):
    """A stage before the rest of the training: some parts learn, the others stay as they are."""

    epochs: Count = Field(description="How many of the training's epochs it takes.")
    train: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        ("head",), description='Parts that learn: names of inputs, "fusion", "head".'
    )
    learning_rate: Positive = Field(1e-3, description="Of Adam, in this stage.")

    def require(self, parts: Sequence[str], frozen: frozenset[str], epochs: int) -> None:
        """A ValueError for parts that there are not, or that are frozen, or where no epoch is left for the rest."""
        _require_parts("training.first.train", self.train, parts)
        if still := frozen & set(self.train):
            raise ValueError(f"training.first trains {min(still)!r}, which start.freeze names")
        if self.epochs >= epochs:
            raise ValueError(
                f"training.first takes {self.epochs} of the training's {epochs} epochs: training.epochs counts both "
                "stages, and must be larger"
            )


class Distillation(Part):
    """A share of each training label is what trained models, the teachers, answer (Hinton et al. 2015)."""

    teacher: TrainedSeveral = Field(
        description="The name or the folder of a zoo entry, or the folder of a run: one text or a list; of several, "
        "the mean of their answers."
    )
    weight: Annotated[float, Field(ge=0, le=1)] = Field(0.5, description="The answer's share of the label.")
    temperature: Positive = Field(
        2.0,
        description="What divides a teacher's logits before the softmax; above 1 its classes become more equal.",
    )


class Training(Part):
    """How to train."""

    epochs: Count = Field(100, description="Passes over the training rows, at most.")
    batch_size: Count = Field(32, description="Rows a step.")
    batches: Literal["rows", "corpora"] = Field(
        "rows", description='"corpora": a batch has equally many rows of each corpus that is joined.'
    )
    center: Literal["all", "corpora"] = Field(
        "all",
        description='"corpora": features of each corpus that is joined are moved to one common mean first.',
    )
    learning_rate: Positive = Field(1e-3, description="Of Adam.")
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description='"cosine": the rate falls to 0 over `epochs` (Loshchilov & Hutter 2017).'
    )
    fusion_learning_rate: Positive | None = Field(None, description="Of the fusion layer (Liu et al. 2018).")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.0, description="Of Adam; 0 for none.")
    loss: Literal["cross_entropy", "mae", "mse", "huber"] | None = Field(
        None,
        description='"cross_entropy" for classes, the others for a range; none: "cross_entropy" or "mae", as fits.',
    )
    label_smoothing: Rate = Field(
        0.0, description="For classes: the share of a label that is spread over all (Szegedy et al. 2016)."
    )
    prior_correction: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="For classes: the share of the training labels' logarithmic frequencies that is taken from the "
        "logits after the training; 1: no class is preferred for being frequent (Menon et al. 2021).",
    )
    class_weights: Literal["none", "balanced"] = Field("none", description='"balanced": classes count alike.')
    patience: Count = Field(10, description='Epochs without a better value on "valid" before training ends.')
    fit_on: Literal["train", "train + valid"] = Field(
        "train", description='"train + valid" is a last fit: all `epochs` run, and the last weights are kept.'
    )
    output_bias: Literal["zeros", "label_mean"] = Field(
        "zeros", description="Where it starts: at zeros or, for a range, at the mean training label."
    )
    monitor: Literal["loss", "pearson"] = Field(
        "loss", description='What chooses the epoch on "valid"; "pearson", the correlation, is for a range.'
    )
    augmentation: WaveformAugmentation | None = Field(
        None, description="Of waveforms; none without this section."
    )
    picture_augmentation: PictureAugmentation | None = Field(
        None, description="Of pictures that a network which learns takes; none without this section."
    )
    front_end_learning_rate: Positive | None = Field(
        None, description="Of front ends with `fine_tuned` blocks; none: a tenth of `learning_rate`."
    )
    distillation: Distillation | None = Field(
        None, description="For classes: what trained models answer, as labels; none: the labels alone."
    )
    first: FirstStage | None = Field(
        None,
        description="What learns first, as a new head on a trained body; none: all parts from the beginning.",
    )
