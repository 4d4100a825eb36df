"""Tables of comma-separated values."""

from __future__ import annotations

import csv
from pathlib import Path

from keras_lmf.errors import LMFError


def read_csv(path: Path, hint: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and the number and values of each further line that isn't empty; blanks around values are removed.

    Args:
        path: of a file in UTF-8.
        hint: what to do where it is none.

    Raises:
        LMFError: no such file or no table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, skipinitialspace=True, strict=True)
            lines = [(reader.line_num, [value.strip() for value in values]) for values in reader if values]
    except FileNotFoundError:
        raise LMFError(f"{path}: no such file.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LMFError(f"{path}: not a table of comma-separated values in UTF-8 ({error}). {hint}") from None
    return (lines[0][1], lines[1:]) if lines else ([], [])


def check_length(path: Path, line: int, values: list[str], header: list[str], hint: str = "") -> None:
    """Raise an LMFError if a line doesn't hold a value for each column."""
    if len(values) != len(header):
        raise LMFError(f"{path}, line {line}: {len(values)} values, must be {len(header)}{hint}.")
