"""A folder of one's own clips, looked through before anything is trained: what it holds, and what is odd in it."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from keras_lmf.data.corpora.clips import overlapping, recordings
from keras_lmf.data.corpora.files import LABELS, find_clips, is_clips
from keras_lmf.data.corpora.labels_table import LABEL, Row, place, read_rows
from keras_lmf.data.tables import read_csv
from keras_lmf.errors import LMFError, invalid
from keras_lmf.files import sha256
from keras_lmf.media.faces import open_detector
from keras_lmf.media.probe import Probe, probe, shows_face
from keras_lmf.spec import DEFAULT_DETECTOR, Spec
from keras_lmf.target import Text

WIDTH = 80
_SHOWN = 10
_MANY = 30  # different labels or rates that are no longer listed


@dataclass(frozen=True)
class ClipsReport:
    """What a folder of clips holds.

    Attributes:
        folder: it.
        rows: lines of its table.
        files: different files.
        classes, speakers, splits: how many rows each has; empty where the table has no such column.
        seconds: least, median and most seconds of a file.
        sample_rates, frame_rates: how many files have each, as text ("16000 Hz").
        no_sound, no_picture, no_face: files without.
        unreadable: file → why.
        duplicates: files of the same content.
        odd: where → what is wrong with a row.
        split_speakers: speaker → the splits, more than one, that have rows of that speaker.
        overlaps: pairs of stretches of one file that overlap, of two speakers or in two splits.
        refused: why a training refuses the table; None: it doesn't.
    """

    folder: str
    rows: int
    files: int
    classes: dict[str, int]
    speakers: dict[str, int]
    splits: dict[str, int]
    seconds: tuple[float, float, float]
    sample_rates: dict[str, int]
    frame_rates: dict[str, int]
    no_sound: list[str]
    no_picture: list[str]
    no_face: list[str]
    unreadable: dict[str, str]
    duplicates: list[list[str]]
    odd: dict[str, str]
    split_speakers: dict[str, list[str]]
    overlaps: list[list[str]]
    refused: str | None

    @property
    def problems(self) -> list[str]:
        """What is to be mended, a line each."""
        found = [f"{where}: {why}" for where, why in self.odd.items()]
        found += [f"{file}: {why}" for file, why in self.unreadable.items()]
        found += [f"the same content: {', '.join(files)}" for files in self.duplicates]
        found += [
            f"the speaker {name!r} is in several splits: {', '.join(splits)}"
            for name, splits in self.split_speakers.items()
        ]
        found += [f"the stretches overlap: {' and '.join(pair)}" for pair in self.overlaps]
        return [*found, *filter(None, [self.refused])]

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self) | {"problems": self.problems}

    def __str__(self) -> str:
        least, middle, most = self.seconds
        lines = [
            f"{self.folder}: {self.rows} rows, {self.files} files",
            *_counted("class", self.classes),
            *_counted("speaker", self.speakers),
            *_counted("split", self.splits),
            f"seconds: {least:.1f} to {most:.1f}, median {middle:.1f}",
            *_counted("sound", self.sample_rates),
            *_counted("pictures", self.frame_rates),
            *_named("no sound", self.no_sound),
            *_named("no picture", self.no_picture),
            *_named("no face found", self.no_face),
        ]
        problems = self.problems
        lines.append(f"problems: {len(problems)}" if problems else "no problems")
        lines += [f"  {problem}" for problem in problems[:_SHOWN]]
        lines += [f"  and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        return "\n".join(
            part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent="    ")
        )


class _Options(Spec):
    """Those of `corpora.clips.recordings`."""

    seed: int = Field(0, ge=0)
    target: Text = "emotion"
    labels: Text | tuple[Text, ...] = LABEL
    range: tuple[float, float] | None = None


def check_clips(folder: str | Path, **options: Any) -> ClipsReport:
    """Look through the clips in `folder`, as `corpora.clips.recordings` reads them; for a face in five frames each.

    What a training would refuse is among the problems.

    Args:
        folder: of the clips.
        options: `seed`, `target`, `labels` and `range`, as of `corpora.clips.recordings`.

    Raises:
        LMFError: no labels.csv and no folders named by class, a table that can't be read (it names the line), or PyAV
            or OpenCV isn't installed.
    """
    try:
        chosen = _Options.model_validate(options)
    except ValidationError as error:
        raise invalid(error, _Options, "Options of clips") from None
    folder = find_clips(folder)
    labels = (chosen.labels,) if isinstance(chosen.labels, str) else chosen.labels
    if is_clips(folder):
        header, _ = read_csv(folder / LABELS, ("file",), "")
        labels = labels if labels != (LABEL,) or LABEL in header else ()
    rows = read_rows(folder, labels, chosen.range if labels else None)
    refused = None
    try:
        recordings(folder, **chosen.model_dump())
    except LMFError as error:
        refused = str(error)
    files = list(dict.fromkeys(row.file for row in rows if row.file))
    found, unreadable, faceless, duplicates = _looked_through(folder, files)
    told = found.values()
    lengths = [one.seconds for one in told] or [0.0]
    return ClipsReport(
        folder=str(folder),
        rows=len(rows),
        files=len(files),
        classes={} if chosen.range else _sorted(row.label for row in rows if row.label),
        speakers=_sorted(row.speaker for row in rows if row.speaker),
        splits=_sorted(row.split for row in rows if row.split),
        seconds=(min(lengths), float(np.median(lengths)), max(lengths)),
        sample_rates=_sorted(f"{one.sample_rate} Hz" for one in told if one.sample_rate),
        frame_rates=_sorted(f"{one.frame_rate:.4g} a second" for one in told if one.frame_rate),
        no_sound=[file for file, one in found.items() if one.sample_rate is None],
        no_picture=[file for file, one in found.items() if one.size is None],
        no_face=faceless,
        unreadable=unreadable,
        duplicates=duplicates,
        odd=_odd(rows, found),
        split_speakers=_split_speakers(rows),
        overlaps=[
            [f"{row.id} ({row.where})" for row in pair]
            for pair in overlapping(row for row in rows if row.file and not row.why)
            if len({row.speaker for row in pair}) > 1 or len({row.split for row in pair}) > 1
        ],
        refused=refused,
    )


def _looked_through(
    folder: Path, files: Iterable[str]
) -> tuple[dict[str, Probe], dict[str, str], list[str], list[list[str]]]:
    """What is in each file, why one can't be read, those without a face, and groups of equal ones."""
    from tqdm import tqdm

    detector = open_detector(DEFAULT_DETECTOR)
    found: dict[str, Probe] = {}
    unreadable: dict[str, str] = {}
    faceless, same = [], defaultdict(list)
    for file in tqdm(files, desc="check", unit="clip", leave=False, delay=2, disable=None):
        path = place(folder, file)
        try:
            found[file] = probe(path)
            same[sha256(path)].append(file)
            if found[file].size and not shows_face(path, found[file], detector):
                faceless.append(file)
        except (LMFError, OSError) as error:
            unreadable[file] = " ".join(str(error).removeprefix(f"{path}: ").split())
    return found, unreadable, faceless, [equal for equal in same.values() if len(equal) > 1]


def _odd(rows: Iterable[Row], found: Mapping[str, Probe]) -> dict[str, str]:
    odd = {}
    for row in rows:
        why, length = row.why, found[row.file].seconds if row.file in found else 0
        if not why and length and max(row.start or 0, row.end or 0) > length + 1:
            why = f"the stretch {row.start or 0:g} to {row.end or length:g} s, the file has {length:.1f} s"
        if not why and length > 60 and row.start is None and row.end is None:
            why = f"{length:.0f} s: a clip is of 60 s at most; give start and end"
        if why:
            odd[f"{row.where}, {row.file or 'no file'}"] = why
    return odd


def _split_speakers(rows: Iterable[Row]) -> dict[str, list[str]]:
    splits: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        if row.speaker and row.split:
            splits[row.speaker][row.split] = None
    return {name: list(each) for name, each in splits.items() if len(each) > 1}


def _sorted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def _counted(what: str, counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return []
    if len(counts) > _MANY:
        return [f"{what}: {len(counts)} different, {min(counts.values())} to {max(counts.values())} each"]
    return [f"{what}: {', '.join(f'{name} {count}' for name, count in counts.items())}"]


def _named(what: str, files: list[str]) -> list[str]:
    more = f", and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return [f"{what}: {len(files)} ({', '.join(files[:_SHOWN])}{more})"] if files else []
