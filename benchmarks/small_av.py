"""A model of a raw voice and face whose file has at most 1 MB: two trainings, and its file.

    python benchmarks/small_av.py --csv benchmarks/results/small_av.csv

`small-av.toml` beside this file is the recipe: Whisper's convolutions, cut to low rank, hear, the expression network
sees, and low-rank fusion joins them. On the test pairs of `lmf-media-av`: every training with both inputs and with each
alone, and the file of the one that is best on validation, with both. Nothing is chosen by the test split. What is
trained already in the folder --work is not trained again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
import pandas as pd
from measurements import CSV, write_csv

from keras_lmf.data import Split, corpora
from keras_lmf.evaluation import evaluate
from keras_lmf.evaluation.subsets import only
from keras_lmf.export import export_model
from keras_lmf.models.pretrained import behind_front_ends, front_ends
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training import train
from keras_lmf.training.features import split_features

HERE = Path(__file__).parent
RECIPE = HERE / "small-av.toml"
REFERENCE = HERE.parent / "zoo" / "lmf-media-av" / "recipe.toml"
FORMATS = ("tflite-dynamic",)
ALL = "all"


def figures(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: metrics[name] for name in ("war", "uar", "f1_macro")}


def with_each(recipe: Recipe, model: object, test: Split) -> list[dict[str, object]]:
    """The model's figures with all inputs and with each alone; `test` has the front ends' features."""
    runtime = open_artifact(behind_front_ends(recipe, model))
    rows = []
    for there in (ALL, *recipe.inputs):
        kept = recipe.inputs if there == ALL else [there]
        answers = runtime.predict(only(test.inputs, kept))
        metrics = evaluate(answers[recipe.target.name], test, resamples=0).metrics
        rows.append({"there": there} | figures(metrics))
    return rows


@click.command(help=__doc__)
@click.option("--seeds", default=2, show_default=True, type=click.IntRange(1))
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs") / "small-av", show_default=True)
@CSV
def main(seeds: int, data: Path | None, work: Path, csv: Path | None) -> None:
    recipe = Recipe.read(RECIPE)
    corpus = corpora.load(recipe.corpus.name, data, recipe.recorded, **recipe.corpus.options)
    runs = [train(recipe.replace(seed=seed), corpus, work / f"seed-{seed}") for seed in range(seeds)]
    # The pairs by which the entry is judged: other options draw other pictures of the same test split.
    options = Recipe.read(REFERENCE).corpus.options
    test = corpora.load(recipe.corpus.name, data, recipe.recorded, **options)["test"]
    heard_and_seen = split_features(test, front_ends(recipe), recipe.name)
    rows = []
    for seed, run in enumerate(runs):
        facts = {"file": "Keras", "seed": seed, "bytes": None}
        rows += [facts | row for row in with_each(recipe, run.model, heard_and_seen)]
    best = min(runs, key=lambda run: run.watched.min())
    for artifact in export_model(best.model, work / "files", FORMATS, evaluation=test, resamples=0):
        facts = {"file": artifact.format, "seed": best.recipe.seed, "bytes": artifact.bytes, "there": ALL}
        rows.append(facts | figures(artifact.metrics))
    table = pd.DataFrame(rows).astype({"bytes": "Int64"})
    write_csv(table, csv)
    click.echo(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
