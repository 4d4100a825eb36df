"""list, show, fetch, publish, renew, calibrate, metadata, render: the zoo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_lmf.cli.options import DATA, JSON, names_of_entries, plain_errors, words
from keras_lmf.cli.tables import Column, paragraph, table
from keras_lmf.errors import LMFError
from keras_lmf.locate import locate

if TYPE_CHECKING:
    from keras_lmf.zoo import Entry


COLUMNS = (
    Column("name"),
    Column("takes", wraps=True),
    Column("on test"),
    Column("floor", right=True),
    Column("MB ", right=True),
    Column("ms", right=True),
    Column("licence"),
    Column("what goes in", spare=True),
)


@click.command("list", epilog="Example: keras-lmf list --takes sound --max-mb 2 --licence non-commercial")
@click.option("--takes", help="clip (voice and face), sound, photo or features.")
@click.option("--max-mb", type=float, help="Largest size of the best file in MB.")
@click.option("--max-ms", type=float, help="Longest time of the best file for one row, in milliseconds.")
@click.option("--licence", help="Of the weights, in a word: research-only, non-commercial, ….")
@click.option("--fusion", help="none, early, tensor or low_rank.")
@click.option("--corpus", help="What an entry was trained on.")
@click.option("--modality", help="An input that the model must have.")
@JSON
@plain_errors
def list_entries(as_json: bool, **filters: Any) -> None:
    """The zoo's entries, one line each: what goes in, how good it is, size and time of the best file, licence.

    Words may be in capitals or not.
    """
    from keras_lmf.zoo import listing

    fitting = listing.entries(**filters)
    if as_json:
        click.echo(json.dumps(listing.records(fitting), ensure_ascii=False, allow_nan=False))
        return
    if not fitting:
        smaller = " An export may be smaller than the file that comes along: keras-lmf show NAME --full."
        click.echo(f"No entry fits.{smaller if filters['max_mb'] else ''}", err=True)
        return
    click.echo(table(map(_cells, fitting), COLUMNS))
    click.echo(
        "\n"
        + paragraph(
            "Of the smallest .tflite file that comes along (* keras-lmf export writes it): on test, how often it "
            "is right, or how far off (mean absolute error), on data that no training saw; MB; ms for one row "
            "on one thread. floor: what a constant answer gets."
        ),
        err=True,
    )
    click.echo("More: keras-lmf show NAME", err=True)


def _cells(entry: Entry) -> list[str]:
    """Of COLUMNS."""
    from keras_lmf.zoo import description

    key = description.best_file(entry)
    cost = entry.costs.get(key)
    block = entry.metrics.get(key) or entry.metrics.get("weights", {})
    (word, metric), *_ = [*block.items(), (None, None)]
    floor = metric and description.worth(word, metric.floor).partition(" ")[0]
    return [
        *(entry.name, ", ".join(description.kinds(entry))),
        *(description.worth(word, metric.value) if metric else "", floor or ""),
        description.amount(description.size(entry, key) / 1e6) + (" " if key in entry.files else "*"),
        description.amount(cost.latency_p50_ms) if cost else "",
        *(entry.licences.word, description.what_goes_in(entry)),
    ]


@click.command(epilog="Example: keras-lmf show lmf-mosi-avt")
@click.argument("name", shell_complete=names_of_entries)
@click.option("--full", is_flag=True, help="All that is known: every file, metric and note.")
@JSON
@plain_errors
def show(name: str, full: bool, as_json: bool) -> None:
    """What a zoo entry is (NAME or its folder)."""
    from keras_lmf.zoo import listing

    if as_json:
        click.echo(json.dumps(listing.facts(name), indent=1))
    elif full:
        click.echo(listing.show(name))
    else:
        for line in listing.brief(name).splitlines():
            click.echo(paragraph(line, indent=12))


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
        f"{folder}: {', '.join(entry.files)}. Next: write {folder / 'limits.md'} (first the lines 'Use it for: …' and "
        "'Not for: …'), then keras-lmf render"
    )


@click.command(epilog="Example: keras-lmf renew zoo/lmf-pom-av --work runs/zoo/lmf-pom-av")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--work", required=True, type=click.Path(path_type=Path), help="For the exported files.")
@DATA
@plain_errors
def renew(folder: Path, work: Path, data: Path | None) -> None:
    """Write the files of the zoo entry in FOLDER anew from its weights, and measure them: nothing is trained.

    After the exporter has changed. Weights, temperatures and the Keras model's figures stay.
    """
    from keras_lmf import publishing

    entry = publishing.renew(folder, work, root=data)
    click.echo(f"{folder}: {', '.join(entry.files)}")
    for note in filter(publishing.about_a_file, entry.protocol):
        click.echo(note)
    click.echo("Next: keras-lmf render", err=True)


@click.command(epilog="Example: keras-lmf calibrate zoo/lmf-ravdess-av --work runs/zoo/lmf-ravdess-av")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--work", required=True, type=click.Path(path_type=Path), help="For the runs of twins.")
@DATA
@plain_errors
def calibrate(folder: Path, work: Path, data: Path | None) -> None:
    """Fit the temperatures of the zoo entry in FOLDER anew, into its entry.json and its files.

    Weights and metrics stay. Where the validation split is small, twins are trained for it. On any backend.
    """
    from keras_lmf import publishing

    found = publishing.calibrate(folder, work, root=data).calibration
    click.echo(f"temperature {found.temperature:.3f}, fitted to {found.rows} rows of {found.split}")
    click.echo(f"expected calibration error on test: {found.ece_before:.3f} → {found.ece_after:.3f}")
    click.echo(f"negative log-likelihood on test: {found.nll_before:.3f} → {found.nll_after:.3f}")
    click.echo("Next: keras-lmf render")


@click.command(epilog="Example: keras-lmf metadata zoo/lmf-ravdess-av")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@plain_errors
def metadata(paths: tuple[Path, ...]) -> None:
    """Write into .tflite files what their sidecars say. Each of PATHS is a file, or the folder of a zoo entry.

    For files of older versions: an export does it by itself. What a file computes stays as it is.
    """
    from keras_lmf import publishing
    from keras_lmf.export.metadata import write_metadata
    from keras_lmf.sidecar import Sidecar

    for path in paths:
        if locate(path, "entry", "tflite").kind == "entry":
            publishing.write_metadata(path)
        elif not (beside := Sidecar.path_of(path)).is_file():
            raise LMFError(
                f"{path} has no sidecar: there is no {beside.name} beside it to be written into it."
            )
        else:
            write_metadata(path, Sidecar.read(path))
        click.echo(path)
    click.echo("Next, for entries: keras-lmf render", err=True)


@click.command(epilog="Example: keras-lmf render zoo --check")
@click.argument("zoo", type=click.Path(path_type=Path), default=Path("zoo"))
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 when a page or a picture is stale.")
@plain_errors
def render(zoo: Path, check: bool) -> None:
    """Write every CARD.md, README.md, files.md (.csv, .json) and results.csv of the folder ZOO from its entries, and
    draw their pictures."""
    from keras_lmf.zoo import cards

    if not check:
        for path in cards.render(zoo):
            click.echo(path)
        return
    if stale := cards.stale_pages(zoo):
        raise LMFError(f"Stale, run 'keras-lmf render {zoo}': {', '.join(map(str, stale))}")
