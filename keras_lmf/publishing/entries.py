"""publish: the recipe in a folder becomes a zoo entry: trained with several seeds, exported, measured, described."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from keras_lmf import __version__
from keras_lmf.data import corpora
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import evaluate
from keras_lmf.evaluation.subsets import only
from keras_lmf.locate import RECIPE, TESTVECTORS, WEIGHTS
from keras_lmf.models import pretrained
from keras_lmf.publishing.calibrations import calibrated
from keras_lmf.publishing.costs import cost
from keras_lmf.publishing.exports import (
    exported,
    gathered,
    input_specs,
    licences_of,
    published_backbones,
    put_in_place,
    require_tensorflow,
    sidecar_spec,
)
from keras_lmf.publishing.retrainings import LEFT_OUT, cross_validation, experts, left_out, spreads, trained
from keras_lmf.publishing.shipping import refusals, shipped_formats
from keras_lmf.publishing.vectors import write_vectors
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.spec import ENTRY_NAME
from keras_lmf.training import Run
from keras_lmf.zoo import (
    Entry,
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
    require_tensorflow("publish")
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
    hears = any(part.front_end for part in recipe.inputs.values())
    notes = [*facts.notes, *(facts.voice_notes if hears else facts.feature_notes), choice]
    calibration = calibrated(best.recipe, corpus, best.model, work)
    published = published_backbones(recipe)
    licences = licences_of(facts, published)
    specs = [sidecar_spec(run.recipe, data, facts, calibration, licences) for run in runs]
    exports = [exported(run, spec, 1000 if run is best else 0) for run, spec in zip(runs, specs)]
    refused = {name: why for _, problems in exports for name, why in problems.items()}
    notes += refusals(refused)
    artifacts = {
        name: artifact for name, artifact in exports[runs.index(best)][0].items() if name not in refused
    }
    scores = {name: [files[name].metrics for files, _ in exports] for name in artifacts}
    scores["weights"] = [run.evaluate("test", resamples=0).metrics for run in runs]
    # All of it is made beside the runs first, which takes a while.
    made = work / "entry"
    shutil.rmtree(made, ignore_errors=True)
    best.recipe.write(made / RECIPE)
    own = pretrained.trained_part(best.recipe, best.model) if pretrained.names(recipe) else best.model
    own.save_weights(made / WEIGHTS)
    write_vectors(made / TESTVECTORS, best, data)
    vectors = read_testvectors(made / TESTVECTORS)
    shipped = shipped_formats(artifacts, scores, vectors, specs[0], notes)
    names = {"weights": WEIGHTS, "testvectors": TESTVECTORS} | gathered(artifacts, shipped, made)
    told = data.name if isinstance(recipe.corpus.name, str) else recipe.corpus.name
    entry = Entry(
        name=folder.name,
        summary=sentence(recipe.target, recipe.inputs, recipe.fusion.name, told, recipe.corpus.options),
        warning=facts.warning,
        fusion=recipe.fusion.name,
        corpus=recipe.corpus.name,
        modalities=tuple(recipe.inputs),
        parameters=best.model.count_params(),
        inputs=input_specs(recipe, facts),
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
    put_in_place(entry, made, folder)
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
