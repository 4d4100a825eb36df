"""table, show and recipe: what the zoo holds, without any backend."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from keras_lmf import locate
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.recipe import FUSIONS, Recipe
from keras_lmf.records import Backbone
from keras_lmf.zoo import cards, fetching
from keras_lmf.zoo.description import printable, rendered
from keras_lmf.zoo.entry import Entry

COLUMNS = (
    "name", "fusion", "corpus", "modalities", "target", "parameters", "mb", "files",
    "metric", "value", "floor", "weights_licence", "data_licence",
)  # fmt: skip

FILES = "Of files and runs 'keras-lmf inspect' tells."


def table(
    fusion: str | None = None,
    corpus: str | None = None,
    modality: str | None = None,
    licence: str | None = None,
    max_mb: float | None = None,
    cache_dir: str | Path | None = None,
) -> pd.DataFrame:
    """One row per entry that needs no network: the bundled ones, and what was fetched from a mirror.

    Args:
        fusion: "none", "early", "tensor" or "low_rank"; "tfn" and "lmf" are the last two as well.
        corpus: name of a corpus that an entry was trained on.
        modality: an input that the model must have.
        licence: of the weights.
        max_mb: largest size of the weights in MB (10⁶ bytes).
        cache_dir: see `fetch`.

    Returns:
        Columns `name`, `fusion`, `corpus`, `modalities`, `target`, `parameters`, `mb` (weights), `files` (keys for
        `fetch`), `metric`, `value`, `floor` (the headline metric of the weights on the test split, and a constant
        prediction's), `weights_licence`, `data_licence`. No row where nothing fits. An entry that can't be read is
        left out, with a warning (logging).

    Raises:
        LMFError: a value that no entry has.
    """
    entries = []
    for name, folder in locate.known_entries(cache_dir).items():
        try:
            entry = Entry.read(folder)
            if entry.name != name:
                raise LMFError(
                    f"The folder {folder} holds the entry {entry.name!r}. Rename or delete the folder."
                )
            entries.append(entry)
        except (LMFError, OSError) as error:
            logging.getLogger(__name__).warning("Left out of the list: %s", error)
    fusion = (
        {section.acronym: word for word, section in FUSIONS.items()}.get(fusion, fusion) if fusion else None
    )
    _require_known("fusion", fusion, FUSIONS)
    _require_known("corpus", corpus, (name for entry in entries for name in entry.corpora))
    _require_known("modality", modality, (name for entry in entries for name in entry.modalities))
    _require_known("licence", licence, (entry.licences.weights for entry in entries))
    if max_mb is not None and not (isinstance(max_mb, int | float) and max_mb > 0):
        raise LMFError(f"'max_mb' takes a number of megabytes above 0, received {max_mb!r}.")
    kept = [
        _row(entry)
        for entry in entries
        if fusion in (None, entry.fusion)
        and corpus in (None, *entry.corpora)
        and modality in (None, *entry.modalities)
        and licence in (None, entry.licences.weights)
        and (max_mb is None or entry.files["weights"].bytes <= max_mb * 1e6)
    ]
    return pd.DataFrame(kept, columns=list(COLUMNS))


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
        summary = cards.summary(found.folder, found.entry)
        text = rendered("show", entry=found.entry, summary=summary, folder=found.folder, name=place.name)
    return printable(text.rstrip())


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


def _require_known(what: str, value: str | None, allowed: Iterable[str]) -> None:
    names = sorted(set(allowed))
    if value is not None and value not in names:
        raise unknown_name(what, value, names)


def _row(entry: Entry) -> tuple[object, ...]:
    """The entry's values of COLUMNS."""
    headline, metric = next(iter(entry.metrics.get("weights", {}).items()), (None, None))
    return (
        *(entry.name, entry.fusion, ", ".join(entry.corpora), ", ".join(entry.modalities), entry.target.name),
        *(entry.parameters, entry.files["weights"].bytes / 1e6, ", ".join(entry.files)),
        *(headline, metric and metric.value, metric and metric.floor),
        *(entry.licences.weights, entry.licences.data),
    )


def _folder_of(backbone: locate.Place) -> Path:
    return backbone.path or locate.known_backbones()[backbone.name]
