"""table, show and recipe: what the zoo holds, without any backend."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from keras_lmf import locate
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.recipe import Recipe
from keras_lmf.spec import MAX_TEXT_BYTES
from keras_lmf.zoo import backbones, fetching
from keras_lmf.zoo.entry import Entry, Metric
from keras_lmf.zoo.facts import facts

COLUMNS = (
    "name", "fusion", "corpus", "modalities", "target", "parameters", "mb", "files",
    "metric", "value", "floor", "weights_licence", "data_licence",
)  # fmt: skip
FUSIONS = ("early", "tensor", "low_rank")
PAPERS_NAMES = {"tfn": "tensor", "lmf": "low_rank"}


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
        fusion: "early", "tensor" or "low_rank"; "tfn" and "lmf" are the last two as well.
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
            entries.append(_named(name, folder))
        except (LMFError, OSError) as error:
            logging.getLogger(__name__).warning("Left out of the list: %s", error)
    fusion = PAPERS_NAMES.get(fusion, fusion) if fusion else None
    _require_known("fusion", fusion, FUSIONS)
    _require_known("corpus", corpus, (entry.corpus for entry in entries))
    _require_known("modality", modality, (name for entry in entries for name in entry.modalities))
    _require_known("licence", licence, (entry.licences.weights for entry in entries))
    if max_mb is not None and not (isinstance(max_mb, int | float) and max_mb > 0):
        raise LMFError(f"'max_mb' takes a number of megabytes above 0, received {max_mb!r}.")
    kept = [
        entry
        for entry in entries
        if fusion in (None, entry.fusion)
        and corpus in (None, entry.corpus)
        and (modality is None or modality in entry.modalities)
        and licence in (None, entry.licences.weights)
        and (max_mb is None or entry.files["weights"].bytes <= max_mb * 1e6)
    ]
    return pd.DataFrame([_row(entry) for entry in kept], columns=list(COLUMNS))


def show(name: str | Path, cache_dir: str | Path | None = None) -> str:
    """A text about a zoo entry (a name, or a folder that holds one), a backbone's weights, or a `.tflite` file.

    Of an entry: what it is, inputs, metrics per file, files, licences, how to load it. Of a file: size, inputs,
    outputs, and the JSON beside it where there is one (`model.tflite.json` or `model.json`).

    Raises:
        LMFError: no such entry or file, or another kind of file.
    """
    if str(name) in (published := locate.known_backbones()):
        return backbones.card(backbones.Backbone.read(published[str(name)]))
    path = locate.local_path(name)
    if path is not None and not path.is_dir():
        text = _about_file(path)
    else:
        text = _about_entry(fetching.find(name, cache_dir), str(name))
    # Names inside a file may hold anything; a terminal obeys control characters.
    return "".join(
        mark if mark.isprintable() or mark == "\n" else "\N{REPLACEMENT CHARACTER}" for mark in text
    )


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


def _named(name: str, folder: Path) -> Entry:
    entry = Entry.read(folder)
    if entry.name != name:
        raise LMFError(f"The folder {folder} holds the entry {entry.name!r}. Rename or delete the folder.")
    return entry


def _require_known(what: str, value: str | None, allowed: Iterable[str]) -> None:
    names = sorted(set(allowed))
    if value is not None and value not in names:
        raise unknown_name(what, value, names)


def _row(entry: Entry) -> dict[str, object]:
    headline, metric = next(iter(entry.metrics.get("weights", {}).items()), (None, None))
    return {
        "name": entry.name,
        "fusion": entry.fusion,
        "corpus": entry.corpus,
        "modalities": ", ".join(entry.modalities),
        "target": entry.target.name,
        "parameters": entry.parameters,
        "mb": entry.files["weights"].bytes / 1e6,
        "files": ", ".join(entry.files),
        "metric": headline,
        "value": metric and metric.value,
        "floor": metric and metric.floor,
        "weights_licence": entry.licences.weights,
        "data_licence": entry.licences.data,
    }


def _about_entry(place: fetching.Place, name: str) -> str:
    entry = place.entry
    target = entry.target
    answer = (
        f"logits of {', '.join(target.classes)}"
        if target.classes
        else f"{', '.join(target.dimensions or ('a value',))} in {target.range[0]:g} … {target.range[1]:g}"
    )
    inputs = [
        {"input": key, "a row": _shape(spec.shape), "unit": spec.unit, "description": spec.description}
        for key, spec in entry.inputs.items()
    ]
    files = [
        {"file": key, "name": file.name, "bytes": f"{file.bytes:,}"} for key, file in entry.files.items()
    ]
    sections = [
        f"{entry.name}: {entry.summary}",
        *([entry.warning] if entry.warning else []),
        f"Fusion {entry.fusion} of {', '.join(entry.modalities)}; {entry.parameters:,} parameters; trained on "
        f"{entry.corpus}.\nOutput {target.name!r}, (batch, {target.size}): {answer}.",
        _aligned(inputs),
        *facts(entry),
    ]
    if entry.metrics:
        sections.append(
            f"Test split, per file: value [95 % interval]; floor: a constant prediction\n{_metrics(entry)}"
        )
    if entry.seeds:
        sections.append(f"Over seeds: mean ± standard deviation\n{_seeds(entry)}")
    if entry.cross_validation:
        rows = [
            {"metric": key, "mean": f"{part.mean:.4f}", "sd": f"{part.sd:.4f}", "folds": part.runs}
            for key, part in entry.cross_validation.items()
        ]
        sections.append(f"Over folds\n{_aligned(rows)}")
    if entry.alone:
        rows = [
            {"modality": name} | {key: f"{part.mean:.4f} ± {part.sd:.4f}" for key, part in block.items()}
            for name, block in entry.alone.items()
        ]
        sections.append(f"Each modality alone, over seeds: mean ± standard deviation\n{_aligned(rows)}")
    if entry.protocol:
        sections.append("Notes\n" + "\n".join(f"- {note}" for note in entry.protocol))
    licences = entry.licences
    sections += [
        f"Files\n{_aligned(files)}",
        f"Licences: code {licences.code}; weights {licences.weights}; training data {licences.data}",
        f"Load it:   model = keras_lmf.load({name!r})\n"
        f"Its files: paths = keras_lmf.zoo.fetch({name!r}, files={list(entry.files)[:3]})",
        f"Written by keras-lmf {entry.keras_lmf_version}; in {place.folder}",
    ]
    return "\n\n".join(sections)


def _metrics(entry: Entry) -> str:
    """One row per metric, one column per file, and the floor."""
    names = dict.fromkeys(name for block in entry.metrics.values() for name in block)
    rows = []
    for name in names:
        found = {key: block[name] for key, block in entry.metrics.items() if name in block}
        floor = next((metric.floor for metric in found.values() if metric.floor is not None), None)
        row: dict[str, object] = {"metric": name}
        row |= {key: _value(found[key]) if key in found else "" for key in entry.metrics}
        rows.append(row | {"floor": "" if floor is None else f"{floor:.4f}"})
    return _aligned(rows)


def _seeds(entry: Entry) -> str:
    """One row per metric, one column per file."""
    names = dict.fromkeys(name for block in entry.seeds.values() for name in block)
    return _aligned(
        [
            {"metric": name}
            | {
                key: f"{block[name].mean:.4f} ± {block[name].sd:.4f} ({block[name].runs})"
                if name in block
                else ""
                for key, block in entry.seeds.items()
            }
            for name in names
        ]
    )


def _value(metric: Metric) -> str:
    interval = "" if metric.low is None or metric.high is None else f" [{metric.low:.3f}, {metric.high:.3f}]"
    return f"{metric.value:.4f}{interval}"


def _about_file(path: Path) -> str:
    if not path.exists():
        raise LMFError(f"There is no file or folder {path}.")
    if path.suffix != ".tflite":
        raise LMFError(
            f"Can't show {path}. Give the name of a zoo entry, the folder of one, or a .tflite file."
        )
    from keras_lmf.runtime import open_artifact

    opened = open_artifact(path)
    inputs = [
        {"input": name, "a row": _shape(spec.shape), "dtype": str(spec.dtype)}
        for name, spec in opened.inputs.items()
    ]
    sections = [
        f"{path}: a TFLite model, {path.stat().st_size:,} bytes",
        _aligned(inputs),
        f"Outputs: {', '.join(opened.outputs)}",
    ]
    for beside in (path.with_name(f"{path.name}.json"), path.with_suffix(".json")):
        if beside.is_file():
            sections.append(f"{beside.name}\n{_sidecar(beside)}")
    sections.append(f"Run it:  keras_lmf.runtime.open_artifact({str(path)!r}).predict(inputs)")
    return "\n\n".join(sections)


def _sidecar(path: Path) -> str:
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise LMFError(f"{path} is larger than {MAX_TEXT_BYTES} bytes, so it does not describe a model.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise LMFError(f"{path} is not readable JSON: {error}") from None
    fields = content if isinstance(content, dict) else {"content": content}
    return "\n".join(f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items())


def _shape(shape: Iterable[int | None]) -> str:
    return "(" + ", ".join("any" if width is None else str(width) for width in shape) + ")"


def _aligned(rows: list[dict[str, object]]) -> str:
    """The rows as columns, left-aligned."""
    cells = [[*rows[0]], *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        ("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths))).rstrip() for line in cells
    )
