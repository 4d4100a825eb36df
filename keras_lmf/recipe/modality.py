"""One input of a recipe: its shape, what of a recording fills it, and the networks that take it."""

from __future__ import annotations

from pydantic import Field, model_validator

from keras_lmf.recipe.backbones import Backbone
from keras_lmf.recipe.front_ends import FrontEnd, Waveform
from keras_lmf.recipe.sections import Counts, Part
from keras_lmf.sources import DEFAULTS, RecordedInput, Source
from keras_lmf.spec import MEDIA, InputSpec, PerSecond


class Modality(Part):
    """One input."""

    shape: Counts = Field(
        description="Without the batch axis: (width,), (steps, width), (samples,) of a waveform, (height, width, "
        "channels) of a picture, or (frames, height, width, channels) of video."
    )
    frame_rate: PerSecond | None = Field(None, description="Of video: pictures a second; none: unknown.")
    source: Source | None = Field(
        None,
        description="What of a recording fills it; none: the sound a waveform, the face frames, and nothing features.",
    )
    front_end: FrontEnd | None = Field(
        None, description="What makes features of raw input, inside the model; none: the backbone takes it."
    )
    backbone: Backbone = Field(description="Features or frames → embedding.")

    @model_validator(mode="after")
    def _rate_of_frames(self) -> Modality:
        if self.frame_rate is not None and self.media != "frames":
            raise ValueError("frame_rate is for frames; neither front_end nor backbone takes any")
        return self

    @model_validator(mode="after")
    def _source_of_medium(self) -> Modality:
        fits = {default.name: media for media, default in DEFAULTS.items()}
        if self.source is not None and self.media and fits.get(self.source.name) != self.media:
            raise ValueError(
                f"source {self.source.name!r} does not fit: what comes first takes a {self.media}"
            )
        return self

    @property
    def media(self) -> str | None:
        """What of a recording fills it, a word of `spec.MEDIA`; None: features."""
        return (self.front_end or self.backbone).media

    @property
    def frozen_front_end(self) -> FrontEnd | None:
        """Its front end, if that stays as published; None: it has none, or one that is trained along."""
        return None if self.front_end and self.front_end.fine_tuned else self.front_end

    @property
    def rate(self) -> float | None:
        """Samples, frames or steps a second."""
        if isinstance(self.front_end, Waveform):
            return self.front_end.sample_rate
        return self.frame_rate or getattr(self.source, "rate", None)

    @property
    def spec(self) -> InputSpec:
        """What the model takes here."""
        unit = MEDIA[self.media].unit if self.media else None
        detector = getattr(self.source, "detector", None)
        return InputSpec(shape=self.shape, unit=unit, media=self.media, rate=self.rate, detector=detector)

    @property
    def recorded(self) -> RecordedInput:
        """What a recording is to fill here."""
        return RecordedInput(shape=self.shape, rate=self.rate, media=self.media, source=self.source)
