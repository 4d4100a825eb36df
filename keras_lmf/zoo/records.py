"""The parts of a zoo entry, and what its names and numbers may be."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from keras_lmf.target import Text

MAX_FILE_BYTES = 2**31

# Names become parts of paths and addresses: no dots, no separators.
ENTRY_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
EntryName = Annotated[str, StringConstraints(pattern=ENTRY_NAME)]
FileName = Annotated[
    str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$")
]
Key = Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=1, le=MAX_FILE_BYTES)]
Width = Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]


class Record(BaseModel):
    """A frozen part of an entry; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class File(Record):
    """A file of the entry: its name in the entry's folder, the SHA-256 of its content, its size in bytes."""

    name: FileName
    sha256: Sha256
    bytes: Count

    def problem(self, path: Path) -> str | None:
        """What is wrong with the file at `path`, or None when it is this file."""
        if not path.is_file():
            return "is missing"
        if (size := path.stat().st_size) != self.bytes:
            return f"has {size} bytes instead of {self.bytes}"
        if (found := sha256_of(path)) != self.sha256:
            return f"has the sha256 {found} instead of {self.sha256}"
        return None


class InputSpec(Record):
    """One modality: shape of a row, (width,) or (steps, width), the unit of its numbers, and what they are.

    `media` says what of a media file fills it, at `rate` Hz: "waveform" (samples,) or "frames"; None: features.
    """

    shape: tuple[Count, ...]
    unit: Text
    description: Text
    media: Literal["waveform", "frames"] | None = None
    rate: Annotated[float, Field(gt=0)] | None = None


class Metric(Record):
    """A metric of a file on the test split, its 95 % bootstrap interval, and the floor (a constant prediction)."""

    value: float
    low: float | None = None
    high: float | None = None
    floor: float | None = None


class Cost(Record):
    """What a written file costs: size, distance to the Keras model on the test split, time for one row on one thread.

    `agreement` is the share of rows in which the file names the Keras model's class.
    """

    bytes: Count
    difference_max: Annotated[float, Field(ge=0)]
    difference_mean: Annotated[float, Field(ge=0)]
    agreement: Annotated[float, Field(ge=0, le=1)] | None = None
    latency_p50_ms: Annotated[float, Field(ge=0)]
    latency_p95_ms: Annotated[float, Field(ge=0)]


class Spread(Record):
    """A metric over several trainings: mean, standard deviation, number of runs."""

    mean: float
    sd: Annotated[float, Field(ge=0)]
    runs: Count


class Calibration(Record):
    """Temperature scaling (Guo et al. 2017) fitted on `rows` rows of `split`; and, on the test split, the expected
    calibration error and the mean negative log-likelihood in nats before and after dividing the logits by it."""

    temperature: Annotated[float, Field(ge=0.01, le=100)]
    ece_before: Annotated[float, Field(ge=0, le=1)]
    ece_after: Annotated[float, Field(ge=0, le=1)]
    nll_before: Annotated[float, Field(ge=0)]
    nll_after: Annotated[float, Field(ge=0)]
    split: Text
    rows: Count


class Licences(Record):
    """SPDX identifiers or a sentence each: of the code, of the weights, of the training data."""

    code: Text
    weights: Text
    data: Text


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
