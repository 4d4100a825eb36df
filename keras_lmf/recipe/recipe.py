"""A recipe: what is built, on what it is trained, and how."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import Field, ValidationError, model_validator

from keras_lmf import documents
from keras_lmf.errors import LMFError, invalid, unknown_name
from keras_lmf.files import write_text
from keras_lmf.recipe.backbones import BACKBONES
from keras_lmf.recipe.fusions import Fusion, FusionWord, NoFusion
from keras_lmf.recipe.modality import Modality
from keras_lmf.recipe.sections import Corpus, Head, Part, Presence
from keras_lmf.recipe.training import PARTS, Start, Training
from keras_lmf.sources import RecordedInput
from keras_lmf.spec import (
    ModelSpec,
    RecipeName,
)
from keras_lmf.target import Name, Target


class Recipe(Part):
    """A validated, frozen description of a model, its corpus and its training.

    >>> recipe = Recipe.read("recipe.toml")                         # doctest: +SKIP
    >>> model = keras_lmf.build(recipe.replace(fusion={"rank": 8})) # doctest: +SKIP

    Raises:
        LMFError: an unknown key (with the nearest one), a missing one, or a value out of range.
    """

    name: Name = Field(description="The model's name, and that of its folder.")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(0, description="Of every random number.")
    corpus: Corpus = Field(description="What it is trained on.")
    target: Target | None = Field(None, description="What it predicts; none: what the corpus's labels are.")
    inputs: dict[Name, Modality] = Field(min_length=1, max_length=16, description="The modalities, in order.")
    fusion: Fusion = Field(description="What joins their embeddings.")
    presence: Presence | None = Field(None, description="Whether inputs may be absent; none: they may not.")
    head: Head = Field(Head(), description="What follows the fusion.")
    training: Training = Field(description="How it is trained.")
    start: Start | None = Field(None, description="Trained weights to start from; none: random ones.")

    def __init__(self, **sections: Any) -> None:
        """The sections as keyword arguments: dicts, or as another recipe holds them."""
        try:
            super().__init__(**sections)
        except ValidationError as error:
            raise invalid(error, type(self), "Recipe") from None

    @model_validator(mode="after")
    def _sections_agree(self) -> Recipe:
        target, inputs = self.target, ", ".join(self.inputs)
        if target:
            self._require_target(target)
        if isinstance(self.fusion, NoFusion) and len(self.inputs) > 1:
            raise ValueError(f"fusion {self.fusion.name!r} takes one input, received {inputs}")
        for fusion in (self.fusion, *(part for _, part in self.fusion.parts(tuple(self.inputs)).values())):
            if fusion.of_steps:
                self._require_steps(fusion)
        if self.presence and len(self.inputs) == 1:
            raise ValueError(f"presence tells which of several inputs are there, received {inputs} alone")
        waveforms = [name for name, section in self.inputs.items() if section.media == "waveform"]
        if self.training.augmentation and len(waveforms) != 1:
            raise ValueError(
                "training.augmentation changes a waveform: it needs one input with a front_end for waveforms, "
                f"received {', '.join(waveforms) or 'none'}"
            )
        self._require_pictures()
        tuned = [
            name for name, section in self.inputs.items() if section.front_end != section.frozen_front_end
        ]
        if self.training.front_end_learning_rate and not tuned:
            raise ValueError(
                "front_end_learning_rate is for front ends with fine_tuned blocks; there are none"
            )
        if self.training.center == "corpora" and tuned:
            raise ValueError(
                f"center 'corpora' is for features that stay as they are; {tuned[0]} is fine_tuned"
            )
        self._require_stages()
        names = [*self.inputs, *([target.name] if target else [])]
        reserved = ("fusion", "presence") if self.presence else ("fusion",)
        taken = [name for name in names if name in reserved or name.startswith("head_")]
        if taken or len(set(names)) != len(names):
            raise ValueError(
                f"modalities and target need different names, none of them {' or '.join(map(repr, reserved))} "
                f"or beginning with 'head_': received {', '.join(names)}"
            )
        return self

    def _require_pictures(self) -> None:
        """Pictures change each time they are seen, so what takes them must learn."""
        if self.training.picture_augmentation is None:
            return
        if not self.changed_pictures:
            raise ValueError(
                "training.picture_augmentation needs an input of pictures, (height, width, channels), whose backbone "
                "takes them or whose front end is fine_tuned"
            )

    @property
    def changed_pictures(self) -> tuple[str, ...]:
        """The inputs whose pictures training changes."""
        if self.training.picture_augmentation is None:
            return ()
        return tuple(
            name
            for name, section in self.inputs.items()
            if section.media == "frames" and len(section.shape) == 3 and section.frozen_front_end is None
        )

    def _require_target(self, target: Target) -> None:
        training, kind = self.training, "classes" if target.classes else "a range"
        if training.loss and (training.loss == "cross_entropy") != (target.classes is not None):
            raise ValueError(f"loss {training.loss!r} does not fit target {target.name!r} of {kind}")
        for key in ("label_smoothing", "prior_correction"):
            if getattr(training, key) and target.classes is None:
                raise ValueError(f"{key} needs classes; target {target.name!r} has a range")
        if training.prior_correction and training.class_weights == "balanced":
            raise ValueError("prior_correction and balanced class_weights do the same: take one of them")
        if training.prior_correction and self.fusion.parts(tuple(self.inputs)):
            raise ValueError(
                f"prior_correction is for a model that trains as one, not for {self.fusion.name!r}"
            )
        for key, word in (("output_bias", "label_mean"), ("monitor", "pearson")):
            if getattr(training, key) == word and target.classes is not None:
                raise ValueError(f"{key} {word!r} needs a range; target {target.name!r} has classes")
        self.fusion.require(tuple(self.inputs), target)

    def _require_stages(self) -> None:
        if (self.start or self.training.first) and self.fusion.parts(tuple(self.inputs)):
            key = "start" if self.start else "training.first"
            raise ValueError(
                f"{key} is for a model that trains as one; fusion {self.fusion.name!r} trains parts by themselves"
            )
        if (self.start or self.training.first) and "head" in self.inputs:
            raise ValueError("an input named 'head' can't be told from the head: give it another name")
        if self.start:
            self.start.require(self.trained_parts)
        if self.training.first:
            frozen = self.start.frozen(self.trained_parts) if self.start else frozenset()
            self.training.first.require(self.trained_parts, frozen, self.training.epochs)

    @property
    def trained_parts(self) -> tuple[str, ...]:
        """What `start` and `training.first` may name: the inputs, the fusion of several, the head."""
        return (*self.inputs, *(part for part in PARTS if part != "fusion" or len(self.inputs) > 1))

    def _require_steps(self, fusion: FusionWord) -> None:
        if len(self.inputs) == 1:
            raise ValueError(
                f"fusion {fusion.name!r} takes two inputs or more, received {', '.join(self.inputs)}"
            )
        for name, section in self.inputs.items():
            if not section.backbone.keeps_steps:
                words = ", ".join(word for word, backbone in BACKBONES.items() if backbone.keeps_steps)
                raise ValueError(
                    f"fusion {fusion.name!r} takes steps; the backbone {section.backbone.name!r} of {name} keeps "
                    f"none. These do: {words}"
                )

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """The recipe in a TOML file."""
        path = Path(path)
        sections = documents.toml(path)
        try:
            return cls(**sections)
        except LMFError as error:
            raise LMFError(f"{path}: {error}") from None

    def to_toml(self) -> str:
        """The recipe as the text of a TOML file."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def write(self, path: str | Path) -> Path:
        """Writes the recipe as TOML, atomically."""
        return write_text(Path(path), self.to_toml())

    def replace(self, **changes: Any) -> Recipe:
        """A copy with some values changed; nested sections are merged: `recipe.replace(fusion={"rank": 8})`.

        A section that gives another `name` (another backbone, another fusion) replaces the old one whole.
        """
        return Recipe(**_merged(self.model_dump(exclude_none=True), changes))

    def for_target(self, target: Target) -> Recipe:
        """The recipe as it is trained on labels of `target`: with that target and a loss, where it says none."""
        if self.target and self.training.loss:
            return self
        target = self.target or target
        loss = self.training.loss or ("cross_entropy" if target.classes else "mae")
        return self.replace(target=target.model_dump(exclude_none=True), training={"loss": loss})

    def select(self, modalities: list[str]) -> Recipe:
        """A copy with these modalities only, in this order."""
        for name in modalities:
            if name not in self.inputs:
                raise unknown_name("modality", name, self.inputs)
        sections = self.model_dump(exclude_none=True)
        return Recipe(**{**sections, "inputs": {name: sections["inputs"][name] for name in modalities}})

    def narrower(self, divisor: int) -> Recipe:
        """A copy whose backbones, fusion and head have their widths divided by `divisor`; front ends stay."""
        inputs = {
            name: section.model_copy(update={"backbone": section.backbone.narrower(divisor)})
            for name, section in self.inputs.items()
        }
        parts = {"fusion": self.fusion.narrower(divisor), "head": self.head.narrower(divisor)}
        return Recipe(**{**dict(self), "inputs": inputs, **parts})

    def parts(self) -> dict[str, Recipe]:
        """Of a fusion of answers: the recipes of the networks that are trained each by itself; of others none.

        Each is named after the recipe and its part, as "my-recipe-voice". A part of one modality has no `presence`, and
        one without a waveform no augmentation.
        """
        sections, found = dict(self), {}
        for part, (modalities, fusion) in self.fusion.parts(tuple(self.inputs)).items():
            inputs = {name: self.inputs[name] for name in modalities}
            heard = any(section.media == "waveform" for section in inputs.values())
            alone = {"presence": None} if len(inputs) == 1 else {}
            unheard = {} if heard else {"training": self.training.model_copy(update={"augmentation": None})}
            changes = {"name": f"{self.name}-{part}", "inputs": inputs, "fusion": fusion}
            found[part] = Recipe(**{**sections, **changes, **alone, **unheard})
        return found

    @property
    def spec(self) -> ModelSpec:
        """What a model of this recipe takes and gives."""
        return ModelSpec(
            inputs={name: section.spec for name, section in self.inputs.items()},
            target=self.target,
            presence="derived" if self.presence else "assumed",
            recipe=RecipeName(name=self.name, sha256=self.fingerprint),
        )

    @property
    def recorded(self) -> dict[str, RecordedInput]:
        """What a recording is to fill: the inputs by name."""
        return {name: section.recorded for name, section in self.inputs.items()}

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the settings that differ from the defaults, as TOML.

        So a setting that a later version adds changes no recipe's fingerprint, as long as its default is what was
        done before.
        """
        settings = self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        return hashlib.sha256(tomli_w.dumps(settings).encode()).hexdigest()


# What `help` shows first: the fields with their descriptions, and no types of theirs in between.
Recipe.__signature__ = inspect.Signature(
    [field.replace(annotation=field.empty) for field in inspect.signature(Recipe).parameters.values()]
)
Recipe.__doc__ = (
    (Recipe.__doc__ or "")
    + "\nFields:\n"
    + "".join(f"    {name}: {field.description}\n" for name, field in Recipe.model_fields.items())
)


def _merged(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**old, **changes}
    for key, value in changes.items():
        before = old.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            renamed = value.get("name", before.get("name")) != before.get("name")
            merged[key] = _merged({} if renamed else before, value)
    return merged
