"""Tables of comma-separated values, whose mistakes are told with their line."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

from keras_lmf.errors import LMFError, missing_name
from keras_lmf.files import require_content


def read_csv(
    path: Path, needed: Iterable[str], hint: str
) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns' names; and of each further line its number, and column → value without blanks around it.

    Args:
        path: of a file in UTF-8 or, with a byte order mark, UTF-16; values stand between commas, semicolons or tabs,
            as the header has them. Empty lines are passed over, and Excel's "sep=" before the header.
        needed: columns that must be there.
        hint: how such a table is made.

    Raises:
        LMFError: no such file or no table; a column that is missing; a line with too few or too many values.
    """
    try:
        content = require_content(path).read_bytes()
    except OSError as error:
        raise LMFError(f"{path} can't be read: {error.strerror}.") from None
    return parse_csv(content, str(path), needed, hint)


def parse_csv(
    content: bytes, where: str, needed: Iterable[str], hint: str
) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """What a table's bytes say, as `read_csv` tells it; `where` names it in errors."""
    try:
        text = content.decode(
            "utf-16" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
        )
        delimiter = max(",;\t", key=re.split(r"[\r\n]", text.lstrip())[0].count)
        reader = csv.reader(io.StringIO(text, ""), delimiter=delimiter, skipinitialspace=True, strict=True)
        lines = [(reader.line_num, [value.strip() for value in values]) for values in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise LMFError(
            f'{where}: not a table of comma-separated values in UTF-8 ({error}); spreadsheets call that "CSV UTF-8". '
            f"{hint}"
        ) from None
    (_, header), *lines = [line for line in lines if any(line[1]) and line[1][0] != "sep="] or [(0, [])]
    for name in needed:
        if name not in header:
            raise LMFError(f"{where}: {missing_name('the column', name, header, hint)}")
    for line, values in lines:
        if len(values) != len(header):
            raise LMFError(f"{where}, line {line}: {len(values)} values, must be {len(header)}. {hint}")
    return header, [(line, dict(zip(header, values))) for line, values in lines]
