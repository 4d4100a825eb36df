"""What a card has to say of a corpus: its licence, its inputs with units, and what to know of its figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from keras_lmf import documents
from keras_lmf.errors import LMFError
from keras_lmf.sources import Source
from keras_lmf.target import Text


class CorpusInput(NamedTuple):
    """The unit of an input's numbers, what they are, and the steps (of sound: samples) a second of a sequence in Hz.

    `source` is what of a recording fills it, where a recipe doesn't say.
    """

    unit: Text
    description: Text
    rate: float | None = None
    source: Source | None = None


class CorpusDescription(BaseModel):
    """What is known of a corpus. Each of ours holds its own beside its `load`; of yours it stands in an about.toml.

    Attributes:
        title: what readers call it; None: its name.
        licence: of the data.
        weights_licence: under which weights trained on it can be passed on.
        inputs: by modality.
        notes: what to know of every figure on it.
        voice_notes, feature_notes: of figures of models that take raw sound, and of those that take features alone.
        citation: of the corpus.
        warning: what must be known of its models before anything else; None: nothing.
        made_of: corpora whose recordings or pictures it holds, by name: what tests one may train the other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Text | None = None
    licence: Text
    weights_licence: Text
    inputs: dict[str, CorpusInput]
    notes: tuple[Text, ...] = ()
    citation: Text
    voice_notes: tuple[Text, ...] = ()
    feature_notes: tuple[Text, ...] = ()
    warning: Text | None = None
    made_of: tuple[Text, ...] = ()


VOICE = CorpusInput("full scale = 1", "mono sound at 16 kHz, zeros after the end", 16000)


def read_description(path: Path, inputs: Iterable[str]) -> CorpusDescription:
    """What the about.toml `path` says of a corpus with these inputs."""
    description = documents.read(path, CorpusDescription)
    if lacking := [name for name in inputs if name not in description.inputs]:
        raise LMFError(f"{path} needs {', '.join(f'[inputs.{name}]' for name in lacking)}.")
    return description


def join_descriptions(members: Mapping[str, CorpusDescription]) -> CorpusDescription:
    """What is known of several corpora as one; `members` by name.

    All that is said of one is said with its title. Of the licences for weights those stand that no other one covers:
    who keeps to CC BY-NC-SA gives attribution too.
    """
    parts = list(members.values())
    titles = {name: part.title or name for name, part in members.items()}

    def told(field: str) -> tuple[str, ...]:
        return tuple(
            f"{titles[name]}: {note}" for name, part in members.items() for note in getattr(part, field)
        )

    warnings = [f"{titles[name]}: {part.warning}" for name, part in members.items() if part.warning]
    return CorpusDescription(
        title=", ".join(titles.values()),
        licence=_each([part.licence for part in parts]),
        weights_licence=", and ".join(_strictest([part.weights_licence for part in parts])),
        inputs={
            name: _join_inputs([part.inputs[name] for part in parts])
            for name in parts[0].inputs
            if all(name in part.inputs for part in parts)
        },
        notes=(
            f"Joined corpora: {', '.join(titles.values())}. Rows of classes outside the common target are left out.",
            *told("notes"),
        ),
        voice_notes=told("voice_notes"),
        feature_notes=told("feature_notes"),
        citation=_each([part.citation for part in parts]),
        warning=" ".join(warnings) or None,
    )


def _each(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _join_inputs(inputs: list[CorpusInput]) -> CorpusInput:
    units, descriptions, rates, _ = zip(*inputs)
    return CorpusInput(_each(units), _each(descriptions), rates[0] if len(set(rates)) == 1 else None)


# What a licence asks for, by what its text says; "research" forbids more than commerce does.
RESTRICTIONS = {
    "research": r"research",
    "non-commercial": r"research|\bNC\b|non-?commercial",
    "share alike": r"\bSA\b|share.?alike",
    "attribution": r"\bBY\b|attribution",
    "any": r"Apache|\bMIT\b|\bCC0\b",
}


def _strictest(licences: Iterable[str]) -> list[str]:
    """The licences that no other one covers. One whose text says nothing that is known stays."""
    asked = {
        licence: {
            word for word, pattern in RESTRICTIONS.items() if re.search(pattern, licence, re.IGNORECASE)
        }
        for licence in licences
    }
    asked = {licence: (words or {licence}) - {"any"} for licence, words in asked.items()}
    kept = [
        licence for licence, words in asked.items() if not any(words < others for others in asked.values())
    ]
    equal = {
        frozenset(asked[licence]): licence for licence in reversed(kept)
    }  # the first of those that ask alike
    return list(reversed(equal.values()))
