"""The unit of work: some rows of a table, and what becomes of each."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from keras_lmf.data.extraction.cache import cached_arrays
from keras_lmf.data.extraction.clip import dtype_of
from keras_lmf.data.recordings import Recording, Recordings, Refused
from keras_lmf.errors import LMFError
from keras_lmf.sources import RecordedInput

FEWEST, MOST = 8, 256  # recordings of a chunk

# What the machine lacks, whatever the file; an unmounted disk among it.
_LACKING = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EMFILE", "ENFILE", "ENOMEM", "EIO", "ESTALE")
    if hasattr(errno, name)
}
SPREAD = 64  # chunks, at least, where recordings are enough


@dataclass(frozen=True)
class Chunk:
    """The rows `first` to `first + len(rows)` of a table, and the inputs that they are to fill."""

    first: int
    rows: tuple[Recording, ...]
    inputs: Mapping[str, RecordedInput]


@dataclass(frozen=True)
class Extracted:
    """What became of a chunk.

    Attributes:
        arrays: input → (rows kept, *its shape), as `clip.arrays` keeps the numbers.
        kept: numbers of the table's rows that could be used.
        refused: the others.
        absent: input → numbers of those of `kept` that have nothing of it: all zeros.
    """

    arrays: dict[str, np.ndarray]
    kept: list[int]
    refused: list[Refused]
    absent: dict[str, list[int]]


def rows_of(count: int) -> int:
    """Recordings of a chunk, of so many in all. It depends on nothing else: shards are the same for any workers.

    >>> [rows_of(count) for count in (60, 6400, 10**6)]
    [8, 100, 256]
    """
    return min(MOST, max(FEWEST, -(-count // SPREAD)))


def chunks(recordings: Recordings, inputs: Mapping[str, RecordedInput]) -> Iterator[Chunk]:
    """The whole table, in order."""
    step = rows_of(len(recordings.rows))
    for first in range(0, len(recordings.rows), step):
        yield Chunk(first, recordings.rows[first : first + step], inputs)


def extracted(chunk: Chunk) -> Extracted:
    """Each row by itself: one that can't be read is refused, the others go on.

    Raises:
        LMFError: the machine fails, not the file: no memory, no room on the disk, too many open files.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in chunk.inputs}
    kept, refused = [], []
    for number, recording in enumerate(chunk.rows, chunk.first):
        try:
            for name, values in cached_arrays(recording, chunk.inputs).items():
                found[name].append(values)
            kept.append(number)
        except Exception as error:  # whatever a file brings about, the others go on
            if failure := _failure(error, recording):
                where = recording.where or recording.id
                raise LMFError(f"{where}: {failure}. Mend that; the same command goes on.") from error
            kind = "" if isinstance(error, LMFError | OSError) else f"{type(error).__name__}: "
            why = kind + " ".join(str(error).split())
            refused.append(Refused(recording.where or recording.id, recording.id, why))
    arrays = {
        name: np.array(found[name], dtype_of(given)).reshape(-1, *given.shape)
        for name, given in chunk.inputs.items()
    }
    absent = {
        name: [number for number, row in zip(kept, values, strict=True) if not row.any()]
        for name, values in arrays.items()
    }
    return Extracted(arrays, kept, refused, absent)


def _failure(error: BaseException, recording: Recording) -> str | None:
    """What of the machine failed, where it wasn't the recording's file. FFmpeg's errors are never taken for it: it says
    of damaged files too that memory lacks."""
    files = {str(path) for path in (recording.path, *recording.companions.values())}
    if isinstance(error, OSError) and _is_own(error) and str(error.filename) not in files:
        return f"the system fails: {error}"
    cause: BaseException | None = error
    while cause is not None:
        if _is_own(cause) and isinstance(cause, MemoryError):
            return "there is no memory left"
        if _is_own(cause) and isinstance(cause, OSError) and cause.errno in _LACKING:
            return f"the system fails: {cause}"
        cause = cause.__cause__ or cause.__context__
    return None


def _is_own(error: BaseException) -> bool:
    """Whether it is Python's own, none that a library derives from it."""
    return type(error).__module__ == "builtins"
