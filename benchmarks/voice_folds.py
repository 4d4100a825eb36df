"""Cross-validation of the zoo's voice models: every speaker is tested once, by a model that never heard them.

    python benchmarks/voice_folds.py ge2e-ravdess-voice --seeds 3

For each fold and seed the entry's recipe is trained on all other folds (its settings were chosen on validation folds)
and judged once on the fold, twice over:

- inductive: nothing is measured on the tested speakers;
- enrolled: the features of each tested speaker are standardised by that speaker's own clips, without their labels
  (transductive), as `Recognizer.enrol` does.

Each row goes to benchmarks/results/folds/NAME.csv, beside the answers (logits) in NAME.npz; what is there is not run
again. The means over the seeds of the inductive rows become the entry's cross_validation.csv.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import click
import keras
import numpy as np
import pandas as pd

from keras_lmf.data import Dataset, Split, corpora
from keras_lmf.evaluation import evaluate
from keras_lmf.files import write_text
from keras_lmf.models import set_standardization
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training import train
from keras_lmf.training.front_ends import features
from keras_lmf.zoo.pretrained import front_ends, on_features

RESULTS = Path(__file__).parent / "results" / "folds"
ZOO = Path(__file__).parents[1] / "zoo"
FOLDS = {"ravdess": 5, "emodb": 10}
METRICS = ["war", "uar", "f1_macro", "cohen_kappa"]
PROTOCOLS = ("inductive", "enrolled")


def all_features(recipe: Recipe, root: Path | None) -> tuple[Recipe, Dataset]:
    """The recipe for features, and those of every clip and of its augmented copies.

    A copy depends on its clip alone, so every fold can take its own from the same ones.
    """
    fronts = front_ends(recipe)
    data = corpora.load(recipe.corpus.name, root, **recipe.corpus.options).select(list(recipe.inputs))
    everything = dataclasses.replace(data, splits=np.full(len(data), "train"))
    return on_features(recipe, fronts), features(recipe, everything, fronts)


def fold_of(everything: Dataset, recipe: Recipe, fold: int, root: Path | None) -> Dataset:
    """The rows of a fold: all clips, and copies of the training clips."""
    options = {**recipe.corpus.options, "fold": fold}
    corpus = corpora.load(recipe.corpus.name, root, **options).select(list(recipe.inputs))
    if recipe.training.fit_on == "train + valid":
        corpus = corpus.with_validation_in_training()
    split_of = dict(zip(corpus.ids, corpus.splits))
    splits = np.array([split_of[name.partition("+")[0]] for name in everything.ids])
    copies = np.char.find(everything.ids, "+") >= 0
    rows = ~copies | (splits == "train")
    return dataclasses.replace(
        everything,
        inputs={name: values[rows] for name, values in everything.inputs.items()},
        masks={name: mask[rows] for name, mask in everything.masks.items()},
        **{name: getattr(everything, name)[rows] for name in ("labels", "groups", "ids")},
        splits=splits[rows],
    )


def enrolled_answers(model: keras.Model, split: Split) -> np.ndarray:
    """Logits with each speaker's features standardised by the mean and variance of all that speaker's clips."""
    logits = np.zeros((len(split), split.target.size))
    for speaker in np.unique(split.groups):
        rows = split.groups == speaker
        inputs = {name: values[rows] for name, values in split.inputs.items()}
        statistics = {}
        for name, values in inputs.items():
            variance = values.var(axis=0)
            statistics[name] = values.mean(axis=0), np.where(variance > 0, variance, 1)
        set_standardization(model, statistics)
        logits[rows] = open_artifact(model).predict(inputs)[split.target.name]
    return logits


def run(recipe: Recipe, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Logits on the test split: inductive, enrolled."""
    with tempfile.TemporaryDirectory() as folder:
        model = train(recipe, data, folder).model
    test = data["test"]
    return open_artifact(model).predict(test.inputs)[recipe.target.name], enrolled_answers(model, test)


def judged(logits: np.ndarray, split: Split) -> dict[str, float]:
    report = evaluate({split.target.name: logits}, split, resamples=0)
    return {metric: report.metrics[metric] for metric in METRICS}


@click.command(help=__doc__)
@click.argument("name")
@click.option("--seeds", default=3, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
def main(name: str, seeds: int, data: Path | None) -> None:
    recipe = Recipe.read(ZOO / name / "recipe.toml")
    path, answers = RESULTS / f"{name}.csv", RESULTS / f"{name}.npz"
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    pooled = dict(np.load(answers)) if answers.is_file() else {}
    todo = [
        (fold, seed)
        for fold in range(FOLDS[recipe.corpus.name])
        for seed in range(seeds)
        if f"{fold}/{seed}/inductive" not in pooled
    ]
    trained, everything = all_features(recipe, data) if todo else (recipe, None)
    for fold, seed in todo:
        corpus = fold_of(everything, recipe, fold, data)
        # Its rows are those of the fit already.
        fitted = trained.replace(seed=seed, training={"fit_on": "train"})
        for protocol, logits in zip(PROTOCOLS, run(fitted, corpus)):
            rows.append({"protocol": protocol, "fold": fold, "seed": seed} | judged(logits, corpus["test"]))
            pooled[f"{fold}/{seed}/{protocol}"] = logits.astype("float32")
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
