"""What of a recording fills an input of a model, and by which steps: the sections `[inputs.NAME.source]` of a recipe.

A recipe says them, and `data.extraction` takes them. So the way from a file to an array is in the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializationInfo, SerializerFunctionWrapHandler, model_serializer

from keras_lmf.errors import LMFError
from keras_lmf.spec import DEFAULT_DETECTOR, FORMER_DETECTOR, DetectorName, Media, PerSecond, Spec
from keras_lmf.target import Text


class Sound(Spec):
    """The sound, mono, in [-1, 1]; zeros after its end."""

    name: Literal["sound"] = "sound"
    trim_decibels: Annotated[float, Field(gt=0, le=120)] | None = Field(
        None,
        description="Silence at both ends is cut: what is quieter than the loudest part by so many dB; none: nothing.",
    )


class Face(Spec):
    """Square pictures of the one face that is followed through the recording; zeros where none is seen."""

    name: Literal["face"] = "face"
    detector: DetectorName = Field(
        DEFAULT_DETECTOR, description='What finds the face; "none": the whole picture is the face.'
    )

    @model_serializer(mode="wrap")
    def _as_fingerprinted(
        self, write: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Where defaults are left out, as in `Recipe.fingerprint`, the detector stays as it was with the former one."""
        told = write(self)
        if info.exclude_defaults:
            told.pop("detector", None)
            told |= {} if self.detector == FORMER_DETECTOR else {"detector": self.detector}
        return told


class ActionUnits(Spec):
    """OpenFace's 35 action units, from its table beside the recording (NAME.csv)."""

    name: Literal["action_units"]
    rate: PerSecond | None = Field(None, description="Steps a second; none: one mean over the recording.")


class Landmarks(Spec):
    """OpenFace's 68 points of the face in pixels, from its table beside the recording (NAME.csv)."""

    name: Literal["landmarks"]
    rate: PerSecond = Field(description="Steps a second.")


class Sensor(Spec):
    """Signals of a sensor, from a table with a column `time` in seconds beside the recording."""

    name: Literal["sensor"]
    file: Text = Field(
        "{stem}.sensor.csv", description="The table's name; {stem} is the recording's name without suffix."
    )
    columns: Annotated[tuple[Text, ...], Field(min_length=1, max_length=256)] = Field(
        description="Its columns, in order."
    )
    rate: PerSecond = Field(description="Steps a second.")


SOURCES = (Sound, Face, ActionUnits, Landmarks, Sensor)
Source = Annotated[Sound | Face | ActionUnits | Landmarks | Sensor, Field(discriminator="name")]
# What fills an input of a medium (`spec.MEDIA`) where the recipe says nothing.
DEFAULTS: dict[str, Sound | Face] = {"waveform": Sound(), "frames": Face()}


class RecordedInput(Spec):
    """An input that a recording is to fill.

    Attributes:
        shape: of a row: (samples,), (frames, side, side, channels) or (side, side, channels), (width,) or
            (steps, width), (steps, 68, 2) of landmarks.
        rate: samples, frames or steps a second; None where the row has no time.
        media: a word of `spec.MEDIA`; None: features.
        source: what fills it; None: what its corpus says, else what fits its medium (`resolved`).
    """

    shape: tuple[int, ...]
    rate: float | None = None
    media: Media | None = None
    source: Source | None = None


def resolved(
    inputs: Mapping[str, RecordedInput], known: Mapping[str, Source | None] | None = None
) -> dict[str, RecordedInput]:
    """The inputs, each with a source: its own, else that of its name in `known`, else the one that fits its medium.

    Raises:
        LMFError: nothing says what fills one.
    """
    found = {}
    for name, given in inputs.items():
        source = given.source or (known or {}).get(name) or DEFAULTS.get(given.media)
        if source is None:
            words = ", ".join(kind.model_fields["name"].annotation.__args__[0] for kind in SOURCES)
            raise LMFError(
                f"Input {name!r} takes features, and nothing says what of a recording fills it. Give "
                f"[inputs.{name}.source] with a name: {words}."
            )
        found[name] = given.model_copy(update={"source": source})
    return found
