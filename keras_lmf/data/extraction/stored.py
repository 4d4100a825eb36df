"""A folder of extracted recordings: shards that are read without being loaded.

    arrays.json      what the folder holds (`Description`); `rows` is null as long as it is not complete
    table.csv        id, label (or one column label.NAME for each dimension), group, split, and column.NAME for each
                     further column of the corpus's table; a line for each row of the arrays, in their order
    errors.csv       where, file, why: the table's rows that could not be used
    00000/           shard 0: the table's rows 0 to S − 1, without those that could not be used; then 00001/, …
      NAME.npy         of the input NAME: (rows, *shape), int16 of sound (32767 is 1), uint8 of pictures (255 is 1),
                       float32 of others; for `np.load(…, mmap_mode="r", allow_pickle=False)`
      shard.json       numbers of the rows that are there, rows that could not be used and why, bytes of each row's
                       files, numbers of the rows that have nothing of an input, SHA-256 of each .npy

S depends on the number of rows alone, and nothing says when or where something was made. So the bytes are the same for
one worker, several, many machines, and after a kill. A shard appears whole, under its name, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from keras_lmf import documents
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.extraction.assembly import (
    Absences,
    assembled,
    require_few,
    require_present,
    require_usable,
)
from keras_lmf.data.extraction.clip import SCALES
from keras_lmf.data.recordings import Recording, Recordings, Refused
from keras_lmf.data.shards import Shards
from keras_lmf.data.tables import read_csv
from keras_lmf.errors import LMFError
from keras_lmf.files import (
    require_content,
    sha256,
)
from keras_lmf.sources import RecordedInput
from keras_lmf.spec import Spec
from keras_lmf.target import Name, Target

ARRAYS = "arrays.json"  # what makes a folder one of extracted recordings
TABLE, ERRORS = "table.csv", "errors.csv"
HINT = "`keras-lmf extract` writes it."
Count = Annotated[int, Field(ge=0)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class StoredInput(RecordedInput):
    """An input, and how its numbers are kept."""

    dtype: Literal["int16", "uint8", "float32"]


class Description(Spec):
    """`arrays.json`.

    Attributes:
        name: the corpus's.
        target: what the labels mean.
        inputs: by name, in order.
        settings: SHA-256 of the inputs and the table: shards of others are not mixed with these.
        recordings: lines of the table, those that it can't use itself among them.
        shard: the table's rows that a shard stands for.
        rows: of the arrays; None: not complete.
        shards: rows of each shard.
        sha256: by input, of all its shards.
        table: SHA-256 of table.csv.
        absent: by input, rows that have nothing of it.
        absent_in_training: likewise, of those of split "train"; training: how many these are.
    """

    format: Literal[1] = 1
    name: str
    target: Target
    inputs: dict[Name, StoredInput]
    settings: Digest
    recordings: Count
    shard: Count
    rows: Count | None = None
    shards: tuple[Count, ...] = ()
    sha256: dict[Name, Digest] = Field(default_factory=dict)
    table: Digest | None = None
    absent: dict[Name, Count] = Field(default_factory=dict)
    absent_in_training: dict[Name, Count] = Field(default_factory=dict)
    training: Count = 0


def is_arrays(folder: Path) -> bool:
    """Whether it is a folder of extracted recordings."""
    return (folder / ARRAYS).is_file()


def described(folder: str | Path) -> Description:
    """What a folder of extracted recordings holds."""
    return documents.read(Path(folder) / ARRAYS, Description)


def open_arrays(folder: str | Path, inputs: Mapping[str, RecordedInput] | None) -> Dataset:
    """What `extract` wrote, as a dataset whose inputs stay on the disk.

    At once are checked: the table's SHA-256, and dtype, shape and size of each shard's .npy. Features are finite, or
    an error, when they are read. The SHA-256 of each .npy is in shard.json for who wants to hold it against the file:
    nothing here reads whole shards for that.

    Args:
        folder: that `extract` wrote.
        inputs: `Recipe.recorded` of who is to take them; None: anybody.

    Raises:
        LMFError: arrays that were filled by another rate or source than `inputs` say; no such folder, one that is not
            complete or damaged, or more than a tenth of its recordings could not
            be used. It names the file.
    """
    folder = Path(folder)
    told = described(folder)
    if told.rows is None:
        raise LMFError(
            f"{folder}: not complete. The same `keras-lmf extract` goes on, and keeps what is there."
        )
    _require_filled_so(folder, told.inputs, inputs or {})
    if sha256(require_content(folder / TABLE)) != told.table:
        raise LMFError(
            f"{folder / TABLE}: not the table that was written with {ARRAYS}: changed, damaged or of an earlier "
            "version. The same `keras-lmf extract` writes it again."
        )
    rows = _read_table(folder / TABLE, told)
    _, lines = read_csv(folder / ERRORS, ("where", "file", "why"), HINT)
    refused = [Refused(*(values[name] for name in ("where", "file", "why"))) for _, values in lines]
    require_few(str(folder), refused, told.recordings)
    filled = {}
    for name, stored in told.inputs.items():
        paths = [
            shard_place(folder, number) / f"{name}.npy" for number, count in enumerate(told.shards) if count
        ]
        scale = SCALES.get(np.dtype(stored.dtype))
        filled[name] = Shards(paths, scale, told.sha256.get(name, ""))
        if filled[name].shape != (told.rows, *stored.shape):
            raise LMFError(
                f"{folder}: {name}.npy hold {filled[name].shape}, must be {(told.rows, *stored.shape)}. {HINT}"
            )
    of_table = Recordings(told.name, told.target, tuple(rows), tuple(refused))
    require_usable(of_table, refused, rows)
    require_present_in(told, told.inputs if inputs is None else inputs)
    return assembled(of_table, rows, filled)


def shard_place(folder: Path, number: int) -> Path:
    """The folder of a shard."""
    return folder / f"{number:05d}"


def require_present_in(told: Description, asked: Iterable[str]) -> None:
    """As `assembly.require_present`, of those of its inputs that are asked for."""
    counts = Absences(told.name, told.absent, told.rows or 0, told.absent_in_training, told.training)
    require_present(counts, {name: told.inputs[name] for name in told.inputs if name in asked})


def _require_filled_so(
    folder: Path, stored: Mapping[str, StoredInput], asked: Mapping[str, RecordedInput]
) -> None:
    for name in stored.keys() & asked.keys():
        for field in ("rate", "source"):
            held, wanted = getattr(stored[name], field), getattr(asked[name], field)
            if wanted is not None and wanted != held:
                raise LMFError(
                    f"{folder}: input {name!r} was extracted with the {field} {held}, and {wanted} is asked for. "
                    "Extract again with another --out."
                )


def _read_table(path: Path, told: Description) -> list[Recording]:
    """The rows, whose files nobody needs any more."""
    target = told.target
    labels = [f"label.{name}" for name in target.dimensions] if target.dimensions else ["label"]
    _, lines = read_csv(path, ("id", *labels, "group", "split"), HINT)
    if len(lines) != told.rows:
        raise LMFError(f"{path}: {len(lines)} rows, {ARRAYS} says {told.rows}. {HINT}")
    rows = []
    for line, values in lines:
        label: str | tuple[float, ...] = values["label"] if target.classes else ()
        if target.classes is None:
            try:
                label = tuple(float(values[name]) for name in labels)
            except ValueError:
                raise LMFError(f"{path}, line {line}: the label must be a number. {HINT}") from None
        elif label not in target.classes:
            raise LMFError(f"{path}, line {line}: {label!r} is no class of {ARRAYS}. {HINT}")
        rows.append(
            Recording(
                id=values["id"],
                path=path,
                label=label,
                group=values["group"],
                split=values["split"],
                columns={
                    name.removeprefix("column."): value
                    for name, value in values.items()
                    if name.startswith("column.")
                },
                where=f"{path.name}, line {line}",
            )
        )
    return rows
