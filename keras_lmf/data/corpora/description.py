"""What a card has to say of a corpus: its licence, its inputs with units, and what to know of its figures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from keras_lmf import documents
from keras_lmf.errors import LMFError
from keras_lmf.target import Text


class CorpusInput(NamedTuple):
    """The unit of an input's numbers, what they are, and the steps (of sound: samples) a second of a sequence in Hz."""

    unit: Text
    description: Text
    rate: float | None = None


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


VOICE = CorpusInput("full scale = 1", "mono sound at 16 kHz, zeros after the end", 16000)


def read_description(path: Path, inputs: Iterable[str]) -> CorpusDescription:
    """What the about.toml `path` says of a corpus with these inputs."""
    description = documents.read(path, CorpusDescription)
    if lacking := [name for name in inputs if name not in description.inputs]:
        raise LMFError(f"{path} needs {', '.join(f'[inputs.{name}]' for name in lacking)}.")
    return description
