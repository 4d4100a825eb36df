"""Tables on standard output: as wide as a terminal, with rich; in a pipe plain lines, of any width."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

GAP = 2  # spaces between columns
NARROWEST = 8


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        width: of its widest cell.
        right: for numbers: aligned at their ends.
        spare: left out where a terminal is too narrow for it.
        wraps: made narrower where there is no other way; its cells then take several lines.
        narrowest: then it keeps so many letters a line.
    """

    title: str
    width: int = 0
    right: bool = False
    spare: bool = False
    wraps: bool = False
    narrowest: int = NARROWEST

    @property
    def whole(self) -> int:
        """Its width, heading among it."""
        return max(self.width, len(self.title))


def fitted(columns: Sequence[Column], room: int | None) -> dict[int, int]:
    """Place → width of the columns that are shown in `room` letters; None: as much as they take.

    The last spare column goes first; then the widest that wraps is made narrower.
    """
    widths = {place: column.whole for place, column in enumerate(columns)}
    over = 0 if room is None else _whole(widths) - room
    for place in reversed(range(len(columns))):
        if over > 0 and columns[place].spare:
            over -= widths.pop(place) + GAP
    wrapping = [place for place in widths if columns[place].wraps]
    while over > 0 and (wide := [place for place in wrapping if widths[place] > columns[place].narrowest]):
        widths[max(wide, key=widths.get)] -= 1
        over -= 1
    return widths


def _whole(widths: dict[int, int]) -> int:
    """The width of a line with these columns."""
    return sum(widths.values()) + GAP * (len(widths) - 1)


class Table:
    """A table that is told row by row.

    Args:
        columns: with the widths that their cells will have.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._widths = fitted(columns, room())

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console

        return Console(width=room(), highlight=False, soft_wrap=False)

    def header(self) -> str:
        """The headings."""
        return self._line([column.title for column in self._columns], style="bold")

    def row(self, cells: Sequence[str]) -> str:
        """A row, of a cell for every column."""
        return self._line(cells)

    def _line(self, cells: Sequence[str], style: str = "") -> str:
        if room() is not None:
            return self._styled(cells, style)
        parts = [
            cells[place].rjust(width) if self._columns[place].right else cells[place].ljust(width)
            for place, width in self._widths.items()
        ]
        return (" " * GAP).join(parts).rstrip()

    def _styled(self, cells: Sequence[str], style: str) -> str:
        from rich.table import Table as Grid
        from rich.text import Text

        grid = Grid.grid(padding=(0, GAP, 0, 0), pad_edge=False)
        for place, width in self._widths.items():
            column = self._columns[place]
            grid.add_column(width=width, justify="right" if column.right else "left", overflow="fold")
        grid.add_row(*(Text(cells[place], style) for place in self._widths))
        with self._console.capture() as written:
            self._console.print(grid)
        return "\n".join(line.rstrip() for line in written.get().splitlines())


def table(rows: Iterable[Sequence[str]], columns: Sequence[Column]) -> str:
    """All rows at once; widths are those of the cells. A column without a word is left out."""
    rows = [list(row) for row in rows]
    kept = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    told = Table([replace(columns[place], width=max(len(row[place]) for row in rows)) for place in kept])
    return "\n".join([told.header(), *(told.row([row[place] for place in kept]) for row in rows)])


def frame(cells: pd.DataFrame, form: str) -> str:
    """A table of pandas without its index, its decimal numbers written by `form`, nothing for NaN."""
    rows = [
        [form.format(value) if isinstance(value, float) else str(value) for value in row]
        for row in cells.astype(object).where(cells.notna(), "").itertuples(index=False)
    ]
    right = [kind.kind in "if" for kind in cells.dtypes]
    return _between_words(list(map(str, cells)), right, rows)


def report(text: str) -> str:
    """A report in Markdown: in a terminal its tables and paragraphs are as wide as that; in a pipe as it is."""
    text = text.rstrip()
    if room() is None:
        return text
    return "\n\n".join(_block(block.splitlines()) for block in text.split("\n\n"))


def _block(lines: Sequence[str]) -> str:
    if not all(line.startswith("|") for line in lines):
        return "\n".join(map(paragraph, lines))
    titles, rule, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    if any(len(row) != len(titles) for row in rows):  # a class with a | in its name
        return "\n".join(lines)
    return _between_words(titles, [mark.endswith(":") for mark in rule], rows)


def _between_words(titles: Sequence[str], right: Sequence[bool], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns are made narrower between words alone; where that isn't enough, the rows one by one."""
    from rich.cells import cell_len  # letters of some scripts take two places

    narrowest = [
        max(cell_len(word) for cell in (title, *cells) for word in (cell.split() or [""]))
        for title, *cells in zip(titles, *rows)
    ]
    columns = [
        Column(title, max(map(cell_len, cells), default=0), numbers, wraps=True, narrowest=letters)
        for title, numbers, letters, *cells in zip(titles, right, narrowest, *rows)
    ]
    if (width := room()) is None or _whole(fitted(columns, width)) <= width:
        return table(rows, columns)
    indent = max(map(len, titles)) + GAP
    return "\n\n".join(
        "\n".join(
            paragraph(title.ljust(indent) + cell, indent) for title, cell in zip(titles, row, strict=True)
        )
        for row in rows
    )


def room() -> int | None:
    """Letters in a line of the terminal; None where standard output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def paragraph(text: str, indent: int = 0) -> str:
    """A line of text, in a terminal in lines of its width; all but the first begin after `indent` spaces."""
    if (width := room()) is None:
        return text
    return textwrap.fill(
        text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
