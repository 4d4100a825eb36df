"""The sections of a recipe on training: changes of the rows, trained weights to start from, teachers, steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from keras_lmf.errors import unknown_name
from keras_lmf.recipe.sections import Count, Part, Positive, Rate, Span
from keras_lmf.target import Name, Text


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
    features: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="How much it counts that the vectors before the head lie to each other as the teachers' do.",
    )
    unlabelled: Annotated[Text, Field(max_length=4096)] | None = Field(
        None,
        description="A folder of sound or video files that train along: their labels are the answers alone.",
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
