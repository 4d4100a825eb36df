"""What predict says of each clip once it is judged: a row of the CSV, and after it a copy on standard output."""

from __future__ import annotations

import csv
import errno
import io
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from keras_lmf.errors import LMFError
from keras_lmf.files import unwritable

if TYPE_CHECKING:
    from keras_lmf.recognition import Prediction, Recognizer


class Table:
    """The CSV: `file`, `emotion`, columns per label and per modality, shares, `error`; empty where unknown.

    A row is in the file, whole, before the next clip is judged, so an end at any time costs no clip that was judged.

    Args:
        path: of the file, which is begun anew, or gone on with.
        recognizer: whose answers these are.
        resume: whether rows that are there stay.

    Attributes:
        known: file → why it could not be judged, "" where it was, of the rows that were there.
    """

    def __init__(self, path: Path, recognizer: Recognizer, *, resume: bool) -> None:
        from keras_lmf.recognition.summary import TOGETHER

        names = recognizer.modalities
        several = names if recognizer.presence == "derived" and len(names) > 1 else ()
        subsets = (itertools.combinations(several, size + 1) for size in range(len(several)))
        self.path = path
        self._columns = [
            *("file", "emotion"),
            *(f"probability_{label}" for label in recognizer.labels),
            *(f"presence_{name}" for name in names),
            *(f"alone_{name}" for name in several),
            *(f"share_{TOGETHER.join(subset)}" for subset in itertools.chain.from_iterable(subsets)),
            "error",
        ]
        there = resume and path.is_file() and path.stat().st_size > 0
        self.known = self._rows_there() if there else {}
        try:
            self._stream: BinaryIO = path.open("ab" if there else "wb", buffering=0)
        except OSError as error:
            raise unwritable(path, error) from error
        if not there:
            self._write(dict(zip(self._columns, self._columns)))

    def add(self, path: Path, answer: Prediction | str) -> None:
        """The next row."""
        row: dict[str, Any] = {"file": utf8(str(path))}
        if isinstance(answer, str):
            self._write(row | {"error": utf8(answer)})
            return
        row |= {"emotion": answer.emotion}
        row |= {f"probability_{label}": share for label, share in answer.probabilities.items()}
        row |= {f"presence_{name}": there for name, there in answer.presence.items()}
        row |= {f"alone_{name}": max(shares, key=shares.get) for name, shares in answer.by_modality.items()}
        self._write(row | {f"share_{name}": share for name, share in answer.shares.items()})

    def close(self) -> None:
        """No more rows."""
        self._stream.close()

    def _write(self, row: dict[str, Any]) -> None:
        text = io.StringIO()
        csv.DictWriter(text, self._columns, restval="", lineterminator="\n").writerow(row)
        line = text.getvalue().encode()
        try:
            if self._stream.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise unwritable(self.path, error) from error

    def _rows_there(self) -> dict[str, str]:
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        try:
            header, *rows = csv.reader(io.StringIO(whole.decode(), newline=""), strict=True)
            known = {row[0]: row[-1] for row in rows if len(row) == len(header)}
        except (ValueError, csv.Error) as error:
            raise LMFError(f"{self.path} is no table to go on with ({error}). Name another file.") from None
        if header != self._columns or len(known) != len(rows):
            raise LMFError(
                f"{self.path} is no table of this model's answers. Name another file, or leave --resume."
            )
        os.truncate(self.path, len(whole))  # a row that an end of the process cut off
        return known


class Screen:
    """Standard output: a table with columns of a width that is known before, or a JSON list.

    Args:
        recognizer: whose answers these are.
        files: all that will come.
        as_json: a list of `Prediction.to_dict`.
        needed: whether there is nothing to do once nobody listens (`| head`).
    """

    def __init__(self, recognizer: Recognizer, files: Sequence[Path], *, as_json: bool, needed: bool) -> None:
        names = recognizer.modalities
        several = recognizer.presence == "derived" and len(names) > 1
        longest = max(recognizer.labels, key=len)
        self._widths = {
            "file": max(len(str(path)) for path in files),
            "emotion": len(longest),
            "probability": 0,
            "presence": len(", ".join(names)),
            **(
                {"each alone": len(", ".join(f"{name}: {longest} 0.00" for name in names)), "shares": 0}
                if several
                else {}
            ),
        }
        self._as_json, self._needed = as_json, needed
        self._begun = self._deaf = False

    def add(self, path: Path, answer: Prediction | str) -> None:
        """The next answer."""
        if self._as_json:
            told = {"file": str(path), "error": answer} if isinstance(answer, str) else answer.to_dict()
            self._echo(
                f"{',' if self._begun else '['}\n{json.dumps(told, ensure_ascii=False, allow_nan=False)}",
                False,
            )
        else:
            if not self._begun:
                self._echo(self._line(self._widths))
            cells = [f"error: {answer}"] if isinstance(answer, str) else _cells(answer)
            self._echo(self._line([str(path), *cells]))
        self._begun = True

    def close(self) -> None:
        """No more answers."""
        if self._as_json:
            self._echo("\n]" if self._begun else "[]")

    def _line(self, cells: Sequence[str]) -> str:
        columns = self._widths.items()
        return "  ".join(
            cell.ljust(max(width, len(name))) for cell, (name, width) in zip(cells, columns)
        ).rstrip()

    def _echo(self, text: str, end: bool = True) -> None:
        if self._deaf:
            return
        try:
            click.echo(utf8(text), nl=end)
        except OSError as error:
            if self._needed:
                raise
            if not isinstance(error, BrokenPipeError):
                click.echo(f"Warning: standard output can't be written: {error.strerror}.", err=True)
            self._deaf = True
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
            )  # what is in its buffer fails at exit, too


def utf8(text: str) -> str:
    """With "?" for what can't be written: bytes of a file's name that are no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _cells(answer: Prediction) -> Iterator[str]:
    """Of the table that people read, after the file."""
    from keras_lmf.recognition.prediction import best

    several = answer.by_modality if len(answer.by_modality) > 1 else {}
    yield answer.emotion
    yield f"{answer.probabilities[answer.emotion]:.2f}"
    yield ", ".join(name for name, present in answer.presence.items() if present)
    yield ", ".join(f"{name}: {best(shares)}" for name, shares in several.items())
    yield ", ".join(f"{name} {share:.0%}" for name, share in answer.shares.items() if several)
