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

import contextlib
import csv
import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from keras_lmf import documents
from keras_lmf.data import splits
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.extraction.assembly import (
    Absences,
    absences,
    assembled,
    require_few,
    require_present,
    require_usable,
)
from keras_lmf.data.extraction.chunks import Chunk, chunks, extracted, rows_of
from keras_lmf.data.extraction.clip import SCALES, dtype_of, require
from keras_lmf.data.recordings import Recording, Recordings, Refused
from keras_lmf.data.shards import Shards
from keras_lmf.data.tables import read_csv
from keras_lmf.errors import LMFError
from keras_lmf.executors import Executor, Here
from keras_lmf.files import (
    LOCK,
    PARTIAL,
    locked,
    remove_partial,
    require_content,
    sha256,
    unwritable,
    write_atomically,
    write_text,
)
from keras_lmf.sources import RecordedInput
from keras_lmf.spec import Spec
from keras_lmf.target import Name, Target

ARRAYS = "arrays.json"  # what makes a folder one of extracted recordings
_TABLE, _ERRORS, _SHARD = "table.csv", "errors.csv", "shard.json"
_HINT = "`keras-lmf extract` writes it."
_LONGEST = 1000  # characters of a reason
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


class _Shard(Spec):
    """`shard.json`."""

    kept: tuple[Count, ...]
    refused: tuple[tuple[str, str, str], ...]
    sha256: dict[Name, Digest]
    bytes: tuple[Count, ...] = ()
    absent: dict[Name, tuple[Count, ...]] = Field(default_factory=dict)


@dataclass(frozen=True)
class _Job:
    """A shard that is to be written: its folder's name and what goes into it."""

    folder: str
    number: int
    chunk: Chunk


def is_arrays(folder: Path) -> bool:
    """Whether it is a folder of extracted recordings."""
    return (folder / ARRAYS).is_file()


def extract(
    recordings: Recordings,
    inputs: Mapping[str, RecordedInput],
    folder: str | Path,
    executor: Executor | None = None,
) -> Path:
    """Write the recordings into `folder`, in the layout that this module describes.

    After an end at any time the same call goes on: shards that are there stay. Those with a recording that could not
    be used, or whose files are of another size now, are made again.

    Args:
        recordings: what is labelled. Rows without a split are drawn by their group.
        inputs: `Recipe.recorded`.
        folder: a new one, or that of an interrupted call.
        executor: who works; None: this process. All its machines must see the clips and `folder` under these paths.

    Raises:
        LMFError: a folder of other settings or another table, or with something else in it; one that another process
            writes, or that can't be written; an input that recordings can't fill, or that is absent in all of
            training (then `folder` is whole, for recipes without it). Recordings that can't be used are lines of
            errors.csv, however many.
    """
    from tqdm import tqdm

    require(inputs)
    folder = Path(folder).absolute()
    plan = _planned(recordings, inputs)
    _require_own(folder, plan)  # before a lock is left in somebody's folder
    with locked(folder):
        remove_partial(folder)
        _begin(folder, plan)
        jobs = [_Job(str(folder), number, chunk) for number, chunk in enumerate(chunks(recordings, inputs))]
        missing = [job for job in jobs if not _is_current(job)]
        _remove(folder, plan, [job.number for job in missing])
        done = len(recordings.rows) - sum(len(job.chunk.rows) for job in missing)
        bar = tqdm(
            total=len(recordings.rows), initial=done, desc="extract", unit="clip", leave=False, disable=None
        )
        with bar:
            for count in (executor or Here()).map(_write_shard, missing):
                bar.update(count)
        finished = _finish(folder, recordings, plan, len(jobs))
        with contextlib.suppress(OSError):  # Windows keeps what is open
            (folder / LOCK).unlink()
    _require_present(finished, inputs)
    return folder


def described(folder: str | Path) -> Description:
    """What a folder of extracted recordings holds."""
    return documents.read(Path(folder) / ARRAYS, Description)


def open_arrays(folder: str | Path, inputs: Mapping[str, RecordedInput] | None = None) -> Dataset:
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
    if sha256(require_content(folder / _TABLE)) != told.table:
        raise LMFError(
            f"{folder / _TABLE}: not the table that was written with {ARRAYS}: changed, damaged or of an earlier "
            "version. The same `keras-lmf extract` writes it again."
        )
    rows = _read_table(folder / _TABLE, told)
    _, lines = read_csv(folder / _ERRORS, ("where", "file", "why"), _HINT)
    refused = [Refused(*(values[name] for name in ("where", "file", "why"))) for _, values in lines]
    require_few(str(folder), refused, told.recordings)
    filled = {}
    for name, stored in told.inputs.items():
        paths = [_place(folder, number) / f"{name}.npy" for number, count in enumerate(told.shards) if count]
        scale = SCALES.get(np.dtype(stored.dtype))
        filled[name] = Shards(paths, scale, told.sha256.get(name, ""))
        if filled[name].shape != (told.rows, *stored.shape):
            raise LMFError(
                f"{folder}: {name}.npy hold {filled[name].shape}, must be {(told.rows, *stored.shape)}. {_HINT}"
            )
    of_table = Recordings(told.name, told.target, tuple(rows), tuple(refused))
    require_usable(of_table, refused, rows)
    _require_present(told, told.inputs if inputs is None else inputs)
    return assembled(of_table, rows, filled)


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


def _planned(recordings: Recordings, inputs: Mapping[str, RecordedInput]) -> Description:
    digest = hashlib.sha256()
    settings = {name: given.model_dump(mode="json") for name, given in inputs.items()}
    digest.update(f"{json.dumps(settings)} {recordings.target.model_dump_json()}\n".encode())
    for row in recordings.rows:
        told = (row.id, row.path.name, row.member, row.label, row.group, row.split, row.start, row.end)
        companions = sorted((word, path.name) for word, path in row.companions.items())
        digest.update(f"{json.dumps([told, companions, sorted(row.columns.items())])}\n".encode())
    return Description(
        name=recordings.name,
        target=recordings.target,
        inputs={
            name: StoredInput(**given.model_dump(), dtype=dtype_of(given).name)
            for name, given in inputs.items()
        },
        settings=digest.hexdigest(),
        recordings=len(recordings.rows) + len(recordings.refused),
        shard=rows_of(len(recordings.rows)),
    )


def _begin(folder: Path, plan: Description) -> None:
    """Says what the folder will hold; an LMFError where it holds something else."""
    _require_own(folder, plan)
    if not is_arrays(folder):
        _write_description(folder, plan)


def _require_own(folder: Path, plan: Description) -> None:
    if is_arrays(folder):
        there = described(folder)
        if there.settings != plan.settings:
            raise LMFError(
                f"{folder} holds {there.name!r} with other inputs or another table. Name another folder, or delete it."
            )
        return
    if not folder.is_dir():
        return
    others = sorted(
        path.name for path in folder.iterdir() if path.name != LOCK and not path.name.startswith(PARTIAL)
    )
    if others:
        raise LMFError(f"{folder} holds {others[0]!r} already, and no {ARRAYS}. Name a new or empty folder.")


def _write_description(folder: Path, description: Description) -> None:
    write_text(folder / ARRAYS, description.model_dump_json(indent=1) + "\n")


def _place(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}"


def _is_current(job: _Job) -> bool:
    place = _place(Path(job.folder), job.number)
    if not place.is_dir():
        return False
    told = documents.read(place / _SHARD, _Shard)
    return not told.refused and told.bytes == _sizes(job.chunk)


def _sizes(chunk: Chunk) -> tuple[int, ...]:
    """Bytes of each row's files; what isn't there has none."""
    return tuple(
        sum(path.stat().st_size for path in (row.path, *row.companions.values()) if path.is_file())
        for row in chunk.rows
    )


def _remove(folder: Path, plan: Description, numbers: Sequence[int]) -> None:
    """Takes away those of these shards that are there; from then on the folder is not complete."""
    there = [place for number in numbers if (place := _place(folder, number)).is_dir()]
    if there:
        _write_description(folder, plan)
    for place in there:
        gone = place.rename(folder / f"{PARTIAL}{place.name}")
        shutil.rmtree(gone)


def _write_shard(job: _Job) -> int:
    """Writes a shard; the number of its rows, those that can't be used among them."""
    sizes = _sizes(job.chunk)
    done, folder = extracted(job.chunk), Path(job.folder)
    place, temporary = _place(folder, job.number), None
    try:
        temporary = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder))
        temporary.chmod(0o755)
        digests = {}
        for name, values in done.arrays.items():
            path = write_atomically(
                temporary / f"{name}.npy", lambda file, array=values: np.save(file, array)
            )
            digests[name] = sha256(path)
        refused = tuple((row.where, row.what, row.why[:_LONGEST]) for row in done.refused)
        told = _Shard(kept=tuple(done.kept), refused=refused, sha256=digests, bytes=sizes, absent=done.absent)
        write_text(temporary / _SHARD, told.model_dump_json() + "\n")
        try:
            temporary.rename(place)
        except OSError as error:  # another machine was faster: Beam may do work twice
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
    except OSError as error:
        raise unwritable(place, error) from error
    finally:
        if temporary is not None and temporary.exists():
            shutil.rmtree(temporary)
    return len(job.chunk.rows)


def _finish(folder: Path, recordings: Recordings, plan: Description, count: int) -> Description:
    """The tables and the counts, from the shards; arrays.json last, which it returns."""
    kept: list[Recording] = []
    refused, counts = list(recordings.refused), []
    digests = {name: hashlib.sha256() for name in plan.inputs}
    absent: dict[str, list[Recording]] = {name: [] for name in plan.inputs}
    for number in range(count):
        told = documents.read(_place(folder, number) / _SHARD, _Shard)
        kept += [recordings.rows[row] for row in told.kept]
        refused += [Refused(*row) for row in told.refused]
        counts.append(len(told.kept))
        for name, digest in digests.items():
            digest.update(told.sha256[name].encode())
            absent[name] += [recordings.rows[row] for row in told.absent[name]]
    drawn = splits.drawn(row.group for row in recordings.rows if row.split is None)
    columns = list(dict.fromkeys(name for row in recordings.rows for name in row.columns))
    dimensions = recordings.target.dimensions
    header = [
        "id",
        *([f"label.{name}" for name in dimensions] if dimensions else ["label"]),
        "group",
        "split",
    ]
    header += [f"column.{name}" for name in columns]

    def lines() -> Iterator[list[str]]:
        for row in kept:
            labels = (
                [row.label] if isinstance(row.label, str) else [repr(float(value)) for value in row.label]
            )
            split = row.split or drawn[row.group]
            yield [row.id, *labels, row.group, split, *(row.columns.get(name, "") for name in columns)]

    _write_csv(folder / _TABLE, header, lines())
    _write_csv(
        folder / _ERRORS, ["where", "file", "why"], ([row.where, row.what, row.why] for row in refused)
    )
    found = absences(recordings, kept, absent)
    complete = {
        "rows": len(kept),
        "shards": tuple(counts),
        "sha256": {name: digest.hexdigest() for name, digest in digests.items()},
        "table": sha256(folder / _TABLE),
        "absent": found.absent,
        "absent_in_training": found.absent_in_training,
        "training": found.training,
    }
    finished = plan.model_copy(update=complete)
    _write_description(folder, finished)
    return finished


def _require_present(told: Description, asked: Iterable[str]) -> None:
    counts = Absences(told.name, told.absent, told.rows or 0, told.absent_in_training, told.training)
    require_present(counts, {name: told.inputs[name] for name in told.inputs if name in asked})


def _write_csv(path: Path, header: Sequence[str], lines: Iterator[Sequence[str]]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(header)
            rows.writerows(lines)

    write_atomically(path, write)


def _read_table(path: Path, told: Description) -> list[Recording]:
    """The rows, whose files nobody needs any more."""
    target = told.target
    labels = [f"label.{name}" for name in target.dimensions] if target.dimensions else ["label"]
    _, lines = read_csv(path, ("id", *labels, "group", "split"), _HINT)
    if len(lines) != told.rows:
        raise LMFError(f"{path}: {len(lines)} rows, {ARRAYS} says {told.rows}. {_HINT}")
    rows = []
    for line, values in lines:
        label: str | tuple[float, ...] = values["label"] if target.classes else ()
        if target.classes is None:
            try:
                label = tuple(float(values[name]) for name in labels)
            except ValueError:
                raise LMFError(f"{path}, line {line}: the label must be a number. {_HINT}") from None
        elif label not in target.classes:
            raise LMFError(f"{path}, line {line}: {label!r} is no class of {ARRAYS}. {_HINT}")
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
