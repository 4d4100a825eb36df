"""Several corpora as one: the rows of all whose word maps, in one target, with the corpus of each row beside it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from keras_lmf import lazy
from keras_lmf.data.corpora.vocabulary import emotions, emotions_of, meanings, require_met
from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError, invalid
from keras_lmf.target import Target


class _Choices(BaseModel):
    """What the options say that are of the joining itself: those of `join`."""

    model_config = ConfigDict(strict=True)

    merge: list[str] = []
    words: dict[str, str] = {}


def load(
    names: Sequence[str], options: Mapping[str, object], one: Callable[[str, dict[str, Any]], Dataset]
) -> Dataset:
    """The corpora of these names, joined.

    Args:
        names: two or more, different ones.
        options: `merge` and `words`, of `join`; a table for one of the corpora, under its name, which comes before what
            all of them are given; and that.
        one: loads a corpus by its name with its options.
    """
    short = [short_name(name) for name in names]
    if len(names) < 2 or len(set(short)) != len(short):
        raise LMFError(f"Corpora are joined where two or more have different names, received {list(names)}.")
    try:
        choices = _Choices.model_validate(
            {key: options[key] for key in _Choices.model_fields if key in options}
        )
    except ValidationError as error:
        raise invalid(error, _Choices, f"Corpora {'+'.join(short)}") from None
    meanings(choices.merge, choices.words)  # a mistake in them is told before anything is read
    common = {key: value for key, value in options.items() if key not in (*short, *_Choices.model_fields)}
    for name in short:
        if not isinstance(options.get(name, {}), Mapping):
            raise LMFError(
                f"The option {name!r} takes a table of options of this corpus, received {options[name]!r}."
            )
    members = {key: one(name, {**common, **options.get(key, {})}) for name, key in zip(names, short)}
    return join(members, choices.merge, choices.words)


def require_apart(held: Mapping[str, frozenset[str]]) -> None:
    """Refuses corpora that hold the same recordings; `held` is of each what it holds (`corpora.material`)."""
    for (one, its), (other, others) in itertools.combinations(held.items(), 2):
        if shared := sorted(its & others):
            raise LMFError(
                f"{one!r} and {other!r} can't be joined: both hold {' and '.join(shared)}, so what tests one would "
                "train the other. Name one of them."
            )


def short_name(corpus: str) -> str:
    """A corpus's name in ids and tables; of a path the last part, without suffix."""
    return Path(corpus).stem


def join(
    members: Mapping[str, Dataset], merge: Sequence[str] = (), words: Mapping[str, str] | None = None
) -> Dataset:
    """The rows of all members, in their order.

    Groups and ids begin with the corpus's name ("ravdess actor_01"), so no two corpora share a speaker; each row stays
    in its split. Of the modalities those are there that all members have. A modality that has a mask in one member has
    one in all.

    Members of one and the same target keep it, unless `merge` or `words` is given. Otherwise each class is one of the
    seven basic emotions, by `vocabulary.meanings(merge, words)`; the target has those that any member knows, and a row
    of another class is dropped. A soft label is what it gives to the emotions, divided by its sum.

    Args:
        members: the corpora by name.
        merge, words: as of `vocabulary.meanings`.

    Raises:
        LMFError: targets or shapes that can't be joined, no common modality, or a class that no word means.
    """
    modalities = _common_modalities(members)
    target, parts = _one_target(members, merge, words)
    soft = any(part.soft_labels is not None for part in parts)
    names, rows = list(members), [part.rows for part in parts]

    def column(field: str, prefix: bool = False) -> np.ndarray:
        values = [getattr(data, field)[kept] for data, kept in zip(members.values(), rows)]
        return np.concatenate(
            [np.char.add(f"{name} ", own) for name, own in zip(names, values)] if prefix else values
        )

    return Dataset(
        name="+".join(names),
        target=target,
        inputs={
            name: lazy.joined(
                [lazy.taken(data.inputs[name], kept) for data, kept in zip(members.values(), rows)]
            )
            for name in modalities
        },
        masks={
            name: np.concatenate([_mask(data, name)[kept] for data, kept in zip(members.values(), rows)])
            for name in modalities
            if any(name in data.masks for data in members.values())
        },
        labels=np.concatenate([part.labels for part in parts]),
        splits=column("splits"),
        groups=column("groups", prefix=True),
        ids=column("ids", prefix=True),
        corpora=np.repeat(names, [len(kept) for kept in rows]),
        soft_labels=np.concatenate([part.soft(target.size) for part in parts]) if soft else None,
    )


class _Part(NamedTuple):
    """A member's rows that are taken, by index, with their labels in the common target."""

    rows: np.ndarray
    labels: np.ndarray
    soft_labels: np.ndarray | None = None

    def soft(self, classes: int) -> np.ndarray:
        return np.eye(classes)[self.labels] if self.soft_labels is None else self.soft_labels


def _common_modalities(members: Mapping[str, Dataset]) -> list[str]:
    (first, one), *others = members.items()
    common = [name for name in one.inputs if all(name in other.inputs for _, other in others)]
    if not common:
        held = "; ".join(f"{name} {', '.join(data.inputs)}" for name, data in members.items())
        raise LMFError(f"The corpora have no modality in common: {held}. An option of one may add it.")
    for name in common:
        for corpus, other in others:
            shapes = one.inputs[name].shape[1:], other.inputs[name].shape[1:]
            if shapes[0] != shapes[1]:
                raise LMFError(
                    f"Modality {name!r} has the shape {shapes[0]} in {first} and {shapes[1]} in {corpus}: "
                    "give all the same options, for example seconds."
                )
    return common


def _one_target(
    members: Mapping[str, Dataset], merge: Sequence[str], words: Mapping[str, str] | None
) -> tuple[Target, list[_Part]]:
    """The target of all, and the members' rows that have it."""
    targets = {name: data.target for name, data in members.items()}
    first, target = next(iter(targets.items()))
    if not merge and not words and all(other == target for other in targets.values()):
        return target, [_Part(np.arange(len(d)), d.labels, d.soft_labels) for d in members.values()]
    for name, other in targets.items():
        if not other.classes:
            raise LMFError(
                f"The labels of {name} are numbers ({other!r}). Such corpora can be joined where all have the same "
                f"target; {first} has {target!r}."
            )
    known = meanings(merge, words)
    require_met(words or (), [word for other in targets.values() for word in other.classes])
    means = {name: emotions_of(other.classes, known, name) for name, other in targets.items()}
    there = {emotion for found in means.values() for emotion in found}
    common = Target(name="emotion", classes=tuple(word for word in emotions() if word in there))
    return common, [_translated(name, data, means[name], common) for name, data in members.items()]


def _translated(name: str, data: Dataset, means: Sequence[str | None], target: Target) -> _Part:
    """The rows of `data` whose class means an emotion, with that of `target` as their label."""
    places = np.array([-1 if word is None else target.classes.index(word) for word in means])
    rows = np.flatnonzero(places[data.labels] >= 0)
    if not len(rows):
        raise LMFError(f"Corpus {name!r}: no row of it is one of {', '.join(target.classes)}.")
    labels = places[data.labels[rows]]
    if data.soft_labels is None:
        return _Part(rows, labels)
    shares = data.soft_labels[rows] @ (places[:, None] == np.arange(target.size)).astype(np.float32)
    return _Part(rows, labels, shares / shares.sum(axis=1, keepdims=True))


def _mask(data: Dataset, modality: str) -> np.ndarray:
    return data.masks.get(modality, np.ones(data.inputs[modality].shape[:2], bool))
