"""An entry's files, written anew from its weights: by a better exporter, without another training."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from keras_lmf import __version__, zoo
from keras_lmf.data import corpora
from keras_lmf.errors import LMFError
from keras_lmf.files import write_atomically
from keras_lmf.locate import RECIPE, WEIGHTS
from keras_lmf.publishing.costs import cost
from keras_lmf.publishing.exports import (
    exported,
    gathered,
    licences_of,
    published_backbones,
    put_in_place,
    require_tensorflow,
    sidecar_spec,
)
from keras_lmf.publishing.retrainings import spreads
from keras_lmf.publishing.shipping import about_a_file, refusals, shipped_formats
from keras_lmf.recipe import Recipe
from keras_lmf.training import Run
from keras_lmf.zoo import Entry, file_records, metric_block, read_testvectors


def renew(folder: str | Path, work: str | Path, *, root: str | Path | None = None) -> Entry:
    """Writes every format of a published entry anew from its weights, and judges and ships them as `publish` does.

    Weights, test vectors, temperatures and the figures of the Keras model stay. Those of the files become those of the
    new ones, from the shipped weights alone: other trainings are no longer at hand, so `seeds` of a file has one run.
    Licences are told as `publish` would tell them now. Runs on the TensorFlow backend.

    Args:
        folder: the entry's.
        work: for the exported files.
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.

    Raises:
        LMFError: another backend, no entry, a corpus that is not at hand, weights that do not answer the entry's test
            vectors, or no format that could be written.
    """
    require_tensorflow("renew")
    folder, work = Path(folder).resolve(), Path(work)
    entry = Entry.read(folder)
    zoo.load(folder)  # its checks
    recipe = Recipe.read(folder / RECIPE)
    corpus = corpora.load(recipe.corpus.name, root, recipe.recorded, **recipe.corpus.options)
    facts = corpora.describe(recipe.corpus.name, folder, recipe.inputs)
    run = Run(work / "run", recipe, corpus.select(list(recipe.inputs)))
    for name in (RECIPE, WEIGHTS):
        write_atomically(run.folder / name, lambda path, name=name: shutil.copyfile(folder / name, path))
    licences = licences_of(facts, published_backbones(recipe))
    spec = sidecar_spec(recipe, run.dataset(), facts, entry.calibration, licences)
    artifacts, refused = exported(run, spec, 1000)
    if not artifacts:
        raise LMFError(f"No file of {entry.name!r} could be written. {' '.join(refusals(refused))}")
    notes = [note for note in entry.protocol if not about_a_file(note)] + refusals(refused)
    scores = {name: [artifact.metrics] for name, artifact in artifacts.items()}
    measured = {
        name for (metrics,) in scores.values() for name in metrics
    }  # an older entry may have metrics that are no longer measured
    model, seeds = (_only(measured, block["weights"]) for block in (entry.metrics, entry.seeds))
    values = {name: metric.value for name, metric in model.items()}
    vectors = read_testvectors(folder / entry.files["testvectors"].name)
    made = work / "entry"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    shipped = shipped_formats(artifacts, scores | {"weights": [values]}, vectors, spec, notes)
    files = {key: entry.files[key] for key in ("weights", "testvectors")}
    renewed = entry.model_copy(
        update={
            "files": files | file_records(made, gathered(artifacts, shipped, made)),
            "metrics": {"weights": model}
            | {name: metric_block(artifact.table) for name, artifact in artifacts.items()},
            "costs": {name: cost(artifact) for name, artifact in artifacts.items()},
            "seeds": {"weights": seeds} | {name: spreads(rows) for name, rows in scores.items()},
            "protocol": tuple(notes),
            "licences": licences,
            "keras_lmf_version": __version__,
        }
    )
    put_in_place(renewed, made, folder)
    return renewed


def _only(names: Collection[str], block: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name in names}
