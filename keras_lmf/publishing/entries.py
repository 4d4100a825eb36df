"""publish: the recipe in a folder becomes a zoo entry: trained with several seeds, exported, measured, described."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import keras

from keras_lmf import __version__
from keras_lmf.data import Dataset, corpora
from keras_lmf.data.corpora import CorpusDescription
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import evaluate
from keras_lmf.evaluation.subsets import only
from keras_lmf.export import Artifact
from keras_lmf.files import write_atomically
from keras_lmf.locate import RECIPE, TESTVECTORS, WEIGHTS, known_backbones
from keras_lmf.models import pretrained
from keras_lmf.publishing.calibrations import calibrated
from keras_lmf.publishing.costs import cost
from keras_lmf.publishing.retrainings import LEFT_OUT, cross_validation, experts, left_out, spreads, trained
from keras_lmf.publishing.shipping import FORMATS, shipped_formats
from keras_lmf.publishing.vectors import write_vectors
from keras_lmf.recipe import Recipe
from keras_lmf.records import Backbone
from keras_lmf.runtime import open_artifact
from keras_lmf.sidecar import Sidecar
from keras_lmf.spec import ENTRY_NAME, InputSpec, ModelSpec
from keras_lmf.training import Run
from keras_lmf.zoo import (
    Calibration,
    Entry,
    Licences,
    file_records,
    metric_block,
    read_testvectors,
    weight_shapes,
)
from keras_lmf.zoo.description import sentence


def publish(folder: str | Path, work: str | Path, *, root: str | Path | None = None, seeds: int = 5) -> Entry:
    """Makes the folder of a recipe a zoo entry: `entry.json`, weights, test vectors and `.tflite` files.

    The recipe is trained with the seeds 0 … `seeds` − 1; each run is exported to every format, and every file is
    judged on the test split. The run that is best on "valid" is shipped, or seed 0 where the recipe leaves nothing
    to validate on, and its seed is written into recipe.toml. A file that loses more than its budget (mean over the
    seeds), or is too large (`shipping.shipped_formats`), is measured but not shipped, and the entry's notes say why.
    The figures in `cross_validation.csv` (one row per fold, written by the comparison that chose the recipe), where
    there is one, become a block of the entry, and so do those in `experts.csv` (`benchmarks/alone.py` writes it) and
    those in `leave_one_corpus_out.csv` (`evaluate
    --leave-one-corpus-out` writes it into a run's folder): a recipe of several corpora needs it. Runs on the TensorFlow
    backend.

    Args:
        folder: holds recipe.toml; its name becomes the entry's.
        work: for the runs and exported files; finished runs of this recipe there are not trained again, whatever
            backend they ran on.
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        seeds: how many trainings.
    """
    if keras.backend.backend() != "tensorflow":
        raise LMFError("Publishing exports: start again with\n  KERAS_BACKEND=tensorflow keras-lmf publish …")
    folder, work = Path(folder).resolve(), Path(work)
    if not re.fullmatch(ENTRY_NAME, folder.name):
        raise LMFError(
            f"The folder's name becomes the entry's: letters, digits, - and _, received {folder.name!r}."
        )
    recipe = Recipe.read(folder / RECIPE)
    left = left_out(folder)
    if len(recipe.corpus.names) > 1 and not left:
        raise LMFError(
            f"{folder / LEFT_OUT} is missing: what a recipe of several corpora is worth on one that it never met. "
            "Train it, then 'keras-lmf evaluate RUN --leave-one-corpus-out --seeds 5', and copy the table here."
        )
    corpus = corpora.load(recipe.corpus.name, root, recipe.recorded, **recipe.corpus.options)
    corpus = corpus.select(list(recipe.inputs))
    facts = corpora.describe(recipe.corpus.name, folder, recipe.inputs)
    runs = [trained(recipe.replace(seed=seed), corpus, work / f"seed-{seed}") for seed in range(seeds)]
    best, choice = _best(runs)
    data = best.dataset()
    own = facts.voice_notes if any(part.front_end for part in recipe.inputs.values()) else facts.feature_notes
    notes = [*facts.notes, *own, choice]
    calibration = calibrated(best.recipe, corpus, best.model, work)
    published = [Backbone.read(known_backbones()[name]) for name in pretrained.names(recipe).values()]
    licences = Licences(
        code="Apache-2.0",
        weights="; ".join([facts.weights_licence, *(part.licences.weights for part in published)]),
        data=facts.licence,
    )
    specs = [_spec(run.recipe, data, facts, calibration, licences) for run in runs]
    exports = [_exports(run, spec, 1000 if run is best else 0) for run, spec in zip(runs, specs)]
    refused = {name: why for _, problems in exports for name, why in problems.items()}
    notes += [f"No {name} file: {why}"[:1000] for name, why in refused.items()]
    artifacts = {
        name: artifact for name, artifact in exports[runs.index(best)][0].items() if name not in refused
    }
    scores = {name: [exported[name].metrics for exported, _ in exports] for name in artifacts}
    scores["weights"] = [run.evaluate("test", resamples=0).metrics for run in runs]
    # All of it is made beside the runs first: an entry's folder is never half new.
    made = work / "entry"
    shutil.rmtree(made, ignore_errors=True)
    best.recipe.write(made / RECIPE)
    shipped = (
        pretrained.trained_part(best.recipe, best.model) if pretrained.names(best.recipe) else best.model
    )
    shipped.save_weights(made / WEIGHTS)
    write_vectors(made / TESTVECTORS, best, data)
    names = {"weights": WEIGHTS, "testvectors": TESTVECTORS}
    for name in shipped_formats(artifacts, scores, read_testvectors(made / TESTVECTORS), specs[0], notes):
        file = artifacts[name].path
        for key, source in ((name, file), (f"{name}-sidecar", Sidecar.path_of(file))):
            shutil.copyfile(source, made / source.name)
            names[key] = source.name
    told = data.name if isinstance(recipe.corpus.name, str) else recipe.corpus.name
    entry = Entry(
        name=folder.name,
        summary=sentence(recipe.target, recipe.inputs, recipe.fusion.name, told, recipe.corpus.options),
        warning=facts.warning,
        fusion=recipe.fusion.name,
        corpus=recipe.corpus.name,
        modalities=tuple(recipe.inputs),
        parameters=best.model.count_params(),
        inputs=_inputs(recipe, facts),
        target=recipe.target,
        recipe_sha256=best.recipe.fingerprint,
        files=file_records(made, names),
        weights=weight_shapes(best.model),
        metrics={"weights": metric_block(best.evaluate("test").table)}
        | {name: metric_block(artifact.table) for name, artifact in artifacts.items()},
        costs={name: cost(artifact) for name, artifact in artifacts.items()},
        seeds={name: spreads(rows) for name, rows in scores.items()},
        cross_validation=cross_validation(folder),
        left_out=left,
        alone={modality: spreads(rows) for modality, rows in alone(runs).items()},
        experts=experts(folder),
        calibration=calibration,
        presence=recipe.spec.presence,
        protocol=tuple(notes),
        licences=licences,
        citations=(
            "keras-lmf (CITATION.cff)",
            *recipe.fusion.papers,
            *(citation for part in published for citation in part.citations),
            facts.citation,
        ),
        environment=best.environment,
        keras_lmf_version=__version__,
    )
    for path in folder.glob("*.tflite*"):
        path.unlink()
    for path in made.iterdir():
        write_atomically(folder / path.name, functools.partial(shutil.copyfile, path))
    entry.write(folder)
    return entry


def _best(runs: Sequence[Run]) -> tuple[Run, str]:
    """The run to ship, and why."""
    if runs[0].watched is None:
        return runs[0], (
            f"Fitted on train + valid for {runs[0].recipe.training.epochs} epochs, all settings chosen before on "
            "validation; the first seed is shipped."
        )
    best = min(runs, key=lambda run: run.watched.min())
    monitor = runs[0].recipe.training.monitor
    return best, f"Seed {best.recipe.seed} of {len(runs)}: the one with the best {monitor} on validation."


def _inputs(recipe: Recipe, facts: CorpusDescription) -> dict[str, InputSpec]:
    """What the recipe and the corpus know of each input."""
    said = {name: dict(zip(("unit", "description"), facts.inputs[name])) for name in recipe.inputs}
    return {name: spec.model_copy(update=said[name]) for name, spec in recipe.spec.inputs.items()}


def _spec(
    recipe: Recipe,
    data: Dataset,
    facts: CorpusDescription,
    calibration: Calibration | None,
    licences: Licences,
) -> ModelSpec:
    """What the sidecars say: `_inputs`, with rates and ranges of features too."""
    train = data["train"].inputs
    inputs = {
        name: spec.model_copy(
            update={
                "rate": spec.rate or facts.inputs[name].rate,
                "range": (float(train[name].min()), float(train[name].max())),
            }
        )
        for name, spec in _inputs(recipe, facts).items()
    }
    return recipe.spec.replace(
        inputs=inputs,
        licence=licences.model_dump(),
        temperature=calibration and calibration.temperature,
        subset_temperatures=calibration and calibration.subset_temperatures,
    )


def _exports(run: Run, spec: ModelSpec, resamples: int) -> tuple[dict[str, Artifact], dict[str, str]]:
    """The artifacts by format, and why there is none of the others."""
    export = functools.partial(run.export, resamples=resamples, spec=spec)
    folder = run.folder / "exported"
    try:
        return {artifact.format: artifact for artifact in export(folder, list(FORMATS))}, {}
    except LMFError:
        pass  # one format at a time then, each in a folder of its own
    artifacts, problems = {}, {}
    for name in FORMATS:
        try:
            artifacts[name] = export(folder / name, [name])[0]
        except LMFError as error:
            problems[name] = " ".join(str(error).replace(str(run.folder), "the run").split())
    return artifacts, problems


def alone(runs: Sequence[Run]) -> dict[str, list[dict[str, float]]]:
    """Modality → of each run the metrics on "test" with the others absent; empty where a model needs them all."""
    recipe = runs[0].recipe
    if recipe.presence is None or len(recipe.inputs) == 1:
        return {}
    return {modality: [_metrics_alone(run, modality) for run in runs] for modality in recipe.inputs}


def _metrics_alone(run: Run, modality: str) -> dict[str, float]:
    test = run.dataset()["test"]
    return evaluate(
        open_artifact(run.model).predict(only(test.inputs, [modality])), test, resamples=0
    ).metrics
