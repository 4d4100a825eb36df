"""A recipe: what is built, on what it is trained, and how."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import tomli_w
from pydantic import BaseModel, Field, ValidationError, model_validator

from keras_lmf.errors import LMFError, invalid, unknown_name
from keras_lmf.files import write_text
from keras_lmf.locate import RECIPE
from keras_lmf.recipe import front_ends, parts
from keras_lmf.recipe.basics import Part
from keras_lmf.recipe.parts import Corpus, Fusion, Head, Modality, Presence, Training
from keras_lmf.spec import ModelSpec, RecipeName, Spec, Temperature
from keras_lmf.target import Name, Target

CALIBRATION = "calibration.json"


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
    presence: Presence | None = None
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
        if self.training.label_smoothing and self.target.classes is None:
            raise ValueError(f"label_smoothing needs classes; target {self.target.name!r} has a range")
        for key, word in (("output_bias", "label_mean"), ("monitor", "pearson")):
            if getattr(self.training, key) == word and self.target.classes is not None:
                raise ValueError(f"{key} {word!r} needs a range; target {self.target.name!r} has classes")
        return self

    @model_validator(mode="after")
    def _several_are_fused(self) -> Recipe:
        if self.fusion.name == "none" and len(self.inputs) > 1:
            raise ValueError(f"fusion 'none' takes one input, received {', '.join(self.inputs)}")
        return self

    @model_validator(mode="after")
    def _presence_has_a_choice(self) -> Recipe:
        if self.presence and len(self.inputs) == 1:
            raise ValueError(
                f"presence tells which of several inputs are there, received {next(iter(self.inputs))} alone"
            )
        return self

    @model_validator(mode="after")
    def _augmentation_has_a_waveform(self) -> Recipe:
        waveforms = [name for name, section in self.inputs.items() if section.media == "waveform"]
        if self.training.augmentation and len(waveforms) != 1:
            raise ValueError(
                "training.augmentation changes a waveform: it needs one input with a front_end for waveforms, "
                f"received {', '.join(waveforms) or 'none'}"
            )
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Recipe:
        names = [*self.inputs, self.target.name]
        reserved = ("fusion", "presence") if self.presence else ("fusion",)
        taken = [name for name in names if name in reserved or name.startswith("head_")]
        if taken or len(set(names)) != len(names):
            raise ValueError(
                f"modalities and target need different names, none of them {' or '.join(map(repr, reserved))} "
                f"or beginning with 'head_': received {', '.join(names)}"
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
    def spec(self) -> ModelSpec:
        """What its model takes and gives."""
        return ModelSpec(
            inputs={name: section.spec for name, section in self.inputs.items()},
            target=self.target,
            presence="derived" if self.presence else "assumed",
            recipe=RecipeName(name=self.name, sha256=self.fingerprint),
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the settings that differ from the defaults, as TOML.

        So a setting that a later version adds changes no recipe's fingerprint, as long as its default is what was
        done before.
        """
        settings = self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        return hashlib.sha256(tomli_w.dumps(settings).encode()).hexdigest()


class FittedTemperature(Spec):
    """What `calibration.json` of a run says: the temperature that fits `rows` rows of `split`."""

    temperature: Temperature
    split: str
    rows: int

    @classmethod
    def read(cls, folder: Path) -> FittedTemperature | None:
        """Of the run in `folder`; None where there is none."""
        path = folder / CALIBRATION
        if not path.is_file():
            return None
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise invalid(error, FittedTemperature, f"{path} is damaged, train the run again") from None


def run_spec(folder: Path) -> ModelSpec:
    """What the model of the run in `folder` takes and gives: its recipe's spec, with the run's temperature."""
    spec, fitted = Recipe.read(folder / RECIPE).spec, FittedTemperature.read(folder)
    return spec.model_copy(update={"temperature": fitted and fitted.temperature})


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
    every = [*vars(front_ends).values(), *vars(parts).values()]
    sections = [part for part in every if isinstance(part, type) and issubclass(part, Part)]
    words = {
        word: part
        for part in sections
        if "name" in part.model_fields
        for word in get_args(part.model_fields["name"].annotation)
    }
    fields = {
        "corpus": Corpus,
        "target": Target,
        "inputs": Modality,
        "presence": Presence,
        "head": Head,
        "training": Training,
        "augmentation": parts.Augmentation,
    }
    if not location:
        return Recipe
    if location[-1] in words:
        return words[location[-1]]
    return fields.get(location[-1]) or fields[location[0]]
