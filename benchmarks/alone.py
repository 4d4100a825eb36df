"""A model of several modalities against models of each alone: together, and when the others are absent.

    python benchmarks/alone.py lmf-media-av --seeds 2

The entry's recipe is trained, and for each modality the same recipe with this one alone (no fusion, no presence).
On the test split, for each seed: the fused model with all modalities and with each alone; the models of one; and the
product of experts, whose answer is the product of the single models' probabilities. Nothing is chosen here. What is
trained already in the folder --work (`keras-lmf publish --work` has its runs in the same places) is not trained again.
The figures become the entry's experts.csv, which `publish` puts on its card.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pandas as pd

from keras_lmf.data import Dataset, Split, corpora
from keras_lmf.evaluation import evaluate
from keras_lmf.evaluation.calibration import negative_log_likelihood, softmax
from keras_lmf.files import write_text
from keras_lmf.publishing.retrainings import EXPERTS
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training import train

RESULTS = Path(__file__).parent / "results" / "alone"
ZOO = Path(__file__).parents[1] / "zoo"
FUSED, SINGLE, PRODUCT = "fused", "trained alone", "product of experts"
ALL = "all"


def of_one(recipe: Recipe, modality: str) -> Recipe:
    """The recipe with that modality alone."""
    sections = recipe.model_dump(exclude_none=True)
    sections["inputs"] = {modality: sections["inputs"][modality]}
    sections["fusion"] = {"name": "none"}
    sections.pop("presence", None)
    if recipe.inputs[modality].media != "waveform":
        sections["training"].pop("augmentation", None)
    return Recipe(**sections)


def answers(recipe: Recipe, data: Dataset, folder: Path, keep: str | None = None) -> np.ndarray:
    """Logits on "test" of the recipe trained in `folder`; with one modality to `keep`, the others are zeros."""
    test = data.select(list(recipe.inputs))["test"]
    inputs = {
        name: rows if keep in (None, name) else np.zeros_like(rows) for name, rows in test.inputs.items()
    }
    model = train(recipe, data.select(list(recipe.inputs)), folder).model
    return open_artifact(model).predict(inputs)[recipe.target.name]


def row(model: str, there: str, seed: int, logits: np.ndarray, test: Split) -> dict[str, object]:
    metrics = evaluate(logits, test, resamples=0).metrics
    facts = {name: metrics[name] for name in ("war", "uar", "f1_macro")}
    return {"model": model, "there": there, "seed": seed, **facts} | {
        "nll": negative_log_likelihood(logits, test.labels)
    }


@click.command(help=__doc__)
@click.argument("name")
@click.option("--seeds", default=3, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
@click.option("--work", type=click.Path(path_type=Path), help="Where the runs are; default runs/alone/NAME.")
def main(name: str, seeds: int, data: Path | None, work: Path | None) -> None:
    recipe = Recipe.read(ZOO / name / "recipe.toml")
    work = work or Path("runs") / "alone" / name
    corpus = corpora.load(recipe.corpus.name, data, **recipe.corpus.options)
    test, rows, experts = corpus["test"], [], {seed: [] for seed in range(seeds)}
    # All seeds of a model after one another: they share the features.
    for seed in range(seeds):
        folder = work / f"seed-{seed}"
        for keep in (None, *recipe.inputs):
            logits = answers(recipe.replace(seed=seed), corpus, folder, keep)
            rows.append(row(FUSED, keep or ALL, seed, logits, test))
    for modality in recipe.inputs:
        single = of_one(recipe, modality)
        for seed in range(seeds):
            logits = answers(single.replace(seed=seed), corpus, work / f"{modality}-seed-{seed}")
            rows.append(row(SINGLE, modality, seed, logits, test))
            experts[seed].append(np.log(softmax(logits) + 1e-12))
    rows += [row(PRODUCT, ALL, seed, sum(parts), test) for seed, parts in experts.items()]
    table = pd.DataFrame(rows)
    text = table.to_csv(index=False, float_format="%.5f")
    for path in (RESULTS / f"{name}.csv", ZOO / name / EXPERTS):
        write_text(path, text)
    click.echo(table.groupby(["model", "there"]).mean().drop(columns="seed").to_string())


if __name__ == "__main__":
    main()
