"""A zoo entry: what `zoo/<name>/entry.json` says, every field of it checked."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import Field, JsonValue, ValidationError, model_validator

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.files import write_text
from keras_lmf.target import Name, Target, Text
from keras_lmf.zoo.records import (
    Calibration,
    Cost,
    EntryName,
    File,
    InputSpec,
    Key,
    Licences,
    Metric,
    Record,
    Sha256,
    Spread,
    Width,
)

ENTRY, RECIPE, WEIGHTS_SUFFIX = "entry.json", "recipe.toml", ".weights.h5"
MAX_TEXT_BYTES = 2**20  # of entry.json and of recipe.toml
MAX_PARAMETERS = 2**26


class Entry(Record):
    """A trained model of the zoo.

    Attributes:
        schema_version: of this layout.
        name: the entry's and its folder's.
        summary: one sentence.
        warning: what must be known before anything else, one sentence; None: nothing.
        fusion: the word of the recipe.
        corpus: what it was trained on.
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
        alone: modality → metric → `Spread` over the same trainings as `seeds`, of the Keras model with this modality
            alone; of models of several whose presence is "derived".
        calibration: of a model for classes whose probabilities were calibrated.
        presence: "derived" when an input of zeros is an absent modality; "assumed" when every modality must be there.
        protocol: notes on how this was trained, chosen and measured.
        licences: of code, weights and data.
        citations: what to cite: papers of the fusion and of the corpus.
        environment: versions and machine, as `keras_lmf.training.environment` tells them.
        keras_lmf_version: that wrote the entry.

    Raises:
        ValidationError: pydantic's, where a value doesn't fit. `read` turns it into an LMFError.
    """

    schema_version: Literal[1] = 1
    name: EntryName
    summary: Text
    warning: Text | None = None
    fusion: Literal["none", "early", "tensor", "low_rank"]
    corpus: Name
    modalities: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]
    parameters: Annotated[int, Field(ge=1, le=MAX_PARAMETERS)]
    inputs: dict[Name, InputSpec]
    target: Target
    recipe_sha256: Sha256
    files: dict[Key, File]
    weights: Annotated[tuple[tuple[Text, tuple[Width, ...]], ...], Field(min_length=1)]
    metrics: dict[Key, dict[Text, Metric]] = Field(default_factory=dict)
    costs: dict[Key, Cost] = Field(default_factory=dict)
    seeds: dict[Key, dict[Text, Spread]] = Field(default_factory=dict)
    cross_validation: dict[Text, Spread] = Field(default_factory=dict)
    alone: dict[Name, dict[Text, Spread]] = Field(default_factory=dict)
    calibration: Calibration | None = None
    presence: Literal["assumed", "derived"] = "assumed"
    protocol: tuple[Text, ...] = ()
    licences: Licences
    citations: tuple[Text, ...] = ()
    environment: dict[str, JsonValue]
    keras_lmf_version: Text

    @model_validator(mode="after")
    def _fields_agree(self) -> Entry:
        if list(self.inputs) != list(self.modalities):
            raise ValueError(f"'inputs' {list(self.inputs)} and 'modalities' {list(self.modalities)} differ")
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

    @classmethod
    def read(cls, folder: str | Path) -> Entry:
        """The entry in `folder`.

        Raises:
            LMFError: no entry.json, one larger than 1 MiB, no JSON, or a field that is missing, unknown or wrong.
        """
        path = Path(folder) / ENTRY
        if not path.is_file():
            raise LMFError(f"{str(folder)!r} is no zoo entry: there is no {path}.")
        with path.open("rb") as stream:
            return cls.parse(stream.read(MAX_TEXT_BYTES + 1), str(path))

    @classmethod
    def parse(cls, content: bytes, where: str) -> Entry:
        """The entry in the bytes of an entry.json; `where` names it in errors, which are those of `read`."""
        if len(content) > MAX_TEXT_BYTES:
            raise LMFError(f"{where} is larger than {MAX_TEXT_BYTES} bytes, so it is no {ENTRY}.")
        try:
            # The standard library's parser first: it can refuse what the other reads in its own way.
            fields = json.loads(
                content, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite
            )
        except (ValueError, RecursionError) as error:
            raise LMFError(f"{where} is not plain JSON: {error}") from None
        if isinstance(fields, dict) and fields.get("schema_version", 1) != 1:
            raise LMFError(
                f"{where} has schema version {_short(fields['schema_version'])}; this keras-lmf reads 1. "
                f'Upgrade: pip install -U "keras-lmf"'
            )
        try:
            return cls.model_validate_json(content, strict=True)
        except ValidationError as error:
            raise _explain(error, where) from None

    def to_json(self) -> str:
        """The canonical text: the same entry always gives the same."""
        fields = self.model_dump(mode="json", exclude_none=True)
        for field in ("presence", "alone"):  # entries without them stay as they were written
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


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return fields


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError(f"{digits} is too large for a number")
    return value


def _explain(error: ValidationError, where: str) -> LMFError:
    """The first problem as a sentence: the file, the field, what was received."""
    problem = error.errors()[0]
    field = ".".join(str(step) for step in problem["loc"])
    if problem["type"] == "extra_forbidden":
        if len(problem["loc"]) == 1:
            return LMFError(f"{where}: {unknown_name('field', field, Entry.model_fields)}")
        return LMFError(f"{where}: unknown field {_short(field)}.")
    if problem["type"] == "missing":
        return LMFError(f"{where}: the field {_short(field)} is missing.")
    message = problem["msg"].removeprefix("Value error, ")
    if not field:
        return LMFError(f"{where}: {message}.")
    return LMFError(f"{where}: {field[:200]}: {message}, received {_short(problem['input'])}.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
