"""keras-lmf …: the command line. Every handler imports what it needs when it runs."""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_lmf import __version__
from keras_lmf.errors import LMFError, unknown_name

if TYPE_CHECKING:
    from keras_lmf.training import Run


class Commands(click.Group):
    """A group that knows the nearest command."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if arguments and arguments[0] not in self.commands:
            raise click.UsageError(str(unknown_name("command", arguments[0], self.commands)), context)
        return super().resolve_command(context, arguments)


def plain_errors(handler: Callable[..., None]) -> Callable[..., None]:
    """What the user can mend is one line on standard error and exit code 1, never a traceback."""

    @functools.wraps(handler)
    def wrapper(*args: Any, **options: Any) -> None:
        try:
            handler(*args, **options)
        except (LMFError, ImportError, OSError) as error:
            raise click.ClickException(str(error)) from error

    return wrapper


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def main() -> None:
    """Audio-video emotion recognition by tensor fusion and low-rank fusion.

    Exit codes: 0 done, 1 failed, 2 wrong usage.
    """
    # TensorFlow's start-up messages and advice on tracing are not for our users; set it to 0 to see the former.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The folder that holds the corpora (default: KERAS_LMF_DATA), or your own .npz.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
RUN = click.argument("run")
SPLIT = click.option(
    "--split", default="test", show_default=True, type=click.Choice(["train", "valid", "test"])
)


@main.command(epilog="Example: keras-lmf train zoo/lmf-mosi-avt/recipe.toml --folder runs/mosi")
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


@main.command(epilog="Example: keras-lmf evaluate runs/mosi --artifact runs/mosi/exported/model.tflite")
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


@main.command(epilog="Example: keras-lmf export runs/mosi --formats tflite")
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
        _words(formats),
        evaluation=dataset[split],
        calibration=dataset["train"],
        train_labels=dataset["train"].labels,
        recipe=opened.recipe,
    )
    if as_json:
        click.echo(report(artifacts).to_json(orient="records", double_precision=15))
        return
    click.echo(summary(artifacts).to_string())
    click.echo(f"\nReport: {folder / 'report.md'}")


@main.command("list", epilog="Example: keras-lmf list --fusion low_rank --max-mb 5")
@click.option("--fusion", help="early, tensor or low_rank.")
@click.option("--corpus", help="What an entry was trained on.")
@click.option("--modality", help="An input that the model must have.")
@click.option("--licence", help="Of the weights.")
@click.option("--max-mb", type=float, help="Largest size of the weights in MB.")
@JSON
@plain_errors
def list_entries(as_json: bool, **filters: Any) -> None:
    """The zoo's entries, one line each."""
    from keras_lmf.zoo.listing import table

    entries = table(**filters)
    if as_json:
        click.echo(entries.to_json(orient="records", double_precision=15))
        return
    if entries.empty:
        click.echo("No entry fits.", err=True)
        return
    columns = ["name", "fusion", "modalities", "parameters", "metric", "value", "floor", "weights_licence"]
    click.echo(entries[columns].to_string(index=False, float_format="{:.3f}".format))
    click.echo("\nMore: keras-lmf show NAME", err=True)


@main.command(epilog="Example: keras-lmf show lmf-mosi-avt")
@click.argument("name")
@plain_errors
def show(name: str) -> None:
    """What a zoo entry is (NAME or its folder), or what a .tflite file takes and gives."""
    from keras_lmf.zoo.listing import show as text_of

    click.echo(text_of(name))


@main.command(epilog="Example: keras-lmf fetch lmf-mosi-avt --files weights,tflite")
@click.argument("name")
@click.option("--files", help="Keys of the entry's files, separated by commas; default all.")
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Instead of KERAS_LMF_HOME.")
@JSON
@plain_errors
def fetch(name: str, files: str | None, cache_dir: Path | None, as_json: bool) -> None:
    """Make sure that the files of a zoo entry are on this machine, each with its sha256, and print their paths."""
    from keras_lmf.zoo.fetching import fetch as fetched

    paths = fetched(name, _words(files) if files else None, cache_dir)
    if as_json:
        click.echo(json.dumps({key: str(path) for key, path in paths.items()}))
        return
    for key, path in paths.items():
        click.echo(f"{key}: {path}")


@main.command(epilog="Example: keras-lmf publish zoo/lmf-mosi-avt --work runs/zoo/lmf-mosi-avt")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--work", required=True, type=click.Path(path_type=Path), help="For runs and exported files.")
@DATA
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1), help="Trainings.")
@plain_errors
def publish(folder: Path, work: Path, data: Path | None, seeds: int) -> None:
    """Make FOLDER, which holds a recipe.toml, a zoo entry: train, export, measure, describe."""
    from keras_lmf import publishing

    entry = publishing.publish(folder, work, root=data, seeds=seeds)
    click.echo(
        f"{folder}: {', '.join(entry.files)}. Next: write {folder / 'limits.md'}, then keras-lmf render"
    )


@main.command(epilog="Example: keras-lmf render zoo --check")
@click.argument("zoo", type=click.Path(path_type=Path), default=Path("zoo"))
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 when a page is stale.")
@plain_errors
def render(zoo: Path, check: bool) -> None:
    """Write every CARD.md, README.md and results.csv of the folder ZOO from its entries."""
    from keras_lmf.zoo import cards

    if not check:
        for path in cards.render(zoo):
            click.echo(path)
        return
    if stale := cards.stale_pages(zoo):
        raise LMFError(f"Stale, run 'keras-lmf render {zoo}': {', '.join(map(str, stale))}")


@main.command(epilog="Example: keras-lmf quickstart --folder /tmp/quickstart")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("keras-lmf-quickstart"),
    show_default=True,
    help="For runs, files and report.",
)
@plain_errors
def quickstart(folder: Path) -> None:
    """The main job in miniature: train three fusions on synthetic data, export the best, measure the files."""
    from keras_lmf import quickstart as story

    story.quickstart(folder, click.echo)


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


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


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
        weights = zoo.fetch(source, ["weights"])["weights"]  # checked by sha256
        run, folder = Run.open(weights.parent), Path(Path(source).name)
    return Run(run.folder, run.recipe, _dataset(run.recipe, data)), folder
