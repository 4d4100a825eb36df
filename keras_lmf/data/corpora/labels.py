"""labels.csv of a folder of clips."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from keras_lmf.data.tables import check_length, read_csv
from keras_lmf.errors import LMFError, unknown_name

NEEDED = ("file", "label", "speaker")
COLUMNS = (*NEEDED, "split")


class Row(NamedTuple):
    """A line of labels.csv; `split` is None where the table has no such column."""

    line: int
    file: str
    label: str
    speaker: str
    split: str | None


def read_table(path: Path) -> list[Row]:
    """The table's rows, blanks around the values removed, labels and speakers in one Unicode form (NFC).

    Raises:
        LMFError: no UTF-8 or no table; a column that is missing or unknown; a line with too few or too many values;
            a file that is named twice, or lies outside the folder; a label or a speaker in two spellings that differ
            in upper and lower case alone. It names the line.
    """
    header, lines = read_csv(path, "Save it as such.")
    _check_header(path, header)
    rows = []
    first: dict[str, int] = {}
    for line, values in lines:
        if not any(values):
            continue
        hint = f': {", ".join(header)}. A value that holds a comma stands in "double quotes"'
        check_length(path, line, values, header, hint)
        named = dict(zip(header, values))
        for column in ("label", "speaker"):
            named[column] = unicodedata.normalize("NFC", named[column])
        row = Row(line, *(named[column] for column in NEEDED), named.get("split"))
        _check_inside(path, row)
        earlier = first.setdefault(str(PurePosixPath(row.file)), line)
        if row.file and earlier != line:
            raise LMFError(f"{path}, lines {earlier} and {line}: both name {row.file!r}. Keep one.")
        rows.append(row)
    if not rows:
        raise LMFError(f"{path}: no clips, only a header. Every further line is file,label,speaker.")
    for column in ("label", "speaker"):
        _check_spelling(path, column, rows)
    return rows


def _check_spelling(path: Path, column: str, rows: Sequence[Row]) -> None:
    """Anna and anna are one speaker, who must not be in two splits."""
    first: dict[str, Row] = {}
    for row in rows:
        value = getattr(row, column)
        earlier = first.setdefault(value.casefold(), row)
        if (before := getattr(earlier, column)) != value:
            raise LMFError(
                f"{path}, lines {earlier.line} and {row.line}: the {column} {before!r} is also written {value!r}. "
                "Write it in one way."
            )


def _check_header(path: Path, header: Sequence[str]) -> None:
    for column in header:
        if column not in COLUMNS:
            hint = "The first line names the columns, with commas between them."
            raise LMFError(f"{path}: {unknown_name('column', column, COLUMNS, hint)}")
    for column in NEEDED:
        if column not in header:
            raise LMFError(f"{path}: the column {column!r} is missing. Its first line must name it.")
    if len(set(header)) != len(header):
        raise LMFError(f"{path}: a column is there twice: {', '.join(header)}.")


def _check_inside(path: Path, row: Row) -> None:
    """Refuse a path that is absolute or goes up, as Unix and as Windows read it."""
    for place in (PurePosixPath(row.file), PureWindowsPath(row.file)):
        if place.anchor or ".." in place.parts:
            raise LMFError(
                f"{path}, line {row.line}: {row.file!r} may lie outside the folder. Put the clips into "
                f"{path.parent} and give paths relative to it, without '..'."
            )
