"""Recordings of corpora that a model never met: leave one corpus out, in the emotions that all of them have.

    python benchmarks/unmet_corpora.py whisper-voice --seeds 2

The entry's recipe is trained on all recordings of two corpora, on those of the shared emotions alone, and judged on all
of the third; its settings were chosen within corpora. "clips": so many clips of the speaker, of whatever emotion, are
enrolled and not judged, as `Recognizer(enrolment=…)` does it: mean over 10 draws, on speakers with 15 or more. The
figures go to benchmarks/results/unmet_corpora.csv.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd
from folds import METRICS, ZOO, all_features, judged
from measurements import write_csv

from keras_lmf.data import Dataset, corpora
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training import train
from keras_lmf.training.enrolled import enrolled_metrics, known_speakers

CSV = Path(__file__).parent / "results" / "unmet_corpora.csv"


def with_shared_classes(data: Dataset) -> Dataset:
    """The rows of classes that every corpus has, all in "train"."""
    labels = [set(data.labels[data.corpora == name]) for name in np.unique(data.corpora)]
    shared = sorted(functools.reduce(set.intersection, labels))
    data = data.take(np.isin(data.labels, shared))
    target = data.target.model_copy(update={"classes": tuple(data.target.classes[label] for label in shared)})
    return dataclasses.replace(
        data, target=target, labels=np.searchsorted(shared, data.labels), splits=np.full(len(data), "train")
    )


@click.command(help=__doc__)
@click.argument("name")
@click.option("--seeds", default=2, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
def main(name: str, seeds: int, data: Path | None) -> None:
    recipe = Recipe.read(ZOO / name / "recipe.toml")
    every = corpora.load(recipe.corpus.name, data, recipe.recorded, **recipe.corpus.options)
    every = with_shared_classes(every.select(list(recipe.inputs)))
    recipe = recipe.replace(target=every.target.model_dump(), training={"fit_on": "train"})
    trained, everything = all_features(recipe, every)
    (modality,) = recipe.inputs
    of_clip = np.char.partition(everything.ids, "+")  # a copy's id is its clip's, "+" and a number
    copies = of_clip[:, 1] == "+"
    rows = []
    for corpus in np.unique(every.corpora):
        own = np.isin(of_clip[:, 0], every.ids[every.corpora == corpus])
        others, test = everything.take(~own), everything.take(own & ~copies)["train"]
        known = test.take(known_speakers(test, modality))
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                model = train(trained.replace(seed=seed), others, folder).model
            logits = open_artifact(model).predict(test.inputs)[test.target.name]
            raw = judged(logits, test.labels, test.target)
            for clips, metrics in {0: raw, **enrolled_metrics(model, modality, known)}.items():
                facts = {"model": name, "corpus": corpus, "clips": clips, "seed": seed}
                facts |= {"rows": len(known) if clips else len(test)}
                rows.append(facts | {metric: metrics[metric] for metric in METRICS})
    table = pd.DataFrame(rows)
    write_csv(table, CSV)
    means = table.pivot_table(index="clips", columns="corpus", values="uar")
    click.echo(means.assign(mean=means.mean(axis=1)).round(3).to_string())


if __name__ == "__main__":
    main()
