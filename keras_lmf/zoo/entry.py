"""A zoo entry: what `zoo/<name>/entry.json` says, every field of it checked."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints, model_validator

from keras_lmf import documents
from keras_lmf.errors import LMFError
from keras_lmf.files import sha256, write_text
from keras_lmf.locate import ENTRY, RECIPE, WEIGHTS_SUFFIX
from keras_lmf.recipe.fusions import FusionName
from keras_lmf.records import File, Licences, Parameters, Sha256, Weights
from keras_lmf.spec import EntryName, InputSpec, ModelSpec, Presence, RecipeName, Spec
from keras_lmf.target import Name, Target, Text
from keras_lmf.zoo.figures import Calibration, Cost, LeftOut, Metric, Spread

Key = Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Entry(Spec):
    """A trained model of the zoo.

    Attributes:
        schema_version: of this layout.
        name: the entry's and its folder's.
        summary: one sentence.
        warning: what must be known before anything else, one sentence; None: nothing.
        fusion: the word of the recipe.
        corpus: what it was trained on; a list: several, joined.
        modalities: in the model's order.
        parameters: numbers in all weights together (Keras's `count_params`).
        inputs: by modality, shape of a row, unit, description; in the order of `modalities`.
        target: name and classes or range; a model for classes gives logits.
        recipe_sha256: `Recipe.fingerprint` of the folder's recipe.toml.
        files: by key; "weights" and "testvectors" always, exported files under their format, for example "tflite".
        weights: (path, shape) of every weight, in the order of `model.weights`.
        metrics: by key of `files` ("weights" is the Keras model), or "saved_model", which is made by a command:
            metric → `Metric`. The first metric is the headline.
        costs: by key as `metrics`, without "weights".
        seeds: by key as `metrics`: metric → `Spread` over trainings that differ in the seed.
        cross_validation: metric → `Spread` over folds.
        left_out: corpus → metric → `LeftOut`, of a model of several corpora; `evaluate --leave-one-corpus-out`.
        alone: modality → metric → `Spread` over the same trainings as `seeds`, of the Keras model with this modality
            alone; of models of several whose presence is "derived".
        experts: model → metric → `Spread`, of models of one modality each, trained by the same recipe, and of the
            product of their answers; `benchmarks/alone.py`.
        calibration: of a model for classes whose probabilities were calibrated.
        presence: "derived" when an input of zeros is an absent modality; "assumed" when every modality must be there.
        protocol: notes on how this was trained, chosen and measured.
        licences: of code, weights and data.
        citations: what to cite: papers of the fusion and of the corpus.
        environment: versions and machine, as `keras_lmf.training.run.environment` tells them.
        keras_lmf_version: that wrote the entry.

    Raises:
        ValidationError: pydantic's, where a value doesn't fit. `read` turns it into an LMFError.
    """

    schema_version: Literal[1] = 1
    name: EntryName
    summary: Text
    warning: Text | None = None
    fusion: FusionName
    corpus: Name | tuple[Name, ...]
    modalities: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]
    parameters: Parameters
    inputs: dict[Name, InputSpec]
    target: Target
    recipe_sha256: Sha256
    files: dict[Key, File]
    weights: Weights
    metrics: dict[Key, dict[Text, Metric]] = Field(default_factory=dict)
    costs: dict[Key, Cost] = Field(default_factory=dict)
    seeds: dict[Key, dict[Text, Spread]] = Field(default_factory=dict)
    cross_validation: dict[Text, Spread] = Field(default_factory=dict)
    left_out: dict[Name, dict[Text, LeftOut]] = Field(default_factory=dict)
    alone: dict[Name, dict[Text, Spread]] = Field(default_factory=dict)
    experts: dict[Text, dict[Text, Spread]] = Field(default_factory=dict)
    calibration: Calibration | None = None
    presence: Presence = "assumed"
    protocol: tuple[Text, ...] = ()
    licences: Licences
    citations: tuple[Text, ...] = ()
    environment: dict[str, JsonValue]
    keras_lmf_version: Text

    @model_validator(mode="after")
    def _fields_agree(self) -> Entry:
        if list(self.inputs) != list(self.modalities):
            raise ValueError(f"'inputs' {list(self.inputs)} and 'modalities' {list(self.modalities)} differ")
        for name, spec in self.inputs.items():
            for field in ("shape", "unit", "description"):
                if getattr(spec, field) is None:
                    raise ValueError(f"'inputs.{name}.{field}' is missing")
        for key in ("weights", "testvectors"):
            if key not in self.files:
                raise ValueError(f"'files' lacks {key!r}; it has: {', '.join(self.files) or 'none'}")
        if not self.files["weights"].name.endswith(WEIGHTS_SUFFIX):
            raise ValueError(f"the weights' file must end in {WEIGHTS_SUFFIX!r}")
        names = [file.name.lower() for file in self.files.values()]
        if len({*names, ENTRY, RECIPE}) != len(names) + 2:
            raise ValueError(f"two files have one name, {ENTRY} and {RECIPE} among them")
        if (total := sum(math.prod(shape) for _, shape in self.weights)) != self.parameters:
            raise ValueError(f"'parameters' is {self.parameters}, the shapes in 'weights' hold {total}")
        return self

    @property
    def corpora(self) -> tuple[str, ...]:
        """What it was trained on: one corpus or several."""
        return (self.corpus,) if isinstance(self.corpus, str) else self.corpus

    @property
    def spec(self) -> ModelSpec:
        """What the model takes and gives."""
        return ModelSpec(
            inputs=self.inputs,
            target=self.target,
            temperature=self.calibration and self.calibration.temperature,
            subset_temperatures=self.calibration and self.calibration.subset_temperatures,
            presence=self.presence,
            licence=self.licences.model_dump(),
            recipe=RecipeName(name=self.name, sha256=self.recipe_sha256),
        )

    @classmethod
    def read(cls, folder: str | Path) -> Entry:
        """The entry in `folder`.

        Raises:
            LMFError: no entry.json, one larger than 1 MiB, no JSON, or a field that is missing, unknown or wrong.
        """
        path = Path(folder) / ENTRY
        if not path.is_file():
            raise LMFError(f"{str(folder)!r} is no zoo entry: there is no {path}.")
        return cls.parse(documents.content(path), str(path))

    @classmethod
    def parse(cls, content: bytes, where: str) -> Entry:
        """The entry in the bytes of an entry.json; `where` names it in errors, which are those of `read`."""
        fields = documents.plain(content, where)
        if isinstance(fields, dict) and fields.get("schema_version", 1) != 1:
            raise LMFError(
                f"{where} has schema version {fields['schema_version']!r:.100}; this keras-lmf reads 1. "
                f'Upgrade: pip install -U "keras-lmf"'
            )
        return documents.parse(content, cls, where, strict=True)

    def to_json(self) -> str:
        """The canonical text: the same entry always gives the same."""
        fields = self.model_dump(mode="json", exclude_none=True)
        for field in (
            "presence",
            "left_out",
            "alone",
            "experts",
        ):  # entries without them stay as they were written
            if fields[field] == Entry.model_fields[field].get_default(call_default_factory=True):
                del fields[field]
        text = json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        # A shape is one line; no string of JSON has a line break in it.
        return re.sub(r"\[\n[\d,\s]+\]", lambda shape: re.sub(r"\s+", " ", shape[0]), text)

    def write(self, folder: str | Path) -> Path:
        """Writes entry.json into `folder`, atomically; returns its path."""
        path, text = Path(folder) / ENTRY, self.to_json()
        self.parse(text.encode(), str(path))  # nothing is written that can't be read back
        return write_text(path, text)


def file_records(folder: str | Path, names: Mapping[str, str]) -> dict[str, File]:
    """The `files` of an entry from what lies in its folder.

    Args:
        folder: the entry's.
        names: key → file name, for example {"weights": "model.weights.h5", "tflite": "model.tflite"}.
    """
    records = {}
    for key, name in names.items():
        path = Path(folder) / name
        if not path.is_file():
            raise LMFError(f"There is no file {path} for {key!r}.")
        records[key] = File(name=name, sha256=sha256(path), bytes=path.stat().st_size)
    return records
