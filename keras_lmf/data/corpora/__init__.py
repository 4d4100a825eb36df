"""The corpora by name. One module a corpus, each with `load(root=None, **options) -> Dataset` and its `DESCRIPTION`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_type_hints

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from keras_lmf.data.corpora.description import (
    CorpusDescription,
    join_descriptions,
    read_description,
)
from keras_lmf.data.corpora.files import LABELS, is_clips
from keras_lmf.data.corpora.joined import join
from keras_lmf.data.corpora.vocabulary import meanings
from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError, invalid, unknown_name
from keras_lmf.sources import RecordedInput

# A corpus is the module of its name.
CORPORA = (
    "clips",
    "cmu_mosi",
    "emodb",
    "enterface05_landmarks",
    "fer2013",
    "iemocap",
    "pom",
    "ravdess",
    "synthetic",
    "synthetic_steps",
    "voices_and_faces",
)
PICKLES = (".pkl", ".pickle", ".p", ".pk", ".pck")  # the field's names for one thing
DESCRIBED = tuple(name for name in CORPORA if name != "clips")  # those are anybody's


def load(
    name: str | Path | Sequence[str],
    root: str | Path | None = None,
    inputs: Mapping[str, RecordedInput] | None = None,
    **options: object,
) -> Dataset:
    """The corpus `name`, or the dataset of your own file.

    Args:
        name: one of `CORPORA`; the path of an .npz (layout: `Dataset.save`); or the path of a .pkl as MMSA and MulT
            read them (layout and options: `corpora.pickled_splits.load`, which runs none of the file's code); or the
            path of a folder of your own clips (layout and options: `corpora.clips.load`). Several of these are joined
            in one dataset: `corpora.joined.join`.
        root: the folder that holds the corpora; None takes the environment variable KERAS_LMF_DATA. A relative path
            of a file or folder is then one in this folder. For "clips" it is the folder of the clips itself.
        inputs: what recordings are to fill (`Recipe.recorded`), for a corpus of recordings; None: what its own `load`
            fills by itself. Other corpora take no notice.
        options: what the corpus's own `load` accepts, for example `fold=2` for "ravdess", `target=…` for a .pkl. Of
            several: what all of them accept; under a corpus's name a table of what it alone does, for example
            `emodb={"fold": 3}`, which comes before; and `merge` and `words` of `corpora.joined.join`.
    """
    if not isinstance(name, str | Path):
        return _load_several(name, root, inputs, options)
    if name in CORPORA:
        return _load(str(name), str(name), root, inputs, options)
    path = Path(name) if root is None else Path(root) / name
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        return _load("pickled_splits", ".pkl", path, None, options)
    if suffix == ".npz":
        if options:
            raise LMFError(f"{name}: a file takes no options, received {', '.join(sorted(options))}.")
        return Dataset.load(path)
    if is_clips(path):
        return _load("clips", "clips", path, inputs, options)
    hint = f"Or give the path of your own .npz or .pkl, or of a folder of clips that holds {LABELS}."
    raise unknown_name("corpus", name, CORPORA, hint=hint)


def _load_several(
    names: Sequence[str],
    root: str | Path | None,
    inputs: Mapping[str, RecordedInput] | None,
    options: dict[str, object],
) -> Dataset:
    """The corpora of these names, each with its own and the common options, as one."""
    known = [short_name(name) for name in names]
    if len(names) < 2 or len(set(known)) != len(known):
        raise LMFError(f"Corpora are joined where two or more have different names, received {list(names)}.")
    try:
        choices = _Choices.model_validate(
            {key: options[key] for key in _Choices.model_fields if key in options}
        )
    except ValidationError as error:
        raise invalid(error, _Choices, f"Corpora {'+'.join(known)}") from None
    meanings(choices.merge, choices.words)  # a mistake in them is told before anything is read
    own = {name: options.get(name, {}) for name in known}
    common = {key: value for key, value in options.items() if key not in (*known, *_Choices.model_fields)}
    for name, table in own.items():
        if not isinstance(table, Mapping):
            raise LMFError(
                f"The option {name!r} takes a table of options of this corpus, received {table!r}."
            )
    members = {
        short: load(name, root, inputs, **{**common, **own[short]}) for name, short in zip(names, known)
    }
    return join(members, choices.merge, choices.words)


def short_name(name: str | Path) -> str:
    """A corpus's name in ids and tables; of a path the last part, without suffix."""
    return str(name) if name in CORPORA else Path(name).stem


class _Choices(BaseModel):
    """The options of `join`."""

    model_config = ConfigDict(strict=True)

    merge: list[str] = []
    words: dict[str, str] = {}


def _load(
    module: str,
    name: str,
    place: str | Path | None,
    inputs: Mapping[str, RecordedInput] | None,
    options: dict[str, object],
) -> Dataset:
    """The module's `load(place, **options)`, with its options' names and types checked: a recipe may say anything."""
    corpus_load = importlib.import_module(f"{__name__}.{module}").load
    hints = get_type_hints(corpus_load, include_extras=True)
    allowed = list(inspect.signature(corpus_load).parameters)[1:]
    given = {"inputs": inputs} if inputs is not None and "inputs" in allowed else {}
    allowed = [option for option in allowed if option != "inputs"]
    for option in options:
        if option not in allowed:
            raise unknown_name(f"{name} option", option, allowed)
    values = {key: value.item() if isinstance(value, np.generic) else value for key, value in options.items()}
    typed = create_model(
        "Options", __config__=ConfigDict(strict=True), **{option: (hints[option], ...) for option in values}
    )
    try:
        typed.model_validate(values)
        return corpus_load(place, **given, **values)
    except ValidationError as error:
        raise invalid(error, typed, f"Corpus {name!r}") from None
    except MemoryError:
        raise LMFError(f"Corpus {name!r}: there is no memory for what {values} asks for.") from None


def describe(corpus: str | Sequence[str], folder: Path, inputs: Iterable[str]) -> CorpusDescription:
    """What is known of a corpus by its name; of one's own, what the about.toml of `folder` says, for these inputs; of
    several, what is known of all as one."""
    if not isinstance(corpus, str):
        return join_descriptions({short_name(name): describe(name, folder, inputs) for name in corpus})
    if corpus in DESCRIBED:
        return _description(corpus)
    if Path(corpus).name != corpus:
        raise LMFError(f"The corpus {corpus!r} must be a file's name alone: give its folder with --data.")
    path = folder / "about.toml"
    if not path.is_file():
        raise unknown_name("corpus with a description", corpus, DESCRIBED, f"Or describe your own in {path}.")
    return read_description(path, inputs)


def title(corpus: str) -> str:
    """What readers call a corpus; one of one's own is called by its name."""
    return _description(corpus).title if corpus in DESCRIBED else corpus


def _description(corpus: str) -> CorpusDescription:
    return importlib.import_module(f"{__name__}.{corpus}").DESCRIPTION
