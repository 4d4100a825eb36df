"""How many recordings a published corpus has, which ones, and which of them are missing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from keras_lmf.data.corpora.published.description import SEEN, Counts, PublishedCorpus, filled
from keras_lmf.data.corpora.published.options import Chosen
from keras_lmf.data.corpora.published.rows import Rows


def expected(corpus: PublishedCorpus, chosen: Chosen, found: Rows) -> set[str]:
    """The ids of the recordings that the corpus has under these options; empty: it isn't known."""
    ids = set()
    seen = [recording.columns for recording in found.recordings.rows]
    for files in corpus.files:
        values = [
            [(field, value) for value in _told(field, values, seen) if chosen.takes({field: value})]
            for field, values in files.values.items()
        ]
        ids |= {filled(files.id, dict(fields)) for fields in itertools.product(*values)} - set(files.without)
    return ids


def _told(field: str, values: tuple[str, ...], seen: list[Mapping[str, str]]) -> Iterable[str]:
    return sorted({columns[field] for columns in seen}) if values == (SEEN,) else values


def missing(corpus: PublishedCorpus, chosen: Chosen, found: Rows) -> list[str]:
    """The ids of recordings that aren't there, and what the corpus's table names beside them."""
    there = {recording.id for recording in found.recordings.rows}
    return sorted(expected(corpus, chosen, found) - there) + found.absent


def counted(corpus: PublishedCorpus, layout: str, chosen: Chosen) -> Counts | None:
    """The published counts that fit this layout and these options, if there are any."""
    for counts in corpus.counts:
        if counts.layout in (None, layout) and counts.options.items() <= chosen.words.items():
            return counts
    return None
