"""Cross-validation of the zoo's voice models: every speaker is tested once, by a model that never heard them.

    python benchmarks/voice_folds.py ge2e-ravdess-voice --seeds 3

For each fold and seed the entry's recipe is trained on all other folds (its settings were chosen on validation folds)
and judged once on the fold, twice over:

- inductive: nothing is measured on the tested speakers;
- enrolled: the features of each tested speaker are standardised by that speaker's own clips, without their labels
  (transductive), as `Recognizer.enrol` does.

Each row goes to benchmarks/results/folds/NAME.csv, beside the pooled answers in NAME.npz; what is there is not run
again. The means over the seeds of the inductive rows become the entry's cross_validation.csv.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd

from keras_lmf.data import Dataset, Split, corpora
from keras_lmf.evaluation import evaluate
from keras_lmf.files import write_text
from keras_lmf.models import set_standardization
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training import train

RESULTS = Path(__file__).parent / "results" / "folds"
ZOO = Path(__file__).parents[1] / "zoo"
FOLDS = {"ravdess": 5, "emodb": 10}
METRICS = ["war", "uar", "f1_macro", "cohen_kappa"]


def enrolled_answers(model, split: Split) -> np.ndarray:
    """Logits with each speaker's features standardised by the mean and variance of all that speaker's clips."""
    name, logits = split.target.name, np.zeros((len(split), split.target.size))
    fronts = [layer for layer in model.layers if layer.name.endswith("_front_end")]
    for speaker in np.unique(split.groups):
        rows = split.groups == speaker
        inputs = {modality: values[rows] for modality, values in split.inputs.items()}
        statistics = {}
        for modality, values in inputs.items():
            front = next((front for front in fronts if front.name == f"{modality}_front_end"), None)
            features = values if front is None else front.predict(values, verbose=0)
            variance = features.var(axis=0)
            statistics[modality] = features.mean(axis=0), np.where(variance > 0, variance, 1)
        set_standardization(model, statistics)
        logits[rows] = open_artifact(model).predict(inputs)[name]
    return logits


def judged(logits: np.ndarray, split: Split) -> dict[str, float]:
    report = evaluate({split.target.name: logits}, split, resamples=0)
    return {metric: report.metrics[metric] for metric in METRICS}


def run(recipe: Recipe, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Logits on the test split: inductive, enrolled."""
    with tempfile.TemporaryDirectory() as folder:
        model = train(recipe, data, folder).model
    inductive = open_artifact(model).predict(data["test"].inputs)[recipe.target.name]
    return inductive, enrolled_answers(model, data["test"])


@click.command(help=__doc__)
@click.argument("name")
@click.option("--seeds", default=3, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
def main(name: str, seeds: int, data: Path | None) -> None:
    recipe = Recipe.read(ZOO / name / "recipe.toml")
    path, answers = RESULTS / f"{name}.csv", RESULTS / f"{name}.npz"
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    pooled = dict(np.load(answers)) if answers.is_file() else {}
    for fold in range(FOLDS[recipe.corpus.name]):
        options = {**recipe.corpus.options, "fold": fold}
        if all(f"{fold}/{seed}/inductive" in pooled for seed in range(seeds)):
            continue
        corpus = corpora.load(recipe.corpus.name, data, **options).select(list(recipe.inputs))
        for seed in range(seeds):
            if f"{fold}/{seed}/inductive" in pooled:
                continue
            fitted = recipe.replace(seed=seed, corpus={"options": options})
            for protocol, logits in zip(("inductive", "enrolled"), run(fitted, corpus)):
                rows.append(
                    {"protocol": protocol, "fold": fold, "seed": seed} | judged(logits, corpus["test"])
                )
                pooled[f"{fold}/{seed}/{protocol}"] = logits
                click.echo(rows[-1])
            pooled[f"{fold}/labels"] = corpus["test"].labels
            RESULTS.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(answers, **pooled)
            write_text(path, pd.DataFrame(rows).to_csv(index=False))
    table = pd.DataFrame(rows)
    inductive = table[table["protocol"] == "inductive"].groupby("fold")[METRICS].mean()
    write_text(ZOO / name / "cross_validation.csv", inductive.to_csv())
    click.echo(
        table.groupby(["protocol", "fold"])[METRICS]
        .mean()
        .groupby("protocol")
        .agg(["mean", "std"])
        .to_string()
    )


if __name__ == "__main__":
    main()
