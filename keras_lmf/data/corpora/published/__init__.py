"""Corpora as they are downloaded: one TOML here for each says what it is and how its files tell their labels."""

from __future__ import annotations

import functools
from pathlib import Path

from keras_lmf import documents
from keras_lmf.data.corpora.published.description import PublishedCorpus
from keras_lmf.errors import unknown_name

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The published corpora, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def is_published(name: str) -> bool:
    """Whether there is a TOML of this name here."""
    return Path(name).name == name and (FOLDER / f"{name}.toml").is_file()


def is_own(name: str | Path) -> bool:
    """Whether it is the path of a TOML of one's own."""
    return Path(name).suffix == ".toml"


def read(name: str | Path) -> PublishedCorpus:
    """What is said of a published corpus, or of one's own in the file `name`.

    Raises:
        LMFError: no such corpus, or a file that is missing or wrong.
    """
    if is_own(name):
        return documents.read(Path(name), PublishedCorpus)
    if not is_published(str(name)):
        raise unknown_name("published corpus", name, names(), "Or give the path of your own .toml.")
    return _published(str(name))


@functools.cache
def _published(name: str) -> PublishedCorpus:
    return documents.read(FOLDER / f"{name}.toml", PublishedCorpus)
