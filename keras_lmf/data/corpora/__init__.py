"""The corpora by name.

A published corpus, as it is downloaded, is a TOML in `published/`. Others, and arrays that were made of a corpus, are a
module of their name with `load(root=None, **options) -> Dataset`, and its `DESCRIPTION` where there is no TOML.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_type_hints

import numpy as np
from pydantic import ConfigDict, ValidationError, create_model

from keras_lmf.data.corpora import clips, joined, published
from keras_lmf.data.corpora.description import CorpusDescription, join_descriptions, read_description
from keras_lmf.data.corpora.files import LABELS, class_files, is_clips, is_there
from keras_lmf.data.corpora.published import loading
from keras_lmf.data.corpora.published.options import choose
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.extraction import stored
from keras_lmf.data.recordings import Recordings
from keras_lmf.errors import LMFError, invalid, unknown_name
from keras_lmf.sources import RecordedInput, Source

# A corpus is the TOML or the module of its name, or both.
CORPORA = (
    "clips",
    "cmu_mosei",
    "cmu_mosi",
    "crema_d",
    "emodb",
    "enterface05",
    "enterface05_landmarks",
    "fer2013",
    "ferplus",
    "iemocap",
    "meld",
    "nemo",
    "pom",
    "ravdess",
    "savee",
    "synthetic",
    "synthetic_steps",
    "tess",
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
            read them (layout and options: `corpora.pickled_splits.load`, which runs none of the file's code); the path
            of a folder of your own clips (layout and options: `corpora.clips.load`); of one that `keras-lmf extract`
            wrote (`extraction.stored`); or of a .toml that describes a corpus of your own as `published` describes
            others. Several of these are joined in one dataset: `corpora.joined.join`.
        root: the folder that holds the corpora; None takes the environment variable KERAS_LMF_DATA. A relative path
            of a file or folder is then one in this folder (of a .toml, where there is none at the path itself). For
            "clips" it is the folder of the clips itself; it may be that of a published corpus itself.
        inputs: what recordings are to fill (`Recipe.recorded`), for a corpus of recordings; None: what its own `load`
            fills by itself. Extracted arrays must have been filled so. Other corpora take no notice.
        options: what the corpus's own `load` accepts, for example `fold=2` for "ravdess", `target=…` for a .pkl. Of
            several: what all of them accept; under a corpus's name a table of what it alone does, for example
            `emodb={"fold": 3}`, which comes before; and `merge` and `words` of `corpora.joined.join`.
    """
    if not isinstance(name, str | Path):
        joined.require_apart({str(one): material(one, root) for one in name})
        return joined.load(name, options, lambda one, own: load(one, root, inputs, **own))
    if name in CORPORA:
        if published.is_published(str(name)) and not _as_arrays(str(name), root, inputs, options):
            return loading.load(str(name), root, inputs, options)
        return _load(str(name), str(name), root, inputs, options)
    if published.is_own(name):
        return loading.load(_toml(name, root), root, inputs, options)
    path = Path(name) if root is None else Path(root) / name
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        return _load("pickled_splits", ".pkl", path, None, options)
    if suffix == ".npz":
        if options:
            raise LMFError(f"{name}: a file takes no options, received {', '.join(sorted(options))}.")
        return Dataset.load(path)
    if stored.is_arrays(path):
        if options:
            raise LMFError(
                f"{name}: extracted arrays take no options, received {', '.join(sorted(options))}."
            )
        return stored.open_arrays(path, inputs)
    if is_clips(path) or class_files(path):
        return _load("clips", "clips", path, inputs, options)
    hint = f"Or give the path of your own .npz or .pkl, or of a folder of clips that holds {LABELS}."
    raise unknown_name("corpus", name, CORPORA, hint=hint)


def recordings(name: str | Path, root: str | Path | None = None, **options: object) -> Recordings:
    """The labelled recordings of a corpus, before anything of them is decoded.

    Args:
        name: of a published corpus or the path of a .toml that describes one's own, in `root`; "clips", in `root`; or
            the path of a folder of clips.
        root: as of `load`.
        options: of the published corpus, or of `corpora.clips.recordings`.
    """
    if published.is_published(str(name)) or published.is_own(name):
        corpus, word = published.read(name), loading.called(name)
        if not corpus.layouts:
            raise unknown_name("corpus of recordings", name, ("clips", *_recorded()))
        chosen = choose(corpus, word, options)
        at = loading.find_layout(corpus, word, root, chosen)
        if at.layout in corpus.features:
            raise LMFError(f"Corpus {word!r}: {at.folder} holds features ({at.layout}), no recordings.")
        return loading.recordings(corpus, word, at, chosen).recordings
    path = Path(name) if root is None else Path(root) / name
    if str(name) != "clips" and not (is_clips(path) or class_files(path)):
        hint = f"Or give the path of a folder of clips that holds {LABELS}."
        raise unknown_name("corpus of recordings", name, ("clips", *_recorded()), hint=hint)
    return clips.recordings(root if str(name) == "clips" else path, **options)


def _recorded() -> tuple[str, ...]:
    """The published corpora that have a layout of recordings."""
    return tuple(name for name in published.names() if published.read(name).layouts)


def sources(name: str | Path) -> dict[str, Source | None]:
    """Input → what of a recording of the corpus fills it, where a recipe doesn't say; nothing of one's own clips."""
    told = published.is_published(str(name)) or published.is_own(name)
    return loading.sources(published.read(name)) if told else {}


def _toml(name: str | Path, root: str | Path | None) -> Path:
    return Path(name) if root is None or Path(name).is_file() else Path(root) / name


def _as_arrays(
    name: str,
    root: str | Path | None,
    inputs: Mapping[str, RecordedInput] | None,
    options: Mapping[str, object],
) -> bool:
    """Whether a published corpus's own module is to read it: nothing else can, its arrays hold what is asked for, or
    nothing is there."""
    corpus = published.read(name)
    if not (corpus.layouts or corpus.features):
        return True
    published_alone = {*corpus.options, "layout", "steps"}
    if corpus.arrays is None or set(inputs or ()) - set(corpus.inputs) or set(options) & published_alone:
        return False
    return is_there(name, corpus.arrays, root) or not loading.is_there(corpus, name, root)


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
        return join_descriptions({joined.short_name(name): describe(name, folder, inputs) for name in corpus})
    if corpus in DESCRIBED:
        return _description(corpus)
    if published.is_own(corpus):
        return published.read(corpus if Path(corpus).is_file() else folder / corpus)
    if Path(corpus).name != corpus:
        raise LMFError(f"The corpus {corpus!r} must be a file's name alone: give its folder with --data.")
    path = folder / "about.toml"
    if not path.is_file():
        raise unknown_name("corpus with a description", corpus, DESCRIBED, f"Or describe your own in {path}.")
    return read_description(path, inputs)


def material(corpus: str | Path, root: str | Path | None = None) -> frozenset[str]:
    """The corpora whose recordings it holds: itself, and what it is made of."""
    if published.is_own(corpus):
        return frozenset({str(corpus), *published.read(_toml(corpus, root)).made_of})
    return frozenset({str(corpus), *(_description(str(corpus)).made_of if corpus in DESCRIBED else ())})


def title(corpus: str) -> str:
    """What readers call a corpus; one of one's own is called by its name."""
    return _description(corpus).title if corpus in DESCRIBED else corpus


def _description(corpus: str) -> CorpusDescription:
    if published.is_published(corpus):
        return published.read(corpus)
    return importlib.import_module(f"{__name__}.{corpus}").DESCRIPTION
