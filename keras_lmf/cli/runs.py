"""train, evaluate, export: a recipe, a run, its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_lmf.cli.options import DATA, JSON, plain_errors, words
from keras_lmf.errors import LMFError

if TYPE_CHECKING:
    from keras_lmf.training import Run

RUN = click.argument("run")
SPLIT = click.option(
    "--split", default="test", show_default=True, type=click.Choice(["train", "valid", "test"])
)


@click.command(epilog="Example: keras-lmf train zoo/lmf-mosi-avt/recipe.toml --folder runs/mosi")
@click.argument("recipe")
@DATA
@click.option("--folder", type=click.Path(path_type=Path), help="For the run; default runs/<recipe name>.")
@click.option("--seed", type=int, help="Instead of the recipe's.")
@click.option(
    "--check", is_flag=True, help="Compare with the zoo entry RECIPE: exit code 1 where they differ."
)
@JSON
@plain_errors
def train(
    recipe: str, data: Path | None, folder: Path | None, seed: int | None, check: bool, as_json: bool
) -> None:
    """Train RECIPE (a TOML file or a zoo entry) into a run folder; an interrupted run goes on where it was."""
    from keras_lmf.recipe import Recipe

    entry = None if recipe.endswith(".toml") else _entry(recipe)
    if check and entry is None:
        raise LMFError(f"--check compares with a zoo entry, received the recipe {recipe}. Name an entry.")
    read = Recipe.read(recipe) if entry is None else entry[1]
    if seed is not None:
        read = read.replace(seed=seed)
    # Only now what takes seconds to import: a typo in the recipe is told at once.
    from keras_lmf import training

    dataset = _dataset(read, data)
    if not as_json:
        click.echo(dataset.summary(), err=True)
    folder = folder or Path("runs") / read.name
    try:
        run = training.train(read, dataset, folder)
    except KeyboardInterrupt:
        raise click.ClickException(
            f"Interrupted. The same command goes on from the last whole epoch ({folder})."
        ) from None
    best = run.history.loc[run.best_epoch]
    if as_json:
        click.echo(json.dumps({"folder": str(run.folder), "best_epoch": int(best.name), **best.to_dict()}))
    else:
        click.echo(f"\n{run.folder}: {len(run.history)} epochs, the weights of epoch {best.name} are kept.")
        click.echo(best.to_frame("").T.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
        click.echo(f"\nNext: keras-lmf evaluate {run.folder}\n      keras-lmf export {run.folder}")
    if check and entry is not None:
        _check(run, entry[0])


@click.command(epilog="Example: keras-lmf evaluate runs/mosi --artifact runs/mosi/exported/model.tflite")
@RUN
@DATA
@SPLIT
@click.option(
    "--artifact",
    type=click.Path(path_type=Path),
    help="Judge this SavedModel folder or .tflite instead of the run's own weights.",
)
@click.option("--resamples", default=1000, show_default=True, help="Of the bootstrap; 0 for no intervals.")
@JSON
@plain_errors
def evaluate(
    run: str, data: Path | None, split: str, artifact: Path | None, resamples: int, as_json: bool
) -> None:
    """Every protocol of the task for RUN (a run's folder or a zoo entry), with bootstrap intervals and the floor."""
    opened, folder = _open(run, data)
    report = opened.evaluate(split, resamples=resamples, artifact=artifact)
    folder = report.save(folder / (split if artifact is None else f"{split}-{artifact.name}"))
    if as_json:
        click.echo(json.dumps(json.loads(report.table.to_json(orient="index", double_precision=15))))
        return
    click.echo(report)
    click.echo(f"\nReport and plot: {folder}")


@click.command(epilog="Example: keras-lmf export runs/mosi --formats tflite")
@RUN
@DATA
@SPLIT
@click.option(
    "--formats",
    default="saved_model,tflite,tflite-float16,tflite-dynamic,tflite-int8",
    show_default=True,
    help="Names, separated by commas.",
)
@click.option("--folder", type=click.Path(path_type=Path), help="For the files; default RUN/exported.")
@JSON
@plain_errors
def export(run: str, data: Path | None, split: str, formats: str, folder: Path | None, as_json: bool) -> None:
    """Write the model of RUN (a run's folder or a zoo entry) in each format, run every written file on the split, and
    print its metrics. Int8 formats are calibrated on the training split."""
    from keras_lmf.export import export_model, report, summary

    opened, home = _open(run, data)
    folder = folder or home / "exported"
    dataset = opened.dataset()
    artifacts = export_model(
        opened.model,
        folder,
        words(formats),
        evaluation=dataset[split],
        calibration=dataset["train"],
        train_labels=dataset["train"].labels,
        recipe=opened.recipe,
    )
    if as_json:
        click.echo(report(artifacts).to_json(orient="records", double_precision=15))
        return
    click.echo(summary(artifacts).to_string())
    for artifact in artifacts:
        for note in artifact.notes:
            click.echo(f"\n{artifact.path.name}: {note}")
    click.echo(f"\nReport and plot: {folder / 'report.md'}, {folder / 'report.png'}")


def _entry(name: str) -> tuple[Any, Any]:
    """A zoo entry and its recipe."""
    from keras_lmf.zoo import fetching

    place = fetching.find(name)
    return place.entry, fetching.recipe(place)


def _check(run: Run, entry: Any) -> None:
    from keras_lmf.publishing import compare

    table = compare(run, entry)
    click.echo(
        f"\nThis run beside the seeds of {entry.name}, test split:\n{table.to_string(float_format='{:.4f}'.format)}"
    )
    if not table["agrees"].all():
        raise LMFError(f"Not within the seeds' spread: {', '.join(table.index[~table['agrees']])}")


def _dataset(recipe: Any, data: Path | None) -> Any:
    """The recipe's corpus from the folder `data`, or the .npz itself."""
    from keras_lmf.data import corpora

    if data is not None and data.suffix == ".npz":
        return corpora.load(data)
    return corpora.load(recipe.corpus.name, data, **recipe.corpus.options)


def _open(source: str, data: Path | None) -> tuple[Run, Path]:
    """A run with its data, and the folder for what is said of it: a run's own, or one of a zoo entry's name here."""
    from keras_lmf import zoo
    from keras_lmf.training import Run

    path = zoo.local_path(source)
    if path is not None and not (path / "entry.json").is_file():
        run, folder = Run.open(path), path
    else:
        try:
            weights = zoo.fetch(source, ["weights"])["weights"]  # checked by sha256
        except LMFError as error:
            raise LMFError(f"{source} is not a run's folder, and no zoo entry can be had: {error}") from None
        run, folder = Run.open(weights.parent), Path(Path(source).name)
    return Run(run.folder, run.recipe, _dataset(run.recipe, data)), folder
