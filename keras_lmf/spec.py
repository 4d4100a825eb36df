"""What a model takes and gives: the one description that recipes, runs, zoo entries and exported files share.

`Recipe.spec`, `Run.spec`, `Entry.spec` and `Sidecar.spec` give it. All bounds on what it says stand here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from keras_lmf.errors import invalid, unknown_name
from keras_lmf.target import Name, Target, Text

if TYPE_CHECKING:
    import keras
    import numpy as np

# The names of entries become parts of paths and addresses: no dots, no separators.
ENTRY_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
EntryName = Annotated[str, StringConstraints(pattern=ENTRY_NAME)]
MAX_TEXT_BYTES = 2**20  # of a JSON or TOML file that describes a model

Presence = Literal["assumed", "derived"]
TEMPERATURES = (0.01, 100.0)
FITTED_TEMPERATURES = (0.05, 20.0)  # that a fit may find: outside of these the rows are too few
Temperature = Annotated[float, Field(ge=TEMPERATURES[0], le=TEMPERATURES[1])]
# Where not all modalities are there: `together` of those that are → temperature; None: `temperature` serves them all.
SubsetTemperatures = dict[Text, Temperature] | None
PerSecond = Annotated[float, Field(gt=0, le=1e6)]
DetectorName = Literal["haar", "yunet", "none"]  # of faces; "none": the whole picture is the face
DEFAULT_DETECTOR: DetectorName = "yunet"
FORMER_DETECTOR: DetectorName = "haar"  # the default of runs that don't tell theirs


def known(what: str, allowed: Collection[str]) -> AfterValidator:
    """Refuses a word that is not one of `allowed`, and tells the nearest."""

    def check(word: str) -> str:
        if word not in allowed:
            raise unknown_name(what, word, allowed)
        return word

    return AfterValidator(check)


@dataclass(frozen=True)
class Medium:
    """A kind of input that a recording fills.

    Attributes:
        content: what an input of it holds.
        unit: of its numbers.
        per_second: what `rate` counts.
        axes: how many a row may have, without the batch axis.
        rates: the lowest and the highest.
    """

    content: str
    unit: str
    per_second: str
    axes: tuple[int, ...]
    rates: tuple[float, float]


MEDIA = {
    "waveform": Medium("mono sound in [-1, 1]", "full scale = 1", "Hz", (1,), (1, 1e6)),
    "frames": Medium("pictures", "black = 0, white = 1", "frames a second", (3, 4), (0.01, 100)),
}


Media = Annotated[str, known("media", MEDIA)]
STATE = "state"  # the input and output of a streaming model that goes from call to call
# Text of a user's: what breaks a line is a space.
Line = Annotated[
    Text, BeforeValidator(lambda text: " ".join(text.split()) if isinstance(text, str) else text)
]


def together(modalities: Collection[str]) -> str:
    """The name of a subset of modalities: theirs in alphabetical order, as files keep no other.

    >>> together(["voice", "face"])
    'face + voice'
    """
    return " + ".join(sorted(modalities))


class Spec(BaseModel):
    """A frozen description; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputSpec(Spec):
    """One input of a model.

    Attributes:
        shape: of a row, without the batch axis, for example (width,), (steps, width), (samples,); None within it:
            any length. None: as the model has it.
        unit: of the numbers, for example "kHz".
        description: what they are, for example "40 log-mel bands".
        media: what of a recording fills it, a word of `MEDIA`: "waveform", mono in [-1, 1] with zeros after the
            clip's end, or "frames", pictures in [0, 1]; None: features, which no recording gives.
        rate: steps (samples, frames) a second; None: unknown, or there are none.
        range: smallest and largest number that occur.
        detector: what found the face in the pictures of training; None: unknown, or there is no face.
    """

    shape: tuple[Annotated[int, Field(ge=1, le=2**31)] | None, ...] | None = None
    unit: Line | None = None
    description: Line | None = None
    media: Media | None = None
    rate: PerSecond | None = None
    range: tuple[float, float] | None = None
    detector: DetectorName | None = None


class RecipeName(Spec):
    """Which recipe a model was built from: its name and its fingerprint (SHA-256). Files may say more of it."""

    model_config = ConfigDict(extra="ignore")

    name: Name
    sha256: str


class ModelSpec(Spec):
    """What a model can't say of itself.

    Attributes:
        inputs: by modality, in the model's order.
        target: what the output means; None: unknown.
        temperature: by which logits are divided before the softmax (Guo et al. 2017); None: not calibrated.
        subset_temperatures: instead of it, where only some modalities are there, by `together` of these; None: none.
        presence: "derived" when an input of zeros is an absent modality; "assumed" when every one must be there.
        licence: of "code", "weights" and "data", as far as they are known.
        recipe: from which it was built; None: unknown.
    """

    inputs: dict[Name, InputSpec] = Field(default_factory=dict)
    target: Target | None = None
    temperature: Temperature | None = None
    subset_temperatures: SubsetTemperatures = None
    presence: Presence = "assumed"
    licence: dict[str, str] | None = None
    recipe: RecipeName | None = None

    def replace(self, **changes: Any) -> ModelSpec:
        """A copy with other values, checked.

        Raises:
            LMFError: a value out of its bounds.
        """
        try:
            return ModelSpec(**{name: getattr(self, name) for name in type(self).model_fields} | changes)
        except ValidationError as error:
            raise invalid(error, ModelSpec, "The model's spec") from None

    def temperature_of(self, there: Collection[str]) -> float:
        """The temperature where these modalities are there and no others; 1 where the model was not calibrated."""
        subset = (
            None if set(there) >= set(self.inputs) else (self.subset_temperatures or {}).get(together(there))
        )
        return subset or self.temperature or 1.0

    @property
    def media(self) -> dict[str, InputSpec]:
        """The inputs that a recording fills."""
        return {name: spec for name, spec in self.inputs.items() if spec.media}

    @property
    def tolerance(self) -> float:
        """Of max(1, |y|): how far a float32 file may be from the Keras model.

        Sums over a spectrum's decades differ between kernels by more than those over features.
        """
        return 1e-4 if self.media else 1e-5


def attach(
    model: keras.Model, spec: ModelSpec, examples: Mapping[str, np.ndarray] | None = None
) -> keras.Model:
    """`model`, which carries its spec from now on, and rows that are typical of its inputs where there are any."""
    model.spec = spec
    # Keras would track a dict.
    model.examples = None if examples is None else MappingProxyType(dict(examples))
    model.spec_digest = _digest(model)
    return model


def attached(model: Any) -> tuple[ModelSpec | None, Mapping[str, np.ndarray] | None]:
    """The spec and the example rows that `attach` gave to the model; None where it did not.

    Temperatures and licences are of the weights: without them where the weights have changed since.
    """
    spec = getattr(model, "spec", None)
    if not isinstance(spec, ModelSpec):
        return None, None
    if (spec.temperature or spec.licence) and model.spec_digest != _digest(model):
        spec = spec.model_copy(update={"temperature": None, "subset_temperatures": None, "licence": None})
    return spec, model.examples


def _digest(model: keras.Model) -> str:
    found = hashlib.sha256()
    for array in model.get_weights():
        found.update(array.tobytes())
    return found.hexdigest()
