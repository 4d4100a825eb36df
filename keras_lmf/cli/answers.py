"""What predict says of each clip once it is judged: rows of the CSV, and then a copy on standard output."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from keras_lmf.cli import tables
from keras_lmf.cli.tables import Column
from keras_lmf.errors import LMFError
from keras_lmf.files import unwritable

if TYPE_CHECKING:
    from keras_lmf.recognition import Prediction, Recognizer


class Table:
    """The CSV `path`: `file`, `emotion`, columns per label and per modality, shares, `error`; empty where unknown.

    With `faces` a row for each face, its number in the column `face`. A clip's rows are in the file, whole, before the
    next one is judged, so an end at any time costs no clip that was judged.

    Attributes:
        known: with `resume`, file → whether it was judged, of the rows that are there, which stay.
    """

    def __init__(self, path: Path, recognizer: Recognizer, *, faces: bool, resume: bool) -> None:
        from keras_lmf.evaluation.terms import every_subset, title

        names = recognizer.modalities
        several = names if recognizer.presence == "derived" and len(names) > 1 else ()
        self._path = path
        self._columns = ["file", *(["face"] if faces else []), "emotion"]
        self._columns += [f"probability_{label}" for label in recognizer.labels]
        self._columns += [f"presence_{name}" for name in names] + [f"alone_{name}" for name in several]
        self._columns += [*(f"share_{title(part)}" for part in every_subset(several) if part), "error"]
        there = resume and path.is_file() and path.stat().st_size > 0
        self.known = self._rows_there() if there else {}
        # What is no UTF-8 in a file's name is "?".
        try:
            self._stream = path.open("a" if there else "w", encoding="utf-8", errors="replace", newline="")
        except OSError as error:
            raise unwritable(path, error) from error
        if not there:
            self._write([dict(zip(self._columns, self._columns))])

    def add(self, path: Path, answers: Sequence[Prediction] | str) -> None:
        """The next clip's rows."""
        file = {"file": str(path)}
        if isinstance(answers, str):
            self._write([file | {"error": answers}])
        else:
            self._write([file | _row(answer) for answer in answers])

    def close(self) -> None:
        """No more rows."""
        with contextlib.suppress(OSError):  # of a row that could not be written, which was told
            self._stream.close()

    def _write(self, rows: list[dict[str, Any]]) -> None:
        text = io.StringIO()
        csv.DictWriter(text, self._columns, restval="", lineterminator="\n").writerows(rows)
        try:
            # At once, so that a clip has all of its rows in the file or none.
            self._stream.write(text.getvalue())
            self._stream.flush()
        except OSError as error:
            raise unwritable(self._path, error) from error

    def _rows_there(self) -> dict[str, bool]:
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]  # an end of the process may have cut off the last row
        try:
            header, *rows = csv.reader(io.StringIO(whole.decode(), newline=""), strict=True)
        except (ValueError, csv.Error):
            header, rows = [], []
        if header != self._columns or any(len(row) != len(header) for row in rows):
            raise LMFError(
                f"{self._path} is no table of this model's answers. Name another file, or leave --resume."
            )
        os.truncate(self._path, len(whole))
        return {row[0]: not row[-1] for row in rows}


class Layout(NamedTuple):
    """What people read of answers: columns, and an answer's rows, without the file's name, which comes first."""

    columns: Sequence[Column]
    rows: Callable[[Prediction], list[list[str]]]

    @classmethod
    def empty(cls) -> Layout:
        """Of no answer."""
        return cls([], lambda answer: [])


def of_clips(recognizer: Recognizer, files: Sequence[Path], *, explain: bool, faces: bool) -> Layout:
    """A row for each answer, in columns as wide as their cells can become.

    Args:
        recognizer: whose answers these are.
        files: all that will come.
        explain: with what contributes to the answer.
        faces: with the number of the face.
    """
    from keras_lmf.evaluation.terms import every_subset, title

    names, label = recognizer.modalities, max(recognizer.labels, key=len)
    parts = [title(part) for part in every_subset(names) if part]
    several = recognizer.presence == "derived" and len(names) > 1
    alone, shares, contributions = (
        len(", ".join(cells))
        for cells in (
            [f"{name}: {label} 0.00" for name in names],
            [f"{part} 100%" for part in parts],
            [f"{part} +00.00" for part in ("constant", *parts)],
        )
    )
    columns = [
        *_who(files, faces),
        Column("emotion", len(label)),
        Column("probability", right=True),
        Column("presence", len(", ".join(names)), wraps=True),
        Column("seconds", right=True),
        *([Column("each alone", alone, spare=True), Column("shares", shares, spare=True)] if several else []),
        *([Column("contributions to the answer", contributions, wraps=True)] if explain else []),
    ]

    def row(answer: Prediction) -> list[str]:
        from keras_lmf.recognition.prediction import best

        alone = answer.by_modality if len(answer.by_modality) > 1 else {}
        spare = [
            ", ".join(f"{name}: {best(shares)}" for name, shares in alone.items()),
            ", ".join(f"{name} {share:.0%}" for name, share in answer.shares.items() if alone),
        ]
        of_answer = [f"{name} {each[answer.emotion]:+.2f}" for name, each in answer.contributions.items()]
        return [
            *_face(answer),
            answer.emotion,
            f"{answer.probabilities[answer.emotion]:.2f}",
            ", ".join(name for name, present in answer.presence.items() if present),
            "" if answer.seconds is None else f"{answer.seconds:.1f}",
            *(spare if several else []),
            *([", ".join(of_answer)] if explain else []),
        ]

    return Layout(columns, lambda answer: [row(answer)])


def of_windows(recognizer: Recognizer, files: Sequence[Path], *, faces: bool) -> Layout:
    """A row for each window, its seconds first; "–" where it holds nothing to judge by. Of a photo one, without them.

    Args:
        recognizer: whose answers these are.
        files: all that will come.
        faces: with the number of the face.
    """
    columns = [
        *_who(files, faces),
        Column("from", len("00000.00"), right=True),
        Column("to", len("00000.00"), right=True),
        Column("emotion", len(max(recognizer.labels, key=len))),
        Column("probability", right=True),
    ]

    def rows(answer: Prediction) -> list[list[str]]:
        if answer.timeline.empty:
            return [[*_face(answer), "", "", *_strongest(answer.probabilities)]]
        windows = answer.to_dict()["timeline"]
        return [
            [
                *_face(answer),
                f"{window['start']:.2f}",
                f"{window['end']:.2f}",
                *_strongest(window["probabilities"]),
            ]
            for window in windows
        ]

    return Layout(columns, rows)


def _who(files: Sequence[Path], faces: bool) -> list[Column]:
    name = Column("file", max(map(len, short_names(files))), wraps=True)
    return [name, Column("face", right=True)] if faces else [name]


def _face(answer: Prediction) -> list[str]:
    return [] if answer.face is None else [str(answer.face)]


def _strongest(probabilities: Mapping[str, float] | None) -> list[str]:
    if probabilities is None:
        return ["–", ""]
    label = max(probabilities, key=probabilities.__getitem__)
    return [label, f"{probabilities[label]:.2f}"]


def short_names(files: Sequence[Path]) -> list[str]:
    """Each file's name without its folders, where no other file has it."""
    counts = Counter(path.name for path in files)
    return [path.name if counts[path.name] == 1 else str(path) for path in files]


class Screen:
    """Standard output: a table whose columns are as wide as they can become, and below it the errors; or a JSON list.

    Args:
        layout: of the table.
        files: all that will come.
        as_json: a list of `Prediction.to_dict`.
        needed: whether there is nothing to do once nobody listens (`| head`).
    """

    def __init__(self, layout: Layout, files: Sequence[Path], *, as_json: bool, needed: bool) -> None:
        self._table, self._rows = tables.Table(layout.columns), layout.rows
        self._names = dict(zip(files, short_names(files)))
        self._as_json, self._needed = as_json, needed
        self._begun = self._deaf = False
        self._errors: list[str] = []

    def add(self, path: Path, answers: Sequence[Prediction] | str) -> None:
        """The next clip's answer, or those of its faces."""
        if self._as_json:
            for answer in [answers] if isinstance(answers, str) else answers:
                told = {"file": str(path), "error": answer} if isinstance(answer, str) else answer.to_dict()
                text = json.dumps(told, ensure_ascii=False, allow_nan=False)
                self._echo(f"{',' if self._begun else '['}\n{text}", "")
                self._begun = True
        elif isinstance(answers, str):
            self._errors.append(f"{self._names[path]}: {answers}")
        else:
            for row in (row for answer in answers for row in self._rows(answer)):
                if not self._begun:
                    self._echo(self._table.header())
                self._echo(self._table.row([self._names[path], *row]))
                self._begun = True

    def close(self) -> None:
        """No more answers."""
        if self._as_json:
            self._echo("\n]" if self._begun else "[]")
        elif self._errors:
            blank = "\n" if self._begun else ""
            self._echo(blank + "\n".join(tables.paragraph(error, indent=4) for error in self._errors))

    def _echo(self, text: str, end: str = "\n") -> None:
        if self._deaf:
            return
        try:
            click.echo(utf8(text + end), nl=False)
        except OSError as error:
            if self._needed:
                raise
            if not isinstance(error, BrokenPipeError):
                click.echo(f"Warning: standard output can't be written: {error.strerror}.", err=True)
            self._deaf = True
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
            )  # at exit Python writes what is left


def utf8(text: str) -> str:
    """With "?" for what can't be written: bytes of a file's name that are no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _row(answer: Prediction) -> dict[str, Any]:
    """Of the CSV, after the file."""
    return {
        **({} if answer.face is None else {"face": answer.face}),
        "emotion": answer.emotion,
        **{f"probability_{label}": share for label, share in answer.probabilities.items()},
        **{f"presence_{name}": there for name, there in answer.presence.items()},
        **{f"alone_{name}": max(each, key=each.get) for name, each in answer.by_modality.items()},
        **{f"share_{name}": share for name, share in answer.shares.items()},
    }
