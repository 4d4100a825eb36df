"""Your own clips: a folder of media files and a labels.csv, or folders named by class."""

from __future__ import annotations

import math
import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from keras_lmf.data import splits
from keras_lmf.data.corpora.files import LABELS, find_clips, is_clips
from keras_lmf.data.corpora.labels_table import LABEL, Row, place, read_rows, with_speakers
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.extraction import dataset
from keras_lmf.data.extraction.assembly import require_few
from keras_lmf.data.recordings import Recording, Recordings, Refused
from keras_lmf.data.validation import check_groups, check_splits, whole_number
from keras_lmf.errors import LMFError, invalid
from keras_lmf.media.sound import SAMPLE_RATE, number_of_samples, require_decoder
from keras_lmf.sources import RecordedInput, Sound, resolved
from keras_lmf.target import Target

SECONDS = 3.0  # of sound, where nobody says what is asked for
_SHOWN = 10


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
    rows = with_speakers(table, read_rows(folder, names, range))
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
        stretches[posixpath.normpath(row.file)].append((row.start or 0.0, end, row))
    for each in stretches.values():
        each.sort(key=lambda stretch: stretch[:2])
        for number, (_, end, row) in enumerate(each):
            for start, _, other in each[number + 1 :]:
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
