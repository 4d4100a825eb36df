"""table, show and recipe: what the zoo holds, without any backend."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_lmf import locate
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.recipe import FUSIONS, Recipe
from keras_lmf.records import Backbone
from keras_lmf.zoo import cards, fetching
from keras_lmf.zoo.description import KINDS, best_file, kinds, printable, rendered, size
from keras_lmf.zoo.entry import Entry
from keras_lmf.zoo.synopsis import Limits

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "name", "fusion", "corpus", "modalities", "target", "parameters", "mb", "files",
    "metric", "value", "floor", "weights_licence", "data_licence",
    "takes", "file", "file_mb", "file_ms", "licence",
)  # fmt: skip

FILES = "Of files and runs 'keras-lmf inspect' tells."


def table(
    fusion: str | None = None,
    corpus: str | None = None,
    modality: str | None = None,
    licence: str | None = None,
    max_mb: float | None = None,
    cache_dir: str | Path | None = None,
    takes: str | None = None,
    max_ms: float | None = None,
) -> pd.DataFrame:
    """One row per entry that needs no network: the bundled ones, and what was fetched from a mirror.

    Args:
        fusion: "none", "early", "tensor" or "low_rank"; "tfn" and "lmf" are the last two as well.
        corpus: name of a corpus that an entry was trained on.
        modality: an input that the model must have.
        licence: of the weights, in a word: "research-only", "non-commercial", "attribution", "Apache-2.0", ….
        max_mb: largest size of the best file in MB (10⁶ bytes).
        cache_dir: see `fetch`.
        takes: "clip" (voice and face), "sound", "photo" or "features".
        max_ms: longest time of the best file for one row on one thread, in milliseconds, on the machine of the cards.

    Words may be in capitals or not.

    Returns:
        Columns `name`, `fusion`, `corpus`, `modalities`, `target`, `parameters`, `mb` (weights), `files` (keys for
        `fetch`), `metric`, `value`, `floor` (the headline metric of the weights on the test split, and a constant
        prediction's), `weights_licence`, `data_licence`, `takes`, `file` (the key of the best file: the smallest
        `.tflite` that is shipped, else the float32 one, which export writes), `file_mb`, `file_ms` (NaN: not measured)
        and `licence` (of the weights, in a word). No row where nothing fits. An entry that can't be read is left out,
        with a warning (logging).

    Raises:
        LMFError: a value that no entry has.
    """
    import pandas as pd  # takes a second, which `keras-lmf list` needn't wait

    fitting = entries(fusion, corpus, modality, licence, max_mb, cache_dir, takes, max_ms)
    return pd.DataFrame([_row(entry) for entry in fitting], columns=list(COLUMNS))


def records(fitting: Iterable[Entry]) -> list[dict[str, object]]:
    """Of each entry its row of `table`, for JSON."""
    return [dict(zip(COLUMNS, _row(entry))) for entry in fitting]


def entries(
    fusion: str | None = None,
    corpus: str | None = None,
    modality: str | None = None,
    licence: str | None = None,
    max_mb: float | None = None,
    cache_dir: str | Path | None = None,
    takes: str | None = None,
    max_ms: float | None = None,
) -> list[Entry]:
    """The entries of `table`, whose arguments and errors these are, by name."""
    known = []
    for name, folder in locate.known_entries(cache_dir).items():
        try:
            entry = Entry.read(folder)
            if entry.name != name:
                raise LMFError(
                    f"The folder {folder} holds the entry {entry.name!r}. Rename or delete the folder."
                )
            known.append(entry)
        except (LMFError, OSError) as error:
            logging.getLogger(__name__).warning("Left out of the list: %s", error)
    acronyms = {section.acronym: word for word, section in FUSIONS.items() if section.acronym}
    fusion = acronyms.get(fusion.lower(), fusion) if fusion else None
    words: dict[str, tuple[str | None, Iterable[str], Callable[[Entry], Iterable[str]]]] = {
        "fusion": (fusion, FUSIONS, lambda entry: [entry.fusion]),
        "corpus": (corpus, (), lambda entry: entry.corpora),
        "modality": (modality, (), lambda entry: entry.modalities),
        "licence": (licence, (), lambda entry: [entry.licences.word]),
        "kind of input": (takes, KINDS, kinds),
    }
    fits = known
    for what, (wanted, allowed, said) in words.items():
        if wanted is not None:
            names = set(allowed) or {word for entry in known for word in said(entry)}
            word = _known(what, wanted, names)
            fits = [entry for entry in fits if word in said(entry)]
    if max_mb is not None:
        most = _positive("max_mb", max_mb, "megabytes") * 1e6
        fits = [entry for entry in fits if size(entry, best_file(entry)) <= most]
    if max_ms is not None:
        longest = _positive("max_ms", max_ms, "milliseconds")
        fits = [entry for entry in fits if (ms := _milliseconds(entry)) is not None and ms <= longest]
    return fits


def brief(name: str | Path, cache_dir: str | Path | None = None) -> str:
    """About fifteen lines about a zoo entry, as in the box of its card: what it is for, what it takes and answers, how
    often it is right and how sure that is, its best file, its licence.

    Of what is no entry, and errors: as `show`.
    """
    place = locate.locate(name, "entry", "backbone", hint=FILES)
    if place.kind != "entry":
        return show(name, cache_dir)
    found = fetching.files_of(place, cache_dir)
    told = cards.told(found.folder, found.entry, Limits.find(found.folder))
    return printable(rendered("brief", name=place.name, **told).rstrip())


def show(name: str | Path, cache_dir: str | Path | None = None) -> str:
    """A text about a zoo entry (a name, or a folder that holds one) or a backbone's weights.

    Of an entry: what it does, inputs, files with their sizes, latencies and metrics, licences, how to load it.

    Raises:
        LMFError: no such entry.
    """
    place = locate.locate(name, "entry", "backbone", hint=FILES)
    if place.kind == "backbone":
        text = cards.backbone_card(_folder_of(place))
    else:
        found = fetching.files_of(place, cache_dir)
        told = cards.told(found.folder, found.entry, Limits.find(found.folder))
        text = rendered("show", folder=found.folder, name=place.name, **told)
    return printable(text.rstrip())


def app_code(name: str | Path, language: str, cache_dir: str | Path | None = None) -> str:
    """Markdown with a class for an app that runs a `.tflite` of an entry; it was not compiled.

    Inputs, labels and temperatures are the entry's. It takes and gives float32, so it is for all files but those whose
    inputs and outputs are int8.

    Args:
        name: of an entry, or a folder that holds one.
        language: "kotlin" (LiteRT for Android) or "swift" (TensorFlow Lite for iOS).
        cache_dir: see `fetch`.

    Raises:
        LMFError: no such entry, or another language.
    """
    if language not in cards.LANGUAGES:
        raise unknown_name("language", language, cards.LANGUAGES)
    return printable(cards.app_code(find(name, cache_dir), language))


def facts(name: str | Path, cache_dir: str | Path | None = None) -> dict[str, Any]:
    """What `show` tells, for a program: the record of an entry or a backbone, with its `folder`.

    Errors as of `show`.
    """
    place = locate.locate(name, "entry", "backbone", hint=FILES)
    if place.kind == "entry":
        found = fetching.files_of(place, cache_dir)
        folder, record = found.folder, found.entry
    else:
        folder = _folder_of(place)
        record = Backbone.read(folder)
    return {"folder": str(folder), **record.model_dump(mode="json", exclude_none=True)}


def find(name: str | Path, cache_dir: str | Path | None = None) -> Entry:
    """What is known of an entry: its inputs, metrics, licences, temperature.

    Args and errors as of `recipe`.
    """
    return fetching.find(name, cache_dir).entry


def recipe(name: str | Path, cache_dir: str | Path | None = None) -> Recipe:
    """The recipe of a zoo entry (a name, or a folder that holds one).

    Raises:
        LMFError: no such entry, or its recipe.toml is not the one it was trained with.
    """
    return fetching.recipe(fetching.find(name, cache_dir))


def _known(what: str, wanted: str, allowed: Collection[str]) -> str:
    """That one of `allowed`, whatever its capitals."""
    found = {word.casefold(): word for word in allowed}.get(wanted.casefold())
    if found is None:
        raise unknown_name(what, wanted, sorted(allowed))
    return found


def _positive(name: str, value: float, unit: str) -> float:
    if not (isinstance(value, int | float) and value > 0):
        raise LMFError(f"{name!r} takes a number of {unit} above 0, received {value!r}.")
    return value


def _milliseconds(entry: Entry) -> float | None:
    """Of the best file."""
    cost = entry.costs.get(best_file(entry))
    return cost and cost.latency_p50_ms


def _row(entry: Entry) -> tuple[object, ...]:
    """The entry's values of COLUMNS."""
    headline, metric = next(iter(entry.metrics.get("weights", {}).items()), (None, None))
    best = best_file(entry)
    return (
        *(entry.name, entry.fusion, ", ".join(entry.corpora), ", ".join(entry.modalities), entry.target.name),
        *(entry.parameters, entry.files["weights"].bytes / 1e6, ", ".join(entry.files)),
        *(headline, metric and metric.value, metric and metric.floor),
        *(entry.licences.weights, entry.licences.data),
        *(", ".join(kinds(entry)), best, size(entry, best) / 1e6, _milliseconds(entry), entry.licences.word),
    )


def _folder_of(backbone: locate.Place) -> Path:
    return backbone.path or locate.known_backbones()[backbone.name]
