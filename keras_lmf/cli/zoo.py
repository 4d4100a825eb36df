"""list, show, fetch, publish, calibrate, render: the zoo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from keras_lmf.cli.options import DATA, JSON, names_of_entries, plain_errors, words
from keras_lmf.errors import LMFError


@click.command("list", epilog="Example: keras-lmf list --fusion low_rank --max-mb 5")
@click.option("--fusion", help="none, early, tensor or low_rank.")
@click.option("--corpus", help="What an entry was trained on.")
@click.option("--modality", help="An input that the model must have.")
@click.option("--licence", help="Of the weights.")
@click.option("--max-mb", type=float, help="Largest size of the weights in MB.")
@JSON
@plain_errors
def list_entries(as_json: bool, **filters: Any) -> None:
    """The zoo's entries, one line each."""
    from keras_lmf.zoo.description import figure, metric_name
    from keras_lmf.zoo.description import table as aligned
    from keras_lmf.zoo.listing import table

    entries = table(**filters)
    if as_json:
        click.echo(entries.to_json(orient="records", double_precision=15))
        return
    if entries.empty:
        click.echo("No entry fits.", err=True)
        return
    header = [
        "name",
        "inputs",
        "fusion",
        "metric",
        "on test",
        "floor",
        "parameters",
        "licence of the weights",
    ]
    rows = [
        [
            *(row.name, row.modalities, "" if row.fusion == "none" else row.fusion),
            *(row.metric and metric_name(row.metric), figure(row.value), figure(row.floor)),
            *(f"{row.parameters:,}", row.weights_licence),
        ]
        for row in entries.itertuples()
    ]
    click.echo(aligned(rows, header, "plain"))
    click.echo("\nfloor: what a constant answer gets. Of an error, smaller is better.", err=True)
    click.echo("More: keras-lmf show NAME", err=True)


@click.command(epilog="Example: keras-lmf show lmf-mosi-avt")
@click.argument("name", shell_complete=names_of_entries)
@JSON
@plain_errors
def show(name: str, as_json: bool) -> None:
    """What a zoo entry is (NAME or its folder), or what a .tflite file takes and gives."""
    from keras_lmf.zoo import listing

    click.echo(json.dumps(listing.facts(name), indent=1) if as_json else listing.show(name))


@click.command(epilog="Example: keras-lmf fetch lmf-mosi-avt --files weights,tflite")
@click.argument("name", shell_complete=names_of_entries)
@click.option("--files", help="Keys of the entry's files, separated by commas; default all.")
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Instead of KERAS_LMF_HOME.")
@JSON
@plain_errors
def fetch(name: str, files: str | None, cache_dir: Path | None, as_json: bool) -> None:
    """Make sure that the files of a zoo entry are on this machine, each with its sha256, and print their paths."""
    from keras_lmf.zoo.fetching import fetch as fetched

    paths = fetched(name, words(files) if files else None, cache_dir)
    if as_json:
        click.echo(json.dumps({key: str(path) for key, path in paths.items()}))
        return
    for key, path in paths.items():
        click.echo(f"{key}: {path}")


@click.command(epilog="Example: keras-lmf publish zoo/lmf-mosi-avt --work runs/zoo/lmf-mosi-avt")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--work", required=True, type=click.Path(path_type=Path), help="For runs and exported files.")
@DATA
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1), help="Trainings.")
@plain_errors
def publish(folder: Path, work: Path, data: Path | None, seeds: int) -> None:
    """Make FOLDER, which holds a recipe.toml, a zoo entry: train, export, measure, describe.

    For a corpus of your own FOLDER also holds an about.toml: licence, weights_licence, citation, notes (a list), and
    for each input a section [inputs.NAME] with unit and description.
    """
    from keras_lmf import publishing

    entry = publishing.publish(folder, work, root=data, seeds=seeds)
    click.echo(
        f"{folder}: {', '.join(entry.files)}. Next: write {folder / 'limits.md'}, then keras-lmf render"
    )


@click.command(epilog="Example: keras-lmf calibrate zoo/lmf-ravdess-av --work runs/zoo/lmf-ravdess-av")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--work", required=True, type=click.Path(path_type=Path), help="For the runs of twins.")
@DATA
@plain_errors
def calibrate(folder: Path, work: Path, data: Path | None) -> None:
    """Fit the temperatures of the zoo entry in FOLDER anew, into its entry.json and the sidecars of its files.

    Weights and metrics stay. Where the validation split is small, twins are trained for it. On any backend.
    """
    from keras_lmf import publishing

    found = publishing.calibrate(folder, work, root=data).calibration
    click.echo(f"temperature {found.temperature:.3f}, fitted to {found.rows} rows of {found.split}")
    click.echo(f"expected calibration error on test: {found.ece_before:.3f} → {found.ece_after:.3f}")
    click.echo(f"negative log-likelihood on test: {found.nll_before:.3f} → {found.nll_after:.3f}")
    click.echo("Next: keras-lmf render")


@click.command(epilog="Example: keras-lmf render zoo --check")
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
