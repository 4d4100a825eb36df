"""The JSON beside an exported file: what a program on another machine must know to use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from keras_lmf import documents
from keras_lmf.errors import LMFError
from keras_lmf.files import sha256, write_text
from keras_lmf.spec import InputSpec, ModelSpec, Presence, RecipeName, Temperature
from keras_lmf.target import Target


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
        calibration_range: smallest and largest number of the rows behind an int8 file; None of others.
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


class Sidecar(BaseModel):
    """What is beside an exported file. Unknown is null; a field that this version doesn't know is passed over.

    Attributes:
        file, format, bytes: of the file, or the SavedModel folder.
        sha256: of its content (`files.sha256`).
        inputs, outputs: by name.
        target, temperature, presence, recipe, licence: as of `ModelSpec`.
        labels: the target's classes once more, for programs that need no more.
        versions: of the packages that wrote the file.
        operators: of a .tflite file, with their dtypes.
        notes: what else a user of the file must know.
    """

    file: str = ""
    format: str = ""
    bytes: int = 0
    sha256: str
    inputs: dict[str, SidecarInput]
    outputs: dict[str, StoredTensor] = Field(default_factory=dict)
    target: Target | None = None
    labels: tuple[str, ...] | None = None
    temperature: Temperature | None = None
    presence: Presence = "assumed"
    recipe: RecipeName | None = None
    licence: dict[str, Any] | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    operators: list[dict[str, Any]] = Field(default_factory=list)
    notes: tuple[str, ...] = ()

    @staticmethod
    def path_of(file: Path) -> Path:
        """Where the sidecar of a file or folder is: `model.tflite.json`, `saved_model.json`."""
        file = file.absolute()
        return file.with_name(f"{file.name}.json")

    @property
    def spec(self) -> ModelSpec:
        """What the file takes and gives."""
        kept = ("target", "temperature", "presence", "recipe")
        told = {key: text for key, text in (self.licence or {}).items() if isinstance(text, str)}
        return ModelSpec(
            inputs={name: entry.spec for name, entry in self.inputs.items()},
            licence=told or None,
            **{name: getattr(self, name) for name in kept},
        )

    @classmethod
    def read(cls, file: Path) -> Sidecar:
        """The sidecar of an exported file or folder.

        Raises:
            LMFError: there is none, a large or damaged one, or that of another file.
        """
        path = cls.path_of(file)
        if not path.is_file():
            raise LMFError(
                f"{file} has no sidecar {path.name} beside it, so its classes and inputs are unknown. Copy it along, "
                f"or export the model again with keras_lmf.export_model."
            )
        sidecar = documents.read(path, cls)
        if file.is_file() and sha256(file) != sidecar.sha256:
            raise LMFError(f"{path} describes another {file.name}: the sha256 differ. Copy both files again.")
        return sidecar

    def write(self, file: Path) -> Path:
        """Writes it beside `file`, atomically."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
        return write_text(self.path_of(file), text + "\n")
