"""A published corpus, as its TOML says it: what it is, where it is asked for, and how its files tell their labels."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from keras_lmf.data.corpora.description import CorpusDescription, CorpusInput
from keras_lmf.errors import unknown_name
from keras_lmf.spec import Spec
from keras_lmf.target import Name, Target, Text

FIELD = re.compile(r"\{([^{}]+)\}")  # of a template: "actor_{actor}"
SEEN = "*"  # values of a field that the recordings themselves tell
OWN_OPTIONS = ("fold", "seconds")  # which every corpus may have beside those of its TOML


def _expression(text: str) -> str:
    try:
        re.compile(whole(text))
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    return text


def whole(expression: str) -> str:
    """The expression that a whole path must match, in whatever folders it lies."""
    return f"(?:.*/)?(?:{expression})"


Expression = Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(_expression)]
Template = Text
Words = dict[str, dict[str, str]]


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with each {name} replaced by its value.

    >>> filled("actor_{actor}", {"actor": "07"})
    'actor_07'

    Raises:
        LMFError: a name that has no value.
    """

    parts = list(_parts(template))
    try:
        parts[1::2] = [values[name] for name in parts[1::2]]
    except KeyError as error:
        raise unknown_name(f"field in {template!r}", error.args[0], values) from None
    return "".join(parts)


@functools.cache
def _parts(template: str) -> tuple[str, ...]:
    """Text and names of fields in turn; text comes first."""
    return tuple(FIELD.split(template))


class Table(Spec):
    """A table of labelled recordings or stretches of them: comma-separated values, or lines of text."""

    file: Expression = Field(description="Its path; named groups are fields of its rows.")
    example: Text = Field(description="Such a path.")
    line: Expression | None = Field(
        None,
        description="What a row of a text looks like; none: the table is comma-separated, with a header.",
    )
    key: Template = Field("{id}", description="Of a row: the `key` of the recording that it is about.")
    words: Words = Field(
        default_factory=dict, description="Of a field: what its values are called; others stay as they are."
    )


class Layout(Spec):
    """Where the recordings lie, and what tells their label, speaker and split.

    A template fills in {fields}: named groups of `file`, and what a row of `table` says. A template that is a field
    alone may be left out where the field is called as its key.
    """

    file: Expression = Field(
        description="A recording's path, after any folders, slashes between them. What lies in a .zip has the "
        "archive's name without suffix for a folder. Named groups are fields."
    )
    example: Text = Field(description="Such a path.")
    table: Table | None = Field(
        None, description="What is known of the recordings, where their paths don't tell it."
    )
    key: Template = Field("{id}", description="Of a recording: by what rows of the table name it.")
    id: Template = Field("{id}", description="The recording's own name.")
    label: Template | tuple[Template, ...] = Field(
        "{label}", description="A class, or a code in `labels`; a number; or several numbers."
    )
    speaker: Template = Field("{speaker}", description="Who is in one split only.")
    split: Template | None = Field(None, description="train, valid or test; none: `folds` decide.")
    start: Template | None = Field(
        None, description="Where the stretch begins: seconds, or hours:minutes:seconds."
    )
    end: Template | None = Field(None, description="Where it ends.")
    words: Words = Field(default_factory=dict, description="As of a table, of the groups of `file`.")

    @model_validator(mode="after")
    def _fits_itself(self) -> Layout:
        for what in filter(None, (self, self.table)):
            match = re.fullmatch(whole(what.file), what.example)
            if match is None:
                raise ValueError(f"the example {what.example!r} doesn't match the expression {what.file!r}")
            for group in what.words:
                if what is self and group not in match.groupdict():
                    raise unknown_name("group in words", group, match.groupdict())
        if self.table is None:
            groups = re.compile(self.file).groupindex
            for template in self.templates():
                for name in FIELD.findall(template):
                    if name not in groups:
                        raise unknown_name(f"field in {template!r}", name, groups)
        if (self.start is None) != (self.end is None):
            raise ValueError("give both of 'start' and 'end', or none")
        return self

    def templates(self) -> Iterator[str]:
        """All of its own, but for the table's."""
        labels = (self.label,) if isinstance(self.label, str) else self.label
        rest = (self.start, self.end, self.split, self.key if self.table else None)
        yield from filter(None, (self.id, self.speaker, *labels, *rest))


class Choice(Spec):
    """A word of an option: which recordings it takes, and what it makes of their labels."""

    select: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Of a field: its values; a recording with another one isn't taken."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Beside or instead of those in `labels`."
    )
    target: Target | None = Field(None, description="Instead of the corpus's own.")


class Option(Spec):
    """A choice among parts or readings of a corpus, by a word."""

    what: Text
    default: Text
    choices: dict[Name, Choice] = Field(min_length=1)

    @model_validator(mode="after")
    def _default_is_a_choice(self) -> Option:
        if self.default not in self.choices:
            raise unknown_name("default", self.default, self.choices)
        return self


class Files(Spec):
    """Recordings that the corpus has: every combination of values, but for some. "*" is every value that is found."""

    id: Template
    values: dict[str, tuple[str, ...]]
    without: tuple[str, ...] = ()


class Counts(Spec):
    """What was published of the numbers of recordings, under these options (others: whatever they are)."""

    options: dict[str, str] = Field(default_factory=dict)
    layout: Name | None = None
    recordings: int
    classes: dict[str, int] = Field(default_factory=dict)
    speakers: dict[str, int] = Field(default_factory=dict)


class PublishedCorpus(CorpusDescription):
    """A corpus as it is downloaded.

    Attributes:
        what: it is, in a line.
        modalities: what is recorded.
        hours: of the recordings that its options take by default; None: not known.
        languages: that are spoken, in English words.
        people: speakers or faces; None: not known.
        home: its page.
        ask: where to ask for it, or that it is free to download.
        sources: addresses of what is said here of its layout and counts.
        unverified: what of the layout could not be verified; None: nothing.
        traps: what goes wrong with it.
        target: what its labels mean.
        labels: code of a label → class; empty: labels are classes or numbers.
        dropped: labels that are left out on purpose.
        options: by name.
        layouts: by name; the first of which a recording is found counts.
        arrays: file or folder that marks arrays which were made of the corpus; the module of its name reads them.
        folds: speakers; the test split is one of these, valid the next, train the others. Two folds: no valid.
        files: what recordings there are, by their ids; empty: it isn't known.
        counts: published ones; of those that fit, the first counts.
    """

    title: Text
    what: Text
    modalities: tuple[Literal["voice", "face", "words", "landmarks"], ...]
    hours: Annotated[float, Field(gt=0)] | None = None
    languages: tuple[Text, ...] = ()
    people: Annotated[int, Field(gt=0)] | None = None
    home: Text | None = None
    ask: Text | None = None
    sources: tuple[Text, ...] = ()
    unverified: Text | None = None
    traps: tuple[Text, ...] = ()
    inputs: dict[str, CorpusInput] = Field(default_factory=dict)
    target: Target
    labels: dict[str, str] = Field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    options: dict[Name, Option] = Field(default_factory=dict)
    layouts: dict[Name, Layout] = Field(min_length=1)
    arrays: Text | None = None
    folds: tuple[tuple[Text, ...], ...] = ()
    files: tuple[Files, ...] = ()
    counts: tuple[Counts, ...] = ()

    @model_validator(mode="after")
    def _is_one_corpus(self) -> PublishedCorpus:
        choices = [choice for option in self.options.values() for choice in option.choices.values()]
        targets = [self.target, *(choice.target for choice in choices if choice.target)]
        classes = list(dict.fromkeys(word for target in targets for word in target.classes or ()))
        for word in [*self.labels.values(), *(word for choice in choices for word in choice.labels.values())]:
            if word not in classes:
                raise unknown_name("class in labels", word, classes)
        for name in set(self.options) & set(OWN_OPTIONS):
            raise ValueError(f"options: every corpus has {name!r} already")
        for name, layout in self.layouts.items():
            if layout.split is None and len(self.folds) < 2:
                raise ValueError(f"layouts.{name}: it says no split, so two or more 'folds' must")
        people = [speaker for fold in self.folds for speaker in fold]
        if len(set(people)) != len(people):
            raise ValueError("folds: a speaker is there twice")
        for count in self.counts:
            for name, word in count.options.items():
                if word not in (self.options[name].choices if name in self.options else ()):
                    raise ValueError(f"counts: there is no option {name} = {word!r}")
        return self
