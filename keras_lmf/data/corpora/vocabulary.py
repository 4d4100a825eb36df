"""One vocabulary across corpora: which of the seven basic emotions a corpus's word means, as `emotions.toml` says."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from keras_lmf import documents
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.spec import Spec
from keras_lmf.target import Text

DROPPED = "dropped"  # what a row's word may mean beside the emotions


class _Other(Spec):
    """A word that is none of the seven emotions: the emotion into which it may be merged, if any, and why."""

    words: tuple[Text, ...] = ()
    into: Text | None = None
    why: Text


class _Emotions(Spec):
    """What `emotions.toml` says."""

    emotions: dict[str, tuple[Text, ...]] = Field(min_length=7, max_length=7)
    others: dict[str, _Other]


@functools.cache
def _read() -> _Emotions:
    return documents.read(Path(__file__).with_name("emotions.toml"), _Emotions)


def emotions() -> tuple[str, ...]:
    """The seven basic emotions: "angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised"."""
    return tuple(_read().emotions)


def meanings(merge: Sequence[str] = (), words: Mapping[str, str] | None = None) -> dict[str, str]:
    """Word → the emotion that it means, or "dropped".

    >>> meanings()["joy"], meanings()["calm"], meanings(merge=["calm"])["calm"]
    ('happy', 'dropped', 'neutral')

    Args:
        merge: words that are no basic emotion, and count as the one that is nearest: "calm" as neutral, "excited" as
            happy. Without it their rows are dropped.
        words: of your own: word → emotion, or "dropped". They come before the vocabulary's.

    Raises:
        LMFError: a word to merge for which there is no nearest emotion, or a meaning that is no emotion.
    """
    read = _read()
    mergeable = [word for word, other in read.others.items() if other.into]
    for word in merge:
        if word not in mergeable:
            raise unknown_name("word to merge", word, mergeable)
    allowed = (*read.emotions, DROPPED)
    for word, meaning in (words or {}).items():
        if meaning not in allowed:
            raise unknown_name(f"meaning of {word!r}", meaning, allowed)
    found = {
        _plain(word): emotion for emotion, others in read.emotions.items() for word in (emotion, *others)
    }
    for name, other in read.others.items():
        meaning = other.into if name in merge else DROPPED
        found |= {_plain(word): meaning for word in (name, *other.words)}
    return found | {_plain(word): meaning for word, meaning in (words or {}).items()}


def emotions_of(classes: Iterable[str], known: Mapping[str, str], corpus: str) -> list[str | None]:
    """Of each class of a corpus the emotion that it means, by `known` (`meanings`); None where its rows are dropped.

    Raises:
        LMFError: a class that no word means.
    """
    found = []
    for name in classes:
        meaning = known.get(_plain(name))
        if meaning is None:
            allowed = f"{', '.join(emotions())} or {DROPPED}"
            raise LMFError(
                f"Corpus {corpus!r}: the class {name!r} is no word of the vocabulary of emotions. Say what it means "
                f'({allowed}): words = {{ "{name}" = "…" }} in [corpus.options].'
            )
        found.append(None if meaning == DROPPED else meaning)
    return found


def require_met(words: Iterable[str], classes: Iterable[str]) -> None:
    """Refuses words of one's own that none of the corpora's classes is."""
    there = list(dict.fromkeys(classes))
    met = set(map(_plain, there))
    for word in words:
        if _plain(word) not in met:
            raise unknown_name("word in words", word, there, "These are the classes of the joined corpora.")


def _plain(word: str) -> str:
    return "_".join(word.lower().replace("-", " ").replace("_", " ").split())
