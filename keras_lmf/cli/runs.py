"""train and evaluate: a recipe, a run."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_lmf.cli import processes, tables
from keras_lmf.cli.options import DATA, JSON, names_of_entries, plain_errors
from keras_lmf.cli.progress import waiting
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.files import require_writable
from keras_lmf.locate import WEIGHTS

if TYPE_CHECKING:
    import pandas as pd

    from keras_lmf.recipe import Recipe
    from keras_lmf.training import Run
    from keras_lmf.zoo import Entry

RUN = click.argument("run", shell_complete=names_of_entries)
SPLIT = click.option(
    "--split", default="test", show_default=True, type=click.Choice(["train", "valid", "test"])
)


@click.command(epilog="Example: keras-lmf train zoo/lmf-mosi-avt/recipe.toml --folder runs/mosi")
@click.argument("recipe", shell_complete=names_of_entries)
@DATA
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="For the run; default runs/<recipe name>, with --check runs/<recipe name>-check.",
)
@click.option("--seed", type=int, help="Instead of the recipe's.")
@click.option(
    "--teacher",
    multiple=True,
    help="Learn from the answers of this zoo entry or run, too: the recipe's training.distillation.teacher. Given "
    "several times, from the mean of theirs.",
)
@click.option(
    "--unlabelled",
    type=click.Path(exists=True, file_okay=False),
    help="Learn from the teachers' answers to the clips in this folder, too: training.distillation.unlabelled.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Train the zoo entry RECIPE with a seed that is new to it, and compare: exit code 1 where the first metric "
    "lies outside the 95 % prediction interval of the entry's seeds.",
)
@click.option(
    "--all-devices", is_flag=True, help="Divide each batch among all devices of this machine. JAX backend."
)
@click.option(
    "--processes",
    type=click.IntRange(2),
    help="Divide the training among so many processes, each of which is this command with its own --process, and among "
    "all devices of each. JAX backend.",
)
@click.option("--process", type=click.IntRange(0), help="The number of this process, from 0.")
@click.option("--address", help="HOST:PORT where process 0 listens for the others, the same for all.")
@click.option(processes.WATCHED, "watcher", type=int, hidden=True)
@JSON
@plain_errors
def train(as_json: bool, watcher: int | None, **options: Any) -> None:
    """Train RECIPE (a TOML file or a zoo entry) into a run folder; an interrupted run goes on where it was."""
    place = {name: options.pop(name) for name in ("processes", "process", "address")}
    given = [name for name, value in place.items() if value is not None]
    if given and len(given) < len(place):
        raise click.UsageError(
            f"--processes, --process and --address go together, received --{given[0]} alone."
        )
    if given and watcher is None:
        raise SystemExit(processes.watch(place["process"], place["processes"]))
    with processes.watched(watcher) if given else contextlib.nullcontext():
        _train(as_json=as_json, place=place if given else None, **options)


def _train(
    recipe: str,
    data: Path | None,
    folder: Path | None,
    seed: int | None,
    teacher: tuple[str, ...],
    unlabelled: str | None,
    check: bool,
    all_devices: bool,
    place: dict[str, Any] | None,
    as_json: bool,
) -> None:
    entry, read = recipe_of(recipe)
    if check:
        read = read.replace(seed=_new_seed(recipe, entry))
    if seed is not None:
        read = read.replace(seed=seed)
    if teacher:
        read = read.replace(training={"distillation": {"teacher": teacher}})
    if unlabelled:
        if read.training.distillation is None:
            raise click.UsageError("--unlabelled needs a teacher: give --teacher ENTRY.")
        read = read.replace(training={"distillation": {"unlabelled": unlabelled}})
    # Only now what takes seconds to import: a typo in the recipe is told at once.
    from keras_lmf import training
    from keras_lmf.cli.sources import dataset, run_folder
    from keras_lmf.training.named import named

    options = {}
    if place:  # before anything else asks JAX for its devices
        options["devices"] = training.Devices.of_processes(**place)
    elif all_devices:
        options["devices"] = training.Devices.of_this_process()
    follows = place is not None and place["process"] > 0
    named(read)  # a typo there is told before the corpus is read
    corpus = dataset(read, data)
    if not as_json and not follows:
        click.echo(corpus.summary(), err=True)
    folder = folder or run_folder(f"{read.name}-check" if check else read.name)
    if check and (folder / WEIGHTS).is_file():
        click.echo(f"{folder} holds this run already: a finished one is not trained again.", err=True)
    try:
        run = training.train(read, corpus, folder, **options)
    except KeyboardInterrupt:
        raise click.ClickException(
            f"Interrupted. The same command goes on from the last whole epoch ({folder})."
        ) from None
    if follows:
        return
    table = _compared(run, entry) if check else None
    _tell(run, table, as_json)
    if table is not None and not table["agrees"].iloc[0]:
        raise LMFError(f"{table.index[0]} is not within the prediction interval of the entry's seeds.")


@click.command(epilog="Example: keras-lmf evaluate runs/mosi --artifact runs/mosi/exported/model.tflite")
@RUN
@DATA
@SPLIT
@click.option(
    "--artifact",
    type=click.Path(path_type=Path),
    help="Judge this SavedModel folder or .tflite instead of the run's own weights. A SavedModel with ops that could "
    "touch files, processes or Python is refused before it is loaded.",
)
@click.option("--resamples", default=1000, show_default=True, help="Of the bootstrap; 0 for no intervals.")
@click.option(
    "--leave-one-corpus-out",
    is_flag=True,
    help="Of a recipe of several corpora: train it anew without each of them, and judge it on that one's test split, "
    "beside the model that was trained on all. An interrupted call goes on when it is given again.",
)
@click.option("--seeds", default=1, show_default=True, help="Trainings for --leave-one-corpus-out.")
@JSON
@plain_errors
def evaluate(
    run: str,
    data: Path | None,
    split: str,
    artifact: Path | None,
    resamples: int,
    leave_one_corpus_out: bool,
    seeds: int,
    as_json: bool,
) -> None:
    """Every protocol of the task for RUN (a run's folder or a zoo entry), with bootstrap intervals and the floor.

    The report goes into the run's folder, for a zoo entry into runs/NAME.
    """
    if leave_one_corpus_out and (artifact or split != "test"):
        raise click.UsageError(
            "--leave-one-corpus-out trains its own models, and judges them on the test split."
        )
    with waiting(f"Opening {run}"):
        from keras_lmf.cli.sources import opened

        judged = opened(run, data)
    if leave_one_corpus_out:
        _leave_one_corpus_out(judged, seeds, as_json)
        return
    folder = judged.folder / (split if artifact is None else f"{split}-{artifact.name}")
    require_writable(folder / "report.md")
    with waiting(f"Evaluating {run} on {split}"):
        report = judged.evaluate(split, resamples=resamples, artifact=artifact)
    report.save(folder)
    if as_json:
        click.echo(json.dumps(rows_of(report.table)))
        return
    click.echo(tables.report(report.to_markdown()))
    click.echo(f"\nReport and plot: {folder}")


def _leave_one_corpus_out(run: Run, seeds: int, as_json: bool) -> None:
    from keras_lmf.training.left_out import CSV, leave_one_corpus_out

    require_writable(run.folder / CSV)
    found = leave_one_corpus_out(run, seeds=seeds)
    path = found.save(run.folder)
    if as_json:
        click.echo(found.table.to_json(orient="records", double_precision=15))
        return
    click.echo(tables.report(found.to_markdown()))
    click.echo(f"\nTable: {path}")


def recipe_of(source: str) -> tuple[Entry | None, Recipe]:
    """The recipe of a TOML file, or a zoo entry and its recipe."""
    from keras_lmf.locate import locate
    from keras_lmf.recipe import Recipe
    from keras_lmf.zoo import fetching

    place = locate(source, "recipe", "entry")
    if place.kind == "recipe":
        return None, Recipe.read(place.path)
    files = fetching.files_of(place)
    return files.entry, fetching.recipe(files)


def _new_seed(source: str, entry: Entry | None) -> int:
    from keras_lmf.zoo.description import new_seed

    if entry is None:
        raise LMFError(f"--check compares with a zoo entry, received the recipe {source}. Name an entry.")
    return new_seed(entry)


def _compared(run: Run, entry: Entry) -> pd.DataFrame:
    from keras_lmf.zoo.description import compare

    return compare(run.evaluate("test", resamples=0).metrics, entry)


def _tell(run: Run, table: pd.DataFrame | None, as_json: bool) -> None:
    """Print what a training gave, and the comparison with an entry where there is one."""
    best = run.history.loc[run.best_epoch]
    if as_json:
        facts = {"folder": str(run.folder), "best_epoch": int(best.name), **best.to_dict()}
        click.echo(json.dumps(facts if table is None else facts | {"check": rows_of(table)}))
        return
    click.echo(f"\n{run.folder}: {len(run.history)} epochs, the weights of epoch {best.name} are kept.")
    told = best.rename(_heading).to_frame("").T
    click.echo(tables.frame(told, "{:.4f}"))
    click.echo(f"\nNext: keras-lmf evaluate {run.folder}\n      keras-lmf export {run.folder}")
    if any(part.media for part in run.recipe.inputs.values()):
        click.echo(f"      keras-lmf predict clip.mp4 --model {run.folder}")
    if table is not None:
        click.echo(
            f"\nSeed {run.recipe.seed} beside the entry's seeds, test split; the first metric decides:"
        )
        click.echo(
            tables.frame(table.rename(index=metric_name).rename_axis("metric").reset_index(), "{:.4f}")
        )


def _heading(column: str) -> str:
    """A column of a run's history in readers' words: "val_war" → "accuracy on valid"."""
    word = column.removeprefix("val_")
    return metric_name(word) if word == column else f"{metric_name(word)} on valid"


def rows_of(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    return json.loads(table.to_json(orient="index", double_precision=15))
