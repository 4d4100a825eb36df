"""Your own clips: a folder of media files and a labels.csv, or folders named by class."""

from __future__ import annotations

import math
import os
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from keras_lmf.data import splits
from keras_lmf.data.corpora.files import LABELS, class_files, find_clips, is_clips
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.extraction import dataset
from keras_lmf.data.extraction.assembly import require_few
from keras_lmf.data.recordings import Recording, Recordings, Refused
from keras_lmf.data.tables import read_csv
from keras_lmf.data.validation import check_groups, check_splits, whole_number
from keras_lmf.errors import LMFError, invalid
from keras_lmf.media.sound import SAMPLE_RATE, number_of_samples, require_decoder
from keras_lmf.sources import RecordedInput, Sound, resolved
from keras_lmf.target import Target

SECONDS = 3.0  # of sound, where nobody says what is asked for
LABEL = "label"
KNOWN = ("speaker", "split", "start", "end")
_HINT = (
    "The first line names the columns, with commas (or semicolons, or tabs) between them; a value that holds one "
    'stands in "double quotes".'
)
SLIP = 0.88  # likeness from which a column's name is taken for a slip of another
_SHOWN = 10


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


def load(
    root: str | Path | None = None,
    inputs: Mapping[str, RecordedInput] | None = None,
    *,
    seconds: float | None = None,
    seed: int = 0,
    target: str = "emotion",
    labels: str | Sequence[str] = LABEL,
    range: Sequence[float] | None = None,
) -> Dataset:
    """The clips in `root` with what the inputs ask for; without `inputs`, their sound.

    The table is that of `recordings`, whose further options these are. What is extracted is kept in the user's cache
    (`KERAS_LMF_HOME`); nothing is written into `root`.

    A line that can't be used (an empty value; a file that is missing, damaged or of more than 60 s; one that has
    nothing of what is asked for) is left out, and a warning names it. More than a tenth of such lines are an error.

    Modalities:
        those of `inputs`; else voice: (samples,), the sound in [-1, 1], 16 kHz mono; zeros after the end. The extra
        `media` reads it.

    Args:
        root: the folder; None takes KERAS_LMF_DATA.
        inputs: what the recipe's inputs take (`Recipe.recorded`); None or none of them: the sound.
        seconds: without `inputs`, the length to which a clip is cut or zero-padded at the end: up to 60, None is 3.
        seed, target, labels, range: as of `recordings`.

    Raises:
        LMFError: as of `recordings`; more than a tenth of lines that can't be used, or PyAV isn't installed.
    """
    if not inputs:
        samples = number_of_samples(SECONDS if seconds is None else seconds, "Corpus 'clips': seconds")
        inputs = {"voice": RecordedInput(shape=(samples,), rate=SAMPLE_RATE, media="waveform")}
    inputs = resolved(inputs, {"voice": Sound()})
    if seconds is not None:
        _check_seconds(seconds, inputs)
    require_decoder()
    # The table before anything is decoded, which may take minutes.
    found = recordings(root, seed=seed, target=target, labels=labels, range=range)
    return dataset(found, inputs)


def recordings(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    target: str = "emotion",
    labels: str | Sequence[str] = LABEL,
    range: Sequence[float] | None = None,
) -> Recordings:
    """The clips in `root`, as its labels.csv describes them:

        file,label,speaker,start,end
        anna/first.mp4,happy,anna,,
        film.mkv,sad,bert,61.5,64

    Paths are relative to `root`; backslashes, semicolons and tabs will do. Files are of up to 60 s, in any container
    that FFmpeg reads; `start` and `end` (seconds) choose a stretch of one that may be longer. The classes are the
    labels in alphabetical order: the recipe's `target.classes`. With a `range`, labels are numbers.

    Groups are the speakers. About 60 % of them are train, 20 % valid, 20 % test, at least one each, drawn by
    `seed` and their names alone: files that come or go move nobody. A column `split` (train, valid, test), filled in
    every line, decides instead. Without a column `speaker` each file is a group, which a warning says. Any other
    column is kept.

    Without labels.csv, folders named by class hold the clips: happy/first.mp4; or folders of splits hold these:
    train/happy/first.mp4.

    Args:
        root: the folder; None takes KERAS_LMF_DATA.
        seed: ≥ 0; another seed draws other speakers for valid and test.
        target: what the labels are, the name of the model's output.
        labels: the column of the label, or the columns of several numbers: ["arousal", "valence"].
        range: of numbers, the smallest and the largest: [-1, 1]; None: labels are classes.

    Raises:
        LMFError: no folder, labels.csv or folders of classes, a wrong table (the line is named), fewer than three
            speakers without a `split`, a speaker or a moment of a file in two splits, fewer than two labels, a label
            that no training clip has, more than a tenth of lines that can't be used, or an option out of its range.
    """
    whole_number("Corpus 'clips': seed", seed, 0)
    folder = find_clips(root)
    names = (labels,) if isinstance(labels, str) else tuple(labels)
    table = folder / LABELS if is_clips(folder) else folder
    rows = _with_speakers(table, read_rows(folder, names, range))
    good, bad = [row for row in rows if not row.why], [row for row in rows if row.why]
    refused = tuple(Refused(row.where, row.file, row.why) for row in bad)
    require_few(str(table), refused, len(rows))
    meant = _target(table, target, names, range, good)
    split_of = _splits(table, good, seed)
    for one, other in overlapping(good):
        if split_of[one.speaker] != split_of[other.speaker]:
            raise LMFError(
                f"{table}, lines {one.line} and {other.line}: the stretches {one.id} and {other.id} overlap, and one "
                f"is {split_of[one.speaker]}, the other {split_of[other.speaker]}. Put both into one split, or "
                "cut them apart."
            )
    if meant.classes:
        _check_training(table, meant.classes, good, split_of)
    return Recordings(
        folder.resolve().name or "clips",
        meant,
        tuple(
            Recording(
                id=row.id,
                path=place(folder, row.file),
                label=row.label,
                group=row.speaker,
                split=split_of[row.speaker],
                start=row.start,
                end=row.end,
                columns=row.columns,
                where=row.where,
            )
            for row in good
        ),
        refused,
    )


def _check_seconds(seconds: float, inputs: Mapping[str, RecordedInput]) -> None:
    """A recipe may say twice how long its sound is; then it must say the same."""
    for name, given in inputs.items():
        if isinstance(given.source, Sound):
            rate = given.rate or SAMPLE_RATE
            if number_of_samples(seconds, "Corpus 'clips': seconds") * rate != given.shape[0] * SAMPLE_RATE:
                raise LMFError(
                    f"Corpus 'clips': seconds={seconds:g}, but the input {name!r} takes {given.shape[0] / rate:g} s. "
                    "Leave seconds away."
                )


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


def _with_speakers(table: Path, rows: list[Row]) -> list[Row]:
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
        earlier = first.setdefault((str(PurePosixPath(row.file)), row.start, row.end), line)
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
    for place in (PurePosixPath(row.file), PureWindowsPath(row.file)):
        if place.anchor or ".." in place.parts:
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


def _target(
    table: Path, name: str, labels: tuple[str, ...], range: Sequence[float] | None, rows: Iterable[Row]
) -> Target:
    """Classes in alphabetical order, a number, or several with their columns' names."""
    fields: dict[str, object] = {"name": name}
    if range is not None:
        fields["range"] = tuple(range)
        if len(labels) > 1:
            fields["dimensions"] = labels
    elif len(labels) > 1:
        raise LMFError(
            f"Corpus 'clips': labels {', '.join(labels)} are numbers: give their range, as [-1, 1]."
        )
    else:
        classes = sorted({row.label for row in rows})
        if len(classes) < 2:
            told = f"every label is {classes[0]!r}" if classes else "no line can be used"
            raise LMFError(f"{table}: {told}. A model needs two or more to tell apart.")
        fields["classes"] = tuple(classes)
    try:
        return Target.model_validate(fields)
    except ValidationError as error:
        raise invalid(error, Target, "Corpus 'clips'") from None


def _splits(table: Path, rows: Sequence[Row], seed: int) -> dict[str, str]:
    """Speaker → split: the table's, or drawn."""
    speakers = sorted({row.speaker for row in rows})
    if rows and rows[0].split is not None:
        for row in rows:
            if not row.split:
                raise LMFError(
                    f"{table}, line {row.line}: the split is empty. Fill it in all lines, or in none."
                )
        names = np.array([f"line {row.line}, {row.file}" for row in rows])
        try:
            named = check_splits(np.array([row.split for row in rows]), names)
            check_groups(np.array([row.speaker for row in rows]), named, names)
        except LMFError as error:
            raise LMFError(f"{table}: {error}") from None
        return {row.speaker: row.split for row in rows}
    if len(speakers) < 3:
        raise LMFError(
            f"{table}: {len(speakers)} speaker{'s' * (len(speakers) > 1)} ({', '.join(speakers)}). Training, "
            "validation and test need different speakers, so three at least. With two, a column 'split' of "
            "'train' and 'test' does without validation."
        )
    return splits.drawn(speakers, seed)


def overlapping(rows: Iterable[Row]) -> Iterator[tuple[Row, Row]]:
    """Rows of one file whose stretches overlap, in pairs."""
    stretches: dict[str, list[tuple[float, float, Row]]] = defaultdict(list)
    for row in rows:
        end = math.inf if row.end is None else row.end
        stretches[str(PurePosixPath(row.file))].append((row.start or 0.0, end, row))
    for each in stretches.values():
        each.sort(key=lambda stretch: stretch[:2])
        for place, (_, end, row) in enumerate(each):
            for start, _, other in each[place + 1 :]:
                if start >= end:
                    break
                yield row, other


def _check_training(
    table: Path, classes: Sequence[str], rows: Sequence[Row], split_of: Mapping[str, str]
) -> None:
    trained = {row.label for row in rows if split_of[row.speaker] == "train"}
    for name in classes:
        if name not in trained:
            speakers = sorted(
                {f"{row.speaker} ({split_of[row.speaker]})" for row in rows if row.label == name}
            )
            raise LMFError(
                f"{table}: no training clip has the label {name!r}. Speakers who have it: "
                f"{', '.join(speakers[:_SHOWN]) or 'none whose files can be read'}. Try another seed, give a column "
                "'split', or add clips."
            )
