"""From a corpus's folder to its recordings: labels, speakers and splits as the corpus's description tells them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keras_lmf.data.corpora.published import listing
from keras_lmf.data.corpora.published.description import Layout, PublishedCorpus, Table, filled, whole
from keras_lmf.data.corpora.published.options import Chosen
from keras_lmf.data.recordings import Recording, Recordings, Refused
from keras_lmf.data.tables import parse_csv
from keras_lmf.data.validation import SPLITS
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.target import Target

MAX_TABLE_BYTES = 2**28
Fields = dict[str, str]


@dataclass
class Rows:
    """What a corpus's folder holds under some options.

    Attributes:
        recordings: that can be used, or can't.
        layout: in which they lie.
        copies: further files of a recording: path → the one that was taken.
        strangers: paths of such files as the layout knows, but no recording of the corpus.
        absent: what the table names and isn't there.
        other: how many recordings other options would take.
        dropped: how many are left out on purpose, for their label.
        sizes: id → bytes of the file.
    """

    recordings: Recordings
    layout: str
    copies: dict[str, str] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    other: int = 0
    dropped: int = 0
    sizes: dict[str, int] = field(default_factory=dict)


def holds(corpus: PublishedCorpus, files: list[listing.Found]) -> str | None:
    """The first layout of which there is a file."""
    for name, layout in corpus.layouts.items():
        match = re.compile(whole(layout.file)).fullmatch
        if any(match(found.name) for found in files):
            return name
    return None


def rows(
    corpus: PublishedCorpus, name: str, folder: Path, files: list[listing.Found], layout: str, chosen: Chosen
) -> Rows:
    """The recordings of `folder` in one of the corpus's layouts.

    Args:
        corpus: its description.
        name: what it is called.
        folder: where it lies.
        files: what lies there.
        layout: a name of `corpus.layouts`.
        chosen: which recordings, and what is made of their labels.

    Raises:
        LMFError: a table that is missing or wrong; a split or a speaker that isn't one. It names file and line.
    """
    what = corpus.layouts[layout]
    found = Rows(Recordings(name, chosen.target, ()), layout)
    matched, suffixes = [], set()
    match = re.compile(whole(what.file)).fullmatch
    for file in files:
        if fits := match(file.name):
            matched.append((file, _spoken(fits.groupdict(), what.words)))
            suffixes.add(posixpath.splitext(file.name)[1])
    known = {file.name for file, _ in matched}
    found.strangers = [
        file.name for file in files if posixpath.splitext(file.name)[1] in suffixes and file.name not in known
    ]
    labelled = (
        _by_file(matched, found) if what.table is None else _by_table(what, folder, files, matched, found)
    )
    taken, refused = {}, []
    for file, fields, where in labelled:
        if not chosen.takes(fields):
            found.other += 1
            continue
        try:
            recording = _recording(corpus, what, chosen, file, fields, where)
        except _Unusable as error:
            refused.append(Refused(where, file.name, str(error)))
            continue
        if recording is None:
            found.dropped += 1
        elif (first := taken.setdefault(recording.id, (recording, file.name)))[0] is not recording:
            found.copies[file.name] = first[1]
        else:
            found.sizes[recording.id] = file.bytes
    found.recordings = Recordings(
        name, chosen.target, tuple(recording for recording, _ in taken.values()), tuple(refused)
    )
    return found


class _Unusable(ValueError):
    """Why a row can't be used."""


Labelled = Iterator[tuple[listing.Found, Fields, str]]


def _by_file(matched: list[tuple[listing.Found, Fields]], found: Rows) -> Labelled:
    for file, fields in matched:
        yield file, fields, file.name


def _by_table(
    layout: Layout,
    folder: Path,
    files: list[listing.Found],
    matched: list[tuple[listing.Found, Fields]],
    found: Rows,
) -> Labelled:
    """The files that rows of the table name, in its order."""
    table = layout.table
    named: dict[str, tuple[listing.Found, Fields]] = {}
    for file, fields in matched:
        first = named.setdefault(filled(layout.key, fields), (file, fields))[0]
        if first is not file:
            found.copies[file.name] = first.name
    used = set()
    tables = [(file, fits) for file in files if (fits := re.fullmatch(whole(table.file), file.name))]
    if not tables:
        raise LMFError(
            f"{folder}: the table of the recordings isn't there. It lies beside them, as {table.example!r}."
        )
    for file, fits in tables:
        for line, row in _lines(table, file, fits.groupdict()):
            row = _spoken(row, table.words)
            key = filled(table.key, row)
            if key not in named:
                found.absent.append(key)
                continue
            media, fields = named[key]
            used.add(media.name)
            yield media, fields | row, f"{file.name}, line {line}"
    found.strangers += [file.name for file, _ in named.values() if file.name not in used]


def _lines(
    table: Table, file: listing.Found, groups: Mapping[str, str | None]
) -> Iterator[tuple[int, Fields]]:
    """Of each row its line, and its fields: the columns, and the groups of the table's own path."""
    content = listing.content(file, MAX_TABLE_BYTES)
    base = {name: value for name, value in groups.items() if value is not None}
    if table.line is None:
        _, lines = parse_csv(content, file.name, (), f"The corpus has such a table as {table.example!r}.")
        yield from ((line, base | fields) for line, fields in lines)
        return
    match = re.compile(table.line).fullmatch
    for line, text in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        if fits := match(text):
            yield line, base | {name: value for name, value in fits.groupdict().items() if value is not None}


def _spoken(fields: Mapping[str, str | None], words: Mapping[str, Mapping[str, str]]) -> Fields:
    return {
        name: words[name].get(value, value) if name in words else value
        for name, value in fields.items()
        if value is not None
    }


def _recording(
    corpus: PublishedCorpus,
    layout: Layout,
    chosen: Chosen,
    file: listing.Found,
    fields: Fields,
    where: str,
) -> Recording | None:
    """None: its label is dropped."""
    label = _label(corpus, layout, chosen, fields)
    if label is None:
        return None
    speaker = filled(layout.speaker, fields)
    if layout.split is not None:
        split = filled(layout.split, fields)
        if split not in SPLITS:
            raise LMFError(f"{where}: {unknown_name('split', split, SPLITS)}")
    elif speaker in chosen.split_of:
        split = chosen.split_of[speaker]
    else:
        raise _Unusable(f"there is no speaker {speaker!r} in this corpus")
    start, end = (None if t is None else _seconds(filled(t, fields)) for t in (layout.start, layout.end))
    if start is not None and not start < end:
        raise _Unusable(f"it ends at {end:g} s, before it begins ({start:g} s)")
    return Recording(
        id=filled(layout.id, fields),
        path=Path(file.path),
        label=label,
        group=speaker,
        split=split,
        member=file.member,
        start=start,
        end=end,
        columns=fields,
        where=where,
    )


def _label(
    corpus: PublishedCorpus, layout: Layout, chosen: Chosen, fields: Fields
) -> str | tuple[float, ...] | None:
    templates = (layout.label,) if isinstance(layout.label, str) else layout.label
    said = [filled(template, fields) for template in templates]
    if chosen.target.classes is None:
        return _numbers(chosen.target, said)
    code = said[0]
    word = chosen.labels.get(code, code)
    if word in chosen.target.classes:
        return word
    if code in corpus.dropped:
        return None
    raise _Unusable(f"the label {code!r} is none of {', '.join(chosen.labels or chosen.target.classes)}")


def _numbers(target: Target, said: list[str]) -> tuple[float, ...]:
    low, high = target.range
    try:
        numbers = tuple(float(text) for text in said)
    except ValueError:
        raise _Unusable(f"the label {', '.join(said)!r} is no number") from None
    if not all(low <= number <= high for number in numbers):
        raise _Unusable(f"the label {', '.join(said)} is outside of {low:g} to {high:g}")
    return numbers


def _seconds(text: str) -> float:
    """Of "12.5" and "0:00:12,5" alike."""
    total = 0.0
    try:
        for part in text.replace(",", ".").split(":"):
            total = 60 * total + float(part)
    except ValueError:
        raise _Unusable(f"{text!r} is no time") from None
    return total
