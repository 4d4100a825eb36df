"""The table of one's own clips, labels.csv, or the folders that stand for it: rows, and what is wrong with them."""

from __future__ import annotations

import math
import os
import posixpath
import re
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from keras_lmf.data.corpora.files import LABELS, class_files, is_clips
from keras_lmf.data.tables import read_csv
from keras_lmf.errors import LMFError

LABEL = "label"
KNOWN = ("speaker", "split", "start", "end")
# With slashes alone. Strings, as pathlib takes four times as long, and tables are long.
_OUTSIDE = re.compile(r"/|[A-Za-z]:|(?:.*/)?\.\.(?:/|\Z)", re.DOTALL).match
_HINT = (
    "The first line names the columns, with commas (or semicolons, or tabs) between them; a value that holds one "
    'stands in "double quotes".'
)
SLIP = 0.88  # likeness from which a column's name is taken for a slip of another


class Row(NamedTuple):
    """A line of labels.csv; `split` is None where the table has no such column.

    `why` says what is wrong with it, and is empty where nothing is.
    """

    line: int
    file: str
    label: str | tuple[float, ...]
    speaker: str
    split: str | None
    start: float | None
    end: float | None
    columns: dict[str, str]
    why: str = ""

    @property
    def where(self) -> str:
        """For messages."""
        return f"{LABELS}, line {self.line}" if self.line else "folders"

    @property
    def id(self) -> str:
        """The file, and which stretch of it."""
        if self.start is None and self.end is None:
            return self.file
        start, end = (
            "" if time is None else repr(time).removesuffix(".0") for time in (self.start, self.end)
        )
        return f"{self.file}@{start}-{end}"


def read_rows(folder: Path, labels: tuple[str, ...], range: Sequence[float] | None) -> list[Row]:
    """The rows of the folder's labels.csv, or of its folders of classes; of a table without speakers "" is each one's.

    Raises:
        LMFError: as of `_read_table`; numbers that are asked of folders of classes; files in other folders, or a class
            in two spellings.
    """
    if is_clips(folder):
        return _read_table(folder / LABELS, labels, range)
    if range is not None or labels != (LABEL,):
        raise LMFError(f"{folder}: folders are named by class; numbers as labels need a {LABELS}.")
    rows = [
        Row(0, path.as_posix(), label, "", split, None, None, {})
        for path, label, split in class_files(folder)
    ]
    _check_spelling(folder, "label", rows)
    return rows


def with_speakers(table: Path, rows: list[Row]) -> list[Row]:
    """Where none has a speaker, each file is one."""
    if any(row.speaker or "speaker" in row.why for row in rows):
        return rows
    warnings.warn(
        f"{table}: no speakers are given, so training, validation and test differ by file alone. Where a person "
        "is in several files, the figures are too good: add a column 'speaker'.",
        stacklevel=4,
    )
    return [row._replace(speaker=row.file) for row in rows]


def _read_table(path: Path, labels: tuple[str, ...], range: Sequence[float] | None) -> list[Row]:
    """The table's rows, blanks around the values removed, all in one Unicode form (NFC), paths with slashes.

    Raises:
        LMFError: no table; a column that is missing; a line with too few or too many values; a stretch that is named
            twice, or a file outside the folder; a label or a speaker in two spellings that differ in upper and lower
            case alone. It names the line.
    """
    header, lines = read_csv(path, ("file", *labels), _HINT)
    if len(set(header)) != len(header):
        raise LMFError(f"{path}: a column is there twice: {', '.join(header)}.")
    _check_columns(path, header, labels)
    rows = []
    first: dict[tuple[str, float | None, float | None], int] = {}
    for line, values in lines:
        row = _row(
            line, {name: unicodedata.normalize("NFC", value) for name, value in values.items()}, labels, range
        )
        _check_inside(path, row)
        earlier = first.setdefault((posixpath.normpath(row.file), row.start, row.end), line)
        if row.file and earlier != line:
            raise LMFError(f"{path}, lines {earlier} and {line}: both name {row.file!r}. Keep one.")
        rows.append(row)
    if not rows:
        raise LMFError(f"{path}: no clips, only a header. Every further line is {','.join(header)}.")
    if range is None:
        _check_spelling(path, "label", rows)
    _check_spelling(path, "speaker", rows)
    return rows


def _check_columns(path: Path, header: Sequence[str], labels: tuple[str, ...]) -> None:
    """A column whose name is a slip of one that means something is refused; others are kept as they are."""
    for column in header:
        meant = next((name for name in (*KNOWN, LABEL) if _is_slip(column.casefold(), name)), None)
        if column not in (*KNOWN, LABEL, *labels) and meant and meant not in header:
            raise LMFError(
                f"{path}: Unknown column {column!r}. Did you mean {meant!r}? Columns that mean something: file, "
                f"{LABEL}, {', '.join(KNOWN)}. Any other is kept. {_HINT}"
            )


def _is_slip(word: str, meant: str) -> bool:
    """Whether it has the same letters in another order, or one too many or too few: "state" is no slip of "start"."""
    from difflib import SequenceMatcher

    return sorted(word) == sorted(meant) or SequenceMatcher(None, word, meant).ratio() >= SLIP


def _row(line: int, values: dict[str, str], labels: tuple[str, ...], range: Sequence[float] | None) -> Row:
    """One line; what can't be used in it is in `why`."""
    file, speaker = values["file"].replace("\\", "/"), values.get("speaker", "")
    needed = ("file", *labels, *(("speaker",) if "speaker" in values else ()))
    empty = [name for name in needed if not values[name]]
    why = f"{' and '.join(empty)} empty" if empty else ""
    times: dict[str, float | None] = {"start": None, "end": None}
    for name in times:
        if values.get(name):
            times[name] = _number(values[name])
            if times[name] is None or times[name] < 0:
                why = why or f"{name} must be seconds, at least 0; received {values[name]!r}"
                times[name] = None
    if None not in times.values() and times["end"] <= times["start"]:
        why = why or f"it ends at {times['end']:g} s, before it starts at {times['start']:g} s"
    label: str | tuple[float, ...] = values[labels[0]] if labels else ""
    if range is not None:
        numbers = [_number(values[name]) for name in labels]
        for name, number in zip(labels, numbers):
            if number is None or not range[0] <= number <= range[1]:
                why = (
                    why
                    or f"{name} must be a number in [{range[0]:g}, {range[1]:g}]; received {values[name]!r}"
                )
        label = tuple(number or 0.0 for number in numbers)
    known = {"file", *labels, *KNOWN}
    columns = {name: value for name, value in values.items() if name not in known}
    return Row(line, file, label, speaker, values.get("split"), times["start"], times["end"], columns, why)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _check_spelling(path: Path, column: str, rows: Sequence[Row]) -> None:
    """Anna and anna are one speaker, who must not be in two splits."""
    first: dict[str, Row] = {}
    for row in rows:
        value = getattr(row, column)
        earlier = first.setdefault(value.casefold(), row)
        if (before := getattr(earlier, column)) != value:
            lines = f", lines {earlier.line} and {row.line}" if row.line else ""
            raise LMFError(
                f"{path}{lines}: the {column} {before!r} is also written {value!r}. Write it in one way."
            )


def _check_inside(path: Path, row: Row) -> None:
    """Refuse a path that is absolute or goes up, as Unix and as Windows read it."""
    if _OUTSIDE(row.file):
        raise LMFError(
            f"{path}, line {row.line}: {row.file!r} may lie outside the folder. Put the clips into "
            f"{path.parent} and give paths relative to it, without '..'."
        )


def place(folder: Path, file: str) -> Path:
    """The file that a table names: a name keeps the Unicode form of the system that gave it."""
    if file.isascii():
        return folder / file
    places = [folder / unicodedata.normalize(form, file) for form in ("NFD", "NFC")]
    return next(filter(os.path.exists, places), places[1])
