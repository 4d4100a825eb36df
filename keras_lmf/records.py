"""What a folder of trained weights says of itself, beside a zoo entry's results. Loads no Keras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from keras_lmf import documents
from keras_lmf.errors import LMFError
from keras_lmf.files import sha256, write_text
from keras_lmf.locate import BACKBONE
from keras_lmf.recipe import FRONT_ENDS, MAX_PARAMETERS
from keras_lmf.spec import EntryName, Spec, known
from keras_lmf.target import Text

MAX_FILE_BYTES = 2**31
PUBLISHED = [word for word, section in FRONT_ENDS.items() if section.published]

FileName = Annotated[
    str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$")
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=1, le=MAX_FILE_BYTES)]
Width = Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]
Weights = Annotated[tuple[tuple[Text, tuple[Width, ...]], ...], Field(min_length=1)]
Parameters = Annotated[int, Field(ge=1, le=MAX_PARAMETERS)]


class File(Spec):
    """A file beside the record: its name in the folder, the SHA-256 of its content, its size in bytes."""

    name: FileName
    sha256: Sha256
    bytes: Count

    def problem(self, path: Path) -> str | None:
        """What is wrong with the file at `path`, or None when it is this file."""
        if not path.is_file():
            return "is missing"
        if (size := path.stat().st_size) != self.bytes:
            return f"has {size} bytes instead of {self.bytes}"
        if (found := sha256(path)) != self.sha256:
            return f"has the sha256 {found} instead of {self.sha256}"
        return None


class Shipped(Spec):
    """What an entry.json says of the model's files: enough to read its weights, whatever else is told there.

    Attributes:
        recipe_sha256: `Recipe.fingerprint` of the folder's recipe.toml.
        files: by key; "weights" and "testvectors" always.
    """

    model_config = ConfigDict(extra="ignore")

    recipe_sha256: Sha256
    files: dict[str, File]


class Licences(Spec):
    """SPDX identifiers or a sentence each: of the code, of the weights, of the training data."""

    code: Text
    weights: Text
    data: Text

    @property
    def word(self) -> str:
        """What the licence of the weights means, in a word; of several, joined by ";", the strictest.

        >>> Licences(code="MIT", weights="CC BY-NC-SA 4.0; MIT (OpenAI)", data="on request").word
        'non-commercial'
        """
        text = self.weights.casefold()
        if "research" in text:
            return "research-only"
        if "-nc" in text:
            return "non-commercial"
        if "attribution" in text:
            return "attribution"
        first = self.weights.split(";")[0].split()
        return "-".join(first) if len(first) <= 3 else "other"


class Backbone(Spec):
    """Published weights of a backbone: a folder of the zoo with a backbone.json instead of an entry.json.

    Attributes:
        schema_version: of this layout.
        name: the folder's.
        summary: one sentence.
        front_end: the word of the recipe, and the function that makes it.
        shape: of its input in the test vectors, without the batch axis.
        parameters: numbers in all weights together.
        files: "weights" and "testvectors".
        weights: (path, shape) of every weight, in the order of `model.weights`.
        source: where the weights come from, with the SHA-256 of the file that was converted.
        licences: of code, weights and data.
        citations: what to cite.
        keras_lmf_version: that wrote the folder.
    """

    schema_version: Literal[1] = 1
    name: EntryName
    summary: Text
    front_end: Annotated[str, known("front end with published weights", PUBLISHED)]
    shape: Annotated[tuple[Annotated[int, Field(ge=1, le=2**20)], ...], Field(min_length=1, max_length=4)]
    parameters: Parameters
    files: dict[Literal["weights", "testvectors"], File]
    weights: Weights
    source: Text
    licences: Licences
    citations: tuple[Text, ...] = ()
    keras_lmf_version: Text

    @model_validator(mode="after")
    def _has_both_files(self) -> Backbone:
        if missing := {"weights", "testvectors"} - set(self.files):
            raise ValueError(f"'files' lacks {', '.join(sorted(missing))}")
        return self

    @classmethod
    def read(cls, folder: Path) -> Backbone:
        """The backbone in `folder`.

        Raises:
            LMFError: no backbone.json, a large one, no JSON, or a field that is missing, unknown or wrong.
        """
        path = Path(folder) / BACKBONE
        if not path.is_file():
            raise LMFError(f"{str(folder)!r} is no backbone of the zoo: there is no {path}.")
        return documents.read(path, cls, strict=True)

    def write(self, folder: Path) -> Path:
        """Writes backbone.json, atomically."""
        fields = self.model_dump(mode="json")
        return write_text(Path(folder) / BACKBONE, json.dumps(fields, indent=1, ensure_ascii=False) + "\n")
