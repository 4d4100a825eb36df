"""Tensor fusion compressed to low-rank fusion: the metric over ranks, with and without training on.

    python benchmarks/compression.py tfn-mosi-avt --seeds 5 --ranks 1,2,4,8

For each seed the entry's recipe is trained. Its fusion and the layer behind become low-rank fusion of each rank by a CP
decomposition; that is judged as it is, and after training on, with a tenth of the learning rates. "pruned": the largest
rank, trained on, loses the ranks of the smallest norm and is trained on again. "trained anew": the low-rank recipe from
random weights, with the entry's own settings. All epochs are chosen on "valid"; the table is of "test", and nothing is
chosen by it. What is trained in the folder --work already is not trained again.
"""

from __future__ import annotations

from pathlib import Path

import click
import keras
import pandas as pd
from tqdm import tqdm

from keras_lmf.cli.options import numbers
from keras_lmf.data import Dataset, corpora
from keras_lmf.evaluation import evaluate, paired_difference, plots, study_plots
from keras_lmf.files import write_text
from keras_lmf.models import compress, prune_ranks
from keras_lmf.models.factory import FUSION
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training import Run, train

RESULTS = Path(__file__).parent / "results" / "compression"
ZOO = Path(__file__).parents[1] / "zoo"
HEADLINES = ("war", "mae")  # of classes, else
TENSOR, CP, TUNED, PRUNED, ANEW = "tensor", "CP", "CP, trained on", "pruned, trained on", "trained anew"


def fusion_parameters(recipe: Recipe, model: keras.Model) -> int:
    """Of the fusion and the layer behind it, which tensor fusion has its weights in."""
    behind = "head_0" if recipe.head.units else recipe.target.name
    return sum(model.get_layer(name).count_params() for name in (FUSION, behind))


def gentler(recipe: Recipe) -> Recipe:
    rates = {"learning_rate": recipe.training.learning_rate / 10}
    if recipe.training.fusion_learning_rate:
        rates["fusion_learning_rate"] = recipe.training.fusion_learning_rate / 10
    return recipe.replace(training=rates)


def rows_of_seed(recipe: Recipe, data: Dataset, ranks: list[int], work: Path) -> list[dict[str, object]]:
    """What is measured of one seed."""
    test, rows = data["test"], []

    def judge(how: str, rank: int | None, recipe: Recipe, model: keras.Model) -> None:
        report = evaluate(open_artifact(model).predict(test.inputs), test, resamples=0)
        facts = {
            "seed": recipe.seed,
            "how": how,
            "rank": rank,
            "parameters": fusion_parameters(recipe, model),
        }
        rows.append(facts | report.metrics)

    def trained(how: str, recipe: Recipe, start: keras.Model | None = None) -> Run:
        name = f"{how.replace(', ', '-').replace(' ', '-')}-{recipe.name}-{recipe.seed}"
        return train(recipe, data, work / name, start=start)

    tensor = trained(TENSOR, recipe)
    judge(TENSOR, None, recipe, tensor.model)
    for rank in sorted(ranks, reverse=True):
        smaller, model = compress(recipe, tensor.model, rank)
        judge(CP, rank, smaller, model)
        tuned = trained(TUNED, gentler(smaller), model)
        judge(TUNED, rank, smaller, tuned.model)
        if rank == max(ranks):
            largest = tuned
        else:
            fewer, model = prune_ranks(largest.recipe, largest.model, rank)
            judge(PRUNED, rank, fewer, trained(PRUNED, fewer, model).model)
        judge(ANEW, rank, smaller, trained(ANEW, smaller).model)
    return rows


def summary(table: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """Mean ± sd over the seeds, and the paired difference to tensor fusion with its standard error."""
    tensor = table[table["how"] == TENSOR].sort_values("seed")
    lines = []
    for (how, rank), found in table.groupby(["how", "rank"], sort=False, dropna=False):
        found = found.sort_values("seed")
        line = {
            "": how,
            "rank": "–" if pd.isna(rank) else int(rank),
            "fusion parameters": f"{found['parameters'].iloc[0]:,}",
            "times fewer": f"{tensor['parameters'].iloc[0] / found['parameters'].iloc[0]:.0f}",
        }
        change = paired_difference(*(part[metrics].to_dict("records") for part in (found, tensor)))
        for name in metrics:
            line[name] = f"{found[name].mean():.3f} ± {found[name].std():.3f}"
            line[f"Δ {name}"] = (
                "–" if how == TENSOR else "{:+.3f} ± {:.3f}".format(*change.loc[name].iloc[:2])
            )
        lines.append(line)
    return pd.DataFrame(lines)


def draw(table: pd.DataFrame, entry: str) -> None:
    """The picture of what was measured of an entry, into results/compression."""
    metric = next(name for name in HEADLINES if name in table)
    spread = table[table["how"] != TENSOR].groupby(["how", "rank"])[metric].agg(["mean", "std"])
    wide = spread.rename(columns={"std": "sd"}).unstack("how").swaplevel(axis=1).sort_index()
    tensor = table.loc[table["how"] == TENSOR, metric]
    reference = tensor.mean(), tensor.std()
    figure = study_plots.metric_over_ranks(wide, metric, reference, f"{entry}, compressed")
    plots.save(figure, RESULTS / f"{entry}.png")


@click.command(help=__doc__)
@click.argument("entry")
@click.option("--seeds", default=5, show_default=True)
@click.option("--ranks", default="1,2,4,8", show_default=True)
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs/compression"), show_default=True)
def main(entry: str, seeds: int, ranks: str, work: Path) -> None:
    recipe = Recipe.read(ZOO / entry / "recipe.toml")
    data = corpora.load(recipe.corpus.name, **recipe.corpus.options)
    rows = []
    for seed in tqdm(range(seeds), desc=entry):
        rows += rows_of_seed(recipe.replace(seed=seed), data, numbers("--ranks", ranks), work / entry)
    table = pd.DataFrame(rows)
    metrics = ["war", "f1_macro"] if recipe.target.classes else ["mae", "pearson"]
    write_text(RESULTS / f"{entry}.csv", table.to_csv(index=False, float_format="%.6g"))
    text = summary(table, metrics).to_markdown(index=False, disable_numparse=True)
    write_text(RESULTS / f"{entry}.md", f"{text}\n")
    draw(table, entry)
    click.echo(text)


if __name__ == "__main__":
    main()
