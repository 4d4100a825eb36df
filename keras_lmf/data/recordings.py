"""Labelled recordings before anything of them is decoded: what a labels.csv or a published corpus comes down to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keras_lmf.target import Target


@dataclass(frozen=True, slots=True)
class Recording:
    """A labelled stretch of a media file.

    Attributes:
        id: its name, different from all others.
        path: the media file, or the .zip that holds it.
        label: a class of the target, or its number or numbers.
        group: the speaker (or the film): no group is in two splits.
        split: "train", "valid" or "test"; None: to be drawn.
        member: the media file's name within the .zip; None: `path` is the file.
        start, end: of the stretch, in seconds; None: the file's own.
        companions: word of a source ("sound", "face", "action_units", "landmarks", "sensor") → the file that fills it
            where that isn't the media file itself.
        columns: further columns of its table, as they are.
        where: where it stands, for messages: "labels.csv, line 3".
    """

    id: str
    path: Path
    label: str | tuple[float, ...]
    group: str
    split: str | None = None
    member: str | None = None
    start: float | None = None
    end: float | None = None
    companions: Mapping[str, Path] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that can't be used: where it stands, what it names, and why."""

    where: str
    what: str
    why: str


@dataclass(frozen=True)
class Recordings:
    """A corpus of recordings.

    Attributes:
        name: the corpus's name.
        target: what the labels mean.
        rows: in the table's order.
        refused: rows of the table that can't be used.
    """

    name: str
    target: Target
    rows: tuple[Recording, ...]
    refused: tuple[Refused, ...] = ()
