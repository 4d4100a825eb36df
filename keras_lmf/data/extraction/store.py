"""Writes a folder of extracted recordings, shard by shard; `stored` says what it holds, and reads it."""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from keras_lmf import documents
from keras_lmf.data import splits
from keras_lmf.data.extraction.assembly import (
    absences,
)
from keras_lmf.data.extraction.chunks import Chunk, chunks, extracted, rows_of
from keras_lmf.data.extraction.clip import dtype_of, require
from keras_lmf.data.extraction.stored import (
    ARRAYS,
    ERRORS,
    TABLE,
    Count,
    Description,
    Digest,
    StoredInput,
    described,
    is_arrays,
    require_present_in,
    shard_place,
)
from keras_lmf.data.recordings import Recording, Recordings, Refused
from keras_lmf.errors import LMFError
from keras_lmf.executors import Executor, Here
from keras_lmf.files import (
    LOCK,
    PARTIAL,
    locked,
    remove_partial,
    sha256,
    unwritable,
    write_atomically,
    write_text,
)
from keras_lmf.sources import RecordedInput
from keras_lmf.spec import Spec
from keras_lmf.target import Name

_SHARD = "shard.json"
_LONGEST = 1000  # characters of a reason


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
    require_present_in(finished, inputs)
    return folder


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


def _is_current(job: _Job) -> bool:
    place = shard_place(Path(job.folder), job.number)
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
    there = [place for number in numbers if (place := shard_place(folder, number)).is_dir()]
    if there:
        _write_description(folder, plan)
    for place in there:
        gone = place.rename(folder / f"{PARTIAL}{place.name}")
        shutil.rmtree(gone)


def _write_shard(job: _Job) -> int:
    """Writes a shard; the number of its rows, those that can't be used among them."""
    sizes = _sizes(job.chunk)
    done, folder = extracted(job.chunk), Path(job.folder)
    place, temporary = shard_place(folder, job.number), None
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
        told = documents.read(shard_place(folder, number) / _SHARD, _Shard)
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

    _write_csv(folder / TABLE, header, lines())
    _write_csv(folder / ERRORS, ["where", "file", "why"], ([row.where, row.what, row.why] for row in refused))
    found = absences(recordings, kept, absent)
    complete = {
        "rows": len(kept),
        "shards": tuple(counts),
        "sha256": {name: digest.hexdigest() for name, digest in digests.items()},
        "table": sha256(folder / TABLE),
        "absent": found.absent,
        "absent_in_training": found.absent_in_training,
        "training": found.training,
    }
    finished = plan.model_copy(update=complete)
    _write_description(folder, finished)
    return finished


def _write_csv(path: Path, header: Sequence[str], lines: Iterator[Sequence[str]]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(header)
            rows.writerows(lines)

    write_atomically(path, write)
