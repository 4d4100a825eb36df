"""Tables of comma-separated values, whose mistakes are told with their line."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from keras_lmf.errors import LMFError, missing_name
from keras_lmf.files import require_content


def read_csv(
    path: Path, needed: Iterable[str], hint: str
) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns' names; and of each further line its number, and column → value without blanks around it.

    Args:
        path: of a file in UTF-8; empty lines are passed over.
        needed: columns that must be there.
        hint: how such a table is made.

    Raises:
        LMFError: no such file or no table; a column that is missing; a line with too few or too many values.
    """
    try:
        with require_content(path).open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, skipinitialspace=True, strict=True)
            lines = [(reader.line_num, [value.strip() for value in values]) for values in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LMFError(f"{path}: not a table of comma-separated values in UTF-8 ({error}). {hint}") from None
    (_, header), *lines = [line for line in lines if any(line[1])] or [(0, [])]
    for name in needed:
        if name not in header:
            raise LMFError(f"{path}: {missing_name('the column', name, header, hint)}")
    for line, values in lines:
        if len(values) != len(header):
            raise LMFError(f"{path}, line {line}: {len(values)} values, must be {len(header)}. {hint}")
    return header, [(line, dict(zip(header, values))) for line, values in lines]
