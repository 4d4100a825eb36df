"""A download held against what was published of the corpus: what is missing, what is surplus, what it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keras_lmf.data.corpora.published import read
from keras_lmf.data.corpora.published.counts import counted, expected, missing
from keras_lmf.data.corpora.published.loading import called, recordings
from keras_lmf.data.corpora.published.options import choose
from keras_lmf.data.validation import SPLITS

SMALLEST = 256  # bytes: what is smaller is empty, or a pointer of Git LFS to the file
_SHOWN = 10


@dataclass(frozen=True)
class Comparison:
    """What a folder holds of a corpus, beside what was published.

    Attributes:
        title: of the corpus.
        layout: in which it lies.
        options: which part of it was looked at.
        recordings: that can be used.
        published: how many there are; None: it isn't known.
        classes: class → recordings, and how many were published (None: not known). Empty for numbers.
        speakers: likewise.
        splits: likewise, under the option `fold`, without published ones.
        missing: ids of recordings that aren't there.
        small: ids of recordings that are of a few bytes only.
        surplus: path → why it is no recording of the corpus.
        other: recordings that other options would take.
        dropped: those that are left out for their label.
        unverified: what could not be verified of what is said of the layout; None: nothing.
    """

    title: str
    layout: str
    options: dict[str, str]
    recordings: int
    published: int | None
    classes: dict[str, tuple[int, int | None]]
    speakers: dict[str, tuple[int, int | None]]
    splits: dict[str, int]
    missing: list[str]
    small: list[str]
    surplus: dict[str, str]
    other: int
    dropped: int
    unverified: str | None

    @property
    def lacking(self) -> int:
        """How many recordings are missing, named or not."""
        return max(len(self.missing), (self.published or 0) - self.recordings)

    @property
    def problems(self) -> bool:
        """Whether recordings are missing or empty."""
        return bool(self.lacking or self.small)

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self) | {"lacking": self.lacking}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        options = "".join(f", {option} {word}" for option, word in self.options.items())
        of = "" if self.published is None else f" of {self.published}"
        yield f"{self.title} (layout {self.layout}{options}): {self.recordings}{of} recordings"
        if self.other:
            yield f"Other options take {self.other} more."
        if self.dropped:
            yield f"{self.dropped} are left out for their label."
        yield from _table("class", self.classes)
        yield from _table("speaker", self.speakers)
        yield from _table("split", {split: (count, None) for split, count in self.splits.items()})
        yield from _listed(f"Missing: {self.lacking}", self.missing, self.lacking)
        yield from _listed(f"Empty, or pointers of Git LFS: {len(self.small)}", self.small, len(self.small))
        surplus = [f"{path}: {why}" for path, why in self.surplus.items()]
        yield from _listed(f"Surplus: {len(surplus)}", surplus, len(surplus))
        if not self.problems:
            yield (
                "Nothing is missing." if self.published is not None else "How many there must be isn't known."
            )
        if self.unverified:
            yield f"Not verified: {self.unverified}"


def compare(name: str | Path, root: str | Path | None, options: Mapping[str, Any]) -> Comparison:
    """The corpus `name`, or that of one's own .toml, as it lies under `root`.

    Args:
        name, root, options: as of `loading.load`.

    Raises:
        LMFError: no such corpus or option, or nothing of it in the folder.
    """
    word = called(name)
    corpus = read(name)
    chosen = choose(corpus, word, options)
    found = recordings(corpus, word, root, chosen)
    rows, counts = found.recordings.rows, counted(corpus, found.layout, chosen)
    known = expected(corpus, chosen, found)
    surplus = dict.fromkeys(found.strangers, "no recording of the corpus has this name")
    surplus |= {path: f"the same recording as {first}" for path, first in found.copies.items()}
    surplus |= {row.where: row.why for row in found.recordings.refused}
    surplus |= {row.where: "not one of the published" for row in rows if known and row.id not in known}
    splits = Counter(row.split for row in rows)
    classes = chosen.target.classes or ()
    return Comparison(
        title=corpus.title,
        layout=found.layout,
        options=chosen.words,
        recordings=len(rows),
        published=counts and counts.recordings,
        classes=_beside(
            dict.fromkeys(classes, 0) | Counter(row.label for row in rows if classes),
            counts and counts.classes,
        ),
        speakers=_beside(
            dict(sorted(Counter(row.group for row in rows).items())), counts and counts.speakers
        ),
        splits={split: splits[split] for split in SPLITS if split in splits},
        missing=missing(corpus, chosen, found),
        small=[row for row, size in found.sizes.items() if size < SMALLEST],
        surplus=surplus,
        other=found.other,
        dropped=found.dropped,
        unverified=corpus.unverified,
    )


def _beside(
    found: Mapping[str, int], published: Mapping[str, int] | None
) -> dict[str, tuple[int, int | None]]:
    published = published or {}
    return {
        name: (found.get(name, 0), published.get(name))
        for name in dict.fromkeys([*found, *sorted(published)])
    }


def _table(what: str, counts: Mapping[str, tuple[int, int | None]]) -> Iterator[str]:
    """Names beside one another, as many as 80 columns take; where it differs, what was published."""
    if not counts:
        return
    cells = [
        f"{name} {found}" if published in (None, found) else f"{name} {found} (published: {published})"
        for name, (found, published) in counts.items()
    ]
    line = f"By {what}:"
    for cell in cells:
        if len(line) + len(cell) + 2 > 80:
            yield line
            line = " "
        line += f" {cell}" + ("," if cell is not cells[-1] else "")
    yield line


def _listed(heading: str, names: list[str], count: int) -> Iterator[str]:
    if not count:
        return
    yield f"{heading}" + ("" if names else ": it isn't known which")
    yield from (f"  {name}" for name in names[:_SHOWN])
    if len(names) > _SHOWN:
        yield f"  and {len(names) - _SHOWN} more (--json names all)"
