"""robustness, compare, tune: what takes many runs of a model, or many trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_lmf.cli import tables
from keras_lmf.cli.options import DATA, JSON, names_of_entries, plain_errors, words
from keras_lmf.cli.progress import waiting
from keras_lmf.cli.runs import SPLIT, recipe_of
from keras_lmf.files import require_writable

if TYPE_CHECKING:
    import pandas as pd

    from keras_lmf.recipe import Recipe


@click.command(epilog="Example: keras-lmf robustness lmf-mosi-avt --baseline early-mosi-avt")
@click.argument("name", shell_complete=names_of_entries)
@DATA
@SPLIT
@click.option(
    "--baseline",
    shell_complete=names_of_entries,
    help="A run or a zoo entry of late fusion on the same inputs, for the effective robustness.",
)
@click.option("--metric", help="A protocol; default: accuracy, or the first of the task.")
@click.option("--draws", default=5, show_default=True, help="Random draws of noise and of rows.")
@JSON
@plain_errors
def robustness(
    name: str,
    data: Path | None,
    split: str,
    baseline: str | None,
    metric: str | None,
    draws: int,
    as_json: bool,
) -> None:
    """How NAME (a run's folder or a zoo entry) answers as its inputs get worse.

    Noise of 0 to 0.9 standard deviations, and 0 to all rows without a modality: of each modality and of all. Relative
    and effective robustness as MultiBench defines them. Then every subset of the modalities, with calibration error and
    floor. Tables and plot go into the run's folder, for a zoo entry into runs/NAME.
    """
    with waiting(f"Opening {name}"):
        from keras_lmf.cli.sources import opened
        from keras_lmf.evaluation.robustness import Robustness, against, measure_robustness
        from keras_lmf.runtime import open_artifact
        from keras_lmf.training import Run

        judged = opened(name, data)
    folder = judged.folder / f"robustness-{split}"
    require_writable(folder / "robustness.md")

    def curves(run: Run, metric: str | None) -> Robustness:
        dataset, predict = run.dataset(), open_artifact(run.model).predict
        return measure_robustness(
            predict,
            run.spec,
            dataset[split],
            dataset["train"],
            metric=metric,
            draws=draws,
            title=run.recipe.name,
        )

    found = curves(judged, metric)
    if baseline:
        found = against(found, curves(opened(baseline, data), found.metric))
    found.save(folder, judged.recipe.name)
    if as_json:
        parts = {"summary": found.summary, "subsets": found.subsets, "curves": found.curves}
        rows = {key: _records(table) for key, table in parts.items()}
        click.echo(json.dumps({"metric": found.metric, "floor": found.floor} | rows))
        return
    click.echo(tables.report(found.to_markdown()))
    click.echo(f"\nTables and plot: {folder}")


@click.command(
    epilog="Example: keras-lmf compare zoo/lmf-mosi-avt/recipe.toml --fusion early,tensor,low_rank --seeds 5"
)
@click.argument("recipes", metavar="RECIPE…", nargs=-1, required=True, shell_complete=names_of_entries)
@click.option(
    "--fusion", help="Words of fusions, separated by commas: each recipe is trained with each of them."
)
@click.option("--seeds", default=5, show_default=True, help="Trainings of each.")
@click.option(
    "--metrics", default="", help="Protocols, separated by commas; default: the usual ones of the task."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("runs/compare"),
    show_default=True,
    help="For runs and tables.",
)
@DATA
@SPLIT
@JSON
@plain_errors
def compare(
    recipes: tuple[str, ...],
    fusion: str | None,
    seeds: int,
    metrics: str,
    folder: Path,
    data: Path | None,
    split: str,
    as_json: bool,
) -> None:
    """Train each RECIPE (a TOML file or a zoo entry) with several seeds, and compare: one table and plot per corpus.

    Parameters, bytes, time for a row, metrics with intervals, and the difference to the first with its standard error,
    paired over seeds and rows. An interrupted call goes on when it is given again.
    """
    read = [recipe_of(source)[1] for source in recipes]
    from keras_lmf.cli.sources import dataset
    from keras_lmf.training import comparison

    by_corpus: dict[str, list[Recipe]] = {}
    for recipe in read:
        variants = comparison.with_fusions(recipe, words(fusion or "")) or [recipe]
        by_corpus.setdefault(recipe.corpus.model_dump_json(), []).extend(variants)
    told = []
    for place, found in enumerate(by_corpus.values()):
        name = "+".join(found[0].corpus.names)
        home = folder / (name if place == 0 else f"{name}-{place + 1}")
        require_writable(home / "comparison.md")
        result = comparison.compare(
            found, dataset(found[0], data), home, seeds=seeds, split=split, metrics=words(metrics)
        )
        result.save(home)
        if as_json:
            parts = {"costs": result.costs, "metrics": result.metrics}
            told.append(
                {"title": result.title, "folder": str(home)}
                | {key: _records(part) for key, part in parts.items()}
            )
            continue
        click.echo(tables.report(result.to_markdown()))
        click.echo(f"\nTables and plot: {home}\n")
    if as_json:
        click.echo(json.dumps(told))


@click.command(epilog="Example: keras-lmf tune zoo/lmf-mosi-avt/recipe.toml --trials 20")
@click.argument("recipe", shell_complete=names_of_entries)
@click.option("--trials", default=20, show_default=True, help="Settings to try.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="For the trials; default runs/<recipe name>-tuned."
)
@DATA
@JSON
@plain_errors
def tune(recipe: str, trials: int, folder: Path | None, data: Path | None, as_json: bool) -> None:
    """Search rank, width and learning rate of RECIPE (a TOML file or a zoo entry) with KerasTuner, by the split "valid"
    alone; the best recipe is written as recipe.toml. An interrupted call goes on when it is given again."""
    _, read = recipe_of(recipe)
    from keras_lmf.cli.sources import dataset, run_folder
    from keras_lmf.training import tuning

    folder = folder or run_folder(f"{read.name}-tuned")
    table = tuning.tune(read, dataset(read, data), folder, trials=trials)
    if as_json:
        click.echo(json.dumps({"recipe": str(folder / "recipe.toml"), "trials": _records(table)}))
        return
    click.echo(tables.frame(table, "{:.4g}"))
    click.echo(f"\nThe best recipe: {folder / 'recipe.toml'}\nNext: keras-lmf train {folder / 'recipe.toml'}")


def _records(table: pd.DataFrame) -> list[dict[str, object]]:
    return json.loads(table.reset_index().to_json(orient="records", double_precision=15))
