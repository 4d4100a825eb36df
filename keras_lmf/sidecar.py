"""What a program on another machine must know to use an exported file: JSON beside it, and inside all but folders."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from keras_lmf import documents, metadata
from keras_lmf.errors import LMFError
from keras_lmf.files import sha256, write_text
from keras_lmf.spec import InputSpec, ModelSpec, Presence, RecipeName, SubsetTemperatures, Temperature
from keras_lmf.target import Name, Target

KEY = "keras_lmf.document"  # of the metadata inside a file


class StoredTensor(BaseModel):
    """How a file stores an input or an output.

    Attributes:
        shape: with the rows first; None: any number.
        dtype: of the file's numbers.
        scale, zero_point: of integers, which mean scale · (integer − zero_point); None of others.
    """

    shape: tuple[int | None, ...] = ()
    dtype: str | None = None
    scale: float | None = None
    zero_point: int | None = None


class SidecarInput(InputSpec):
    """An input: how the file stores it, and what it is.

    Attributes:
        shape, dtype, scale, zero_point: as of `StoredTensor`.
        calibration_range: smallest and largest number of the calibration rows, in a file of any format; None: it was
            exported without such rows.
    """

    model_config = ConfigDict(extra="ignore")

    dtype: str | None = None
    scale: float | None = None
    zero_point: int | None = None
    calibration_range: tuple[float, float] | None = None

    @field_validator("unit", "description", mode="before")
    @classmethod
    def _known(cls, text: Any) -> Any:
        return text or None  # older files say "" where nothing is known

    @property
    def spec(self) -> InputSpec:
        """What it is, with the shape of one row."""
        fields = {name: getattr(self, name) for name in InputSpec.model_fields}
        return InputSpec(**fields | {"shape": self.shape and self.shape[1:]})


class Document(BaseModel):
    """What the file can't say of itself. Unknown is null; a field that this version doesn't know is passed over.

    Attributes:
        format: the export format, for example "tflite".
        inputs: by name. Inside a file they are without dtype, scale and zero point, which the file has itself.
        target, temperature, subset_temperatures, presence, recipe, licence: as of `ModelSpec`.
        labels: the target's classes once more, for programs that need no more.
        versions: of the packages that wrote the file.
        notes: what else a user of the file must know.
    """

    format: str = ""
    inputs: dict[Name, SidecarInput]
    target: Target | None = None
    labels: tuple[str, ...] | None = None
    temperature: Temperature | None = None
    subset_temperatures: SubsetTemperatures = None
    presence: Presence = "assumed"
    recipe: RecipeName | None = None
    licence: dict[str, Any] | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def spec(self) -> ModelSpec:
        """What the file takes and gives."""
        kept = ("target", "temperature", "subset_temperatures", "presence", "recipe")
        told = {key: text for key, text in (self.licence or {}).items() if isinstance(text, str)}
        return ModelSpec(
            inputs={name: entry.spec for name, entry in self.inputs.items()},
            licence=told or None,
            **{name: getattr(self, name) for name in kept},
        )

    def to_json(self) -> bytes:
        """The text that stands inside a file: what other tools may change of the file is not in it."""
        of_the_file = {name: StoredTensor.model_fields.keys() - {"shape"} for name in self.inputs}
        fields = self.model_dump(
            mode="json", include={*Document.model_fields}, exclude={"inputs": of_the_file}, exclude_none=True
        )
        return json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    @classmethod
    def inside(cls, file: Path) -> Document | None:
        """What a .tflite or .onnx file says of itself; None: nothing.

        Raises:
            LMFError: the file was changed since it was written, or its document is large or damaged.
        """
        content = file.read_bytes()
        metadata.require_unchanged(content, str(file))
        read = metadata.onnx_property if file.suffix == ".onnx" else metadata.buffer
        text = read(content, KEY, str(file))
        return None if text is None else documents.parse(text, Document, f"{file}, its metadata {KEY!r}")

    @classmethod
    def of(cls, file: Path) -> Document | None:
        """The sidecar of an exported file or folder; else what a file says of itself; None without both.

        Raises:
            LMFError: a large or damaged one, or a file other than the one described.
        """
        if Sidecar.path_of(file).is_file():
            sidecar = Sidecar.read(file)
            sidecar.require(file)
            return sidecar
        return None if file.is_dir() else cls.inside(file)


class Sidecar(Document):
    """What is beside an exported file: the document, and what the file itself is.

    Attributes:
        file, bytes: name and size of the file, or the SavedModel folder.
        sha256: of its content (`files.sha256`).
        outputs: by name.
        operators: of a .tflite file, with their dtypes.
        seal: the SHA-256 of the JSON itself, with an empty seal; "" in older files and those of a user's hand.
    """

    file: str = ""
    bytes: int = 0
    sha256: str
    outputs: dict[str, StoredTensor] = Field(default_factory=dict)
    operators: list[dict[str, Any]] = Field(default_factory=list)
    seal: str = ""

    @staticmethod
    def path_of(file: Path) -> Path:
        """Where the sidecar of a file or folder is: `model.tflite.json`, `saved_model.json`."""
        file = file.absolute()
        return file.with_name(f"{file.name}.json")

    @classmethod
    def read(cls, file: Path) -> Sidecar:
        """The sidecar of an exported file or folder.

        Raises:
            LMFError: there is none, or a large or damaged one.
        """
        path = cls.path_of(file)
        content = documents.content(path)
        sidecar = documents.parse(content, cls, str(path))
        if sidecar.seal and _digest(content.replace(sidecar.seal.encode(), b"", 1)) != sidecar.seal:
            raise LMFError(
                f"{path} is damaged, or was changed: its seal differs. Copy it again, or empty its seal."
            )
        return sidecar

    def require(self, file: Path) -> None:
        """Refuses a file or folder whose content is another than the one described."""
        if sha256(file) != self.sha256:
            path = self.path_of(file)
            raise LMFError(f"{path} describes another {file.name}: the sha256 differ. Copy both again.")

    def write(self, file: Path) -> Path:
        """Writes it beside `file`, atomically."""
        fields = self.model_dump(mode="json") | {"seal": ""}
        text = json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        return write_text(
            self.path_of(file), text.replace('"seal": ""', f'"seal": "{_digest(text.encode())}"', 1)
        )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
