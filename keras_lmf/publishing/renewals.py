"""An entry's files, written anew from its weights: by a better exporter, without another training."""

from __future__ import annotations

import shutil
from pathlib import Path

from keras_lmf import __version__, zoo
from keras_lmf.data import corpora
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
            vectors.
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
    notes = [note for note in entry.protocol if not about_a_file(note)] + refusals(refused)
    metrics = {"weights": entry.metrics["weights"]}
    scores = {name: [artifact.metrics] for name, artifact in artifacts.items()}
    model = [{name: metric.value for name, metric in metrics["weights"].items()}]
    vectors = read_testvectors(folder / entry.files["testvectors"].name)
    made = work / "entry"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    shipped = shipped_formats(artifacts, scores | {"weights": model}, vectors, spec, notes)
    files = {key: entry.files[key] for key in ("weights", "testvectors")}
    renewed = entry.model_copy(
        update={
            "files": files | file_records(made, gathered(artifacts, shipped, made)),
            "metrics": metrics | {name: metric_block(artifact.table) for name, artifact in artifacts.items()},
            "costs": {name: cost(artifact) for name, artifact in artifacts.items()},
            "seeds": {"weights": entry.seeds["weights"]}
            | {name: spreads(rows) for name, rows in scores.items()},
            "protocol": tuple(notes),
            "licences": licences,
            "keras_lmf_version": __version__,
        }
    )
    put_in_place(renewed, made, folder)
    return renewed
