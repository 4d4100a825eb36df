"""What a corpus's options make of it: which recordings are taken, what their labels mean, who is in which split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, ValidationError, create_model

from keras_lmf.data.corpora.published.description import PublishedCorpus
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import invalid, unknown_name
from keras_lmf.target import Target

DEFAULT_SECONDS = 3.0


@dataclass(frozen=True)
class Chosen:
    """The options of a corpus, each one checked.

    Attributes:
        words: option → the word that was chosen.
        select: field → values; a recording with another one isn't taken.
        labels: code → class.
        target: what the labels mean.
        split_of: speaker → split, where folds decide.
        seconds: of sound, where nothing else says which inputs are wanted.
    """

    words: dict[str, str]
    select: dict[str, tuple[str, ...]]
    labels: dict[str, str]
    target: Target
    split_of: dict[str, str]
    seconds: float

    def takes(self, fields: Mapping[str, str]) -> bool:
        """Whether a recording with these fields is among the chosen ones."""
        return all(fields[name] in values for name, values in self.select.items() if name in fields)


def choose(corpus: PublishedCorpus, name: str, options: Mapping[str, Any]) -> Chosen:
    """The options, checked; `name` is what the corpus is called in errors.

    Raises:
        LMFError: an unknown option, or a value that isn't one of it.
    """
    types = {"seconds": (float, DEFAULT_SECONDS), **({"fold": (int, 0)} if corpus.folds else {})}
    types |= {option: (str, told.default) for option, told in corpus.options.items()}
    for option in options:
        if option not in types:
            raise unknown_name(f"{name} option", option, types)
    model = create_model("Options", __config__=ConfigDict(strict=True), **types)
    try:
        given = model.model_validate(dict(options)).model_dump()
    except ValidationError as error:
        raise invalid(error, model, f"Corpus {name!r}") from None
    words = {option: given[option] for option in corpus.options}
    choices = []
    for option, word in words.items():
        if word not in corpus.options[option].choices:
            raise unknown_name(f"{name} {option}", word, corpus.options[option].choices)
        choices.append(corpus.options[option].choices[word])
    if corpus.folds:
        whole_number(f"Corpus {name!r}: fold", given["fold"], 0, len(corpus.folds) - 1)
    targets = [choice.target for choice in choices if choice.target is not None]
    return Chosen(
        words=words,
        select={field: values for choice in choices for field, values in choice.select.items()},
        labels={
            **corpus.labels,
            **{code: word for choice in choices for code, word in choice.labels.items()},
        },
        target=targets[-1] if targets else corpus.target,
        split_of=_splits(corpus.folds, given["fold"]) if corpus.folds else {},
        seconds=given["seconds"],
    )


def _splits(folds: tuple[tuple[str, ...], ...], fold: int) -> dict[str, str]:
    """Speaker → split. The fold is the test split, the next one valid (0 follows the last); of two, none is valid."""
    splits = {speaker: "train" for speakers in folds for speaker in speakers}
    if len(folds) > 2:
        splits |= dict.fromkeys(folds[(fold + 1) % len(folds)], "valid")
    return splits | dict.fromkeys(folds[fold], "test")
