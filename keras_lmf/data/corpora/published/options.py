"""What a corpus's options make of it: which recordings are taken, what their labels mean, who is in which split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, ValidationError, create_model

from keras_lmf.data.corpora.published.description import PublishedCorpus, Sequences
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import invalid, unknown_name
from keras_lmf.target import Target

DEFAULT_SECONDS = 3.0
MAX_STEPS = 1000


@dataclass(frozen=True)
class Chosen:
    """The options of a corpus, each one checked.

    Attributes:
        words: option → the word that was chosen.
        select: field → values; a recording with another one isn't taken.
        labels: code → class.
        label: what says the label, instead of the layout's template.
        target: what the labels mean.
        split_of: speaker → split, where folds or splits decide.
        seconds: of sound, where nothing else says which inputs are wanted.
        layout: that is read; None: the first that is found.
        steps: of features in .csd files: means over so many parts of a segment; None: one mean over it.
    """

    words: dict[str, str]
    select: dict[str, tuple[str, ...]]
    labels: dict[str, str]
    label: str | tuple[str, ...] | None
    target: Target
    split_of: dict[str, str]
    seconds: float
    layout: str | None = None
    steps: int | None = None

    def takes(self, fields: Mapping[str, str]) -> bool:
        """Whether a recording with these fields is among the chosen ones."""
        return all(fields[name] in values for name, values in self.select.items() if name in fields)


def choose(corpus: PublishedCorpus, name: str, options: Mapping[str, Any]) -> Chosen:
    """The options, checked; `name` is what the corpus is called in errors.

    Raises:
        LMFError: an unknown option, or a value that isn't one of it.
    """
    types = {"seconds": (float, DEFAULT_SECONDS), **({"fold": (int, 0)} if corpus.folds else {})}
    layouts = (*corpus.layouts, *corpus.features)
    types |= {"layout": (str | None, None)} if len(layouts) > 1 else {}
    types |= (
        {"steps": (int | None, None)}
        if any(isinstance(what, Sequences) for what in corpus.features.values())
        else {}
    )
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
    if given.get("layout") not in (None, *layouts):
        raise unknown_name(f"{name} layout", given["layout"], layouts)
    if given.get("steps") is not None:
        whole_number(f"Corpus {name!r}: steps", given["steps"], 1, MAX_STEPS)
    targets = [choice.target for choice in choices if choice.target is not None]
    labels = [choice.label for choice in choices if choice.label is not None]
    return Chosen(
        words=words,
        select={field: values for choice in choices for field, values in choice.select.items()},
        labels={
            **corpus.labels,
            **{code: word for choice in choices for code, word in choice.labels.items()},
        },
        label=labels[-1] if labels else None,
        target=targets[-1] if targets else corpus.target,
        split_of=_splits(corpus.folds, given["fold"])
        if corpus.folds
        else {one: split for split, people in corpus.splits.items() for one in people},
        seconds=given["seconds"],
        layout=given.get("layout"),
        steps=given.get("steps"),
    )


def _splits(folds: tuple[tuple[str, ...], ...], fold: int) -> dict[str, str]:
    """Speaker → split. The fold is the test split, the next one valid (0 follows the last); of two, none is valid."""
    splits = {speaker: "train" for speakers in folds for speaker in speakers}
    if len(folds) > 2:
        splits |= dict.fromkeys(folds[(fold + 1) % len(folds)], "valid")
    return splits | dict.fromkeys(folds[fold], "test")
