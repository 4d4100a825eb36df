"""describe: what a voice, a face, a body and a skin did, in numbers with units."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keras_lmf.cli.options import JSON, plain_errors
from keras_lmf.files import require_writable


@click.command(epilog="Example: keras-lmf describe clip.mp4 --csv clip-descriptors.csv --plot clip.png")
@click.argument("clip", type=click.Path(path_type=Path))
@click.option(
    "--csv",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the descriptors here: a row every .04 s, with times, and units in the headings.",
)
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw them over time into this .png."
)
@click.option(
    "--openface",
    type=click.Path(path_type=Path),
    help="The table that OpenFace 2 wrote for CLIP; default: the .csv of its name beside it, if that is one.",
)
@click.option(
    "--eda",
    type=click.Path(path_type=Path),
    help="The skin's conductance: a CSV with the columns time, in seconds from the beginning of CLIP, and eda, in µS.",
)
@click.option(
    "--window",
    default=3.0,
    show_default=True,
    help="Seconds around a step, of what is said of a stretch: speech rate, pauses, lips against voice.",
)
@click.option("--max-seconds", default=600.0, show_default=True, help="The longest file that is allowed.")
@JSON
@plain_errors
def describe(
    clip: Path,
    csv: Path | None,
    plot: Path | None,
    openface: Path | None,
    eda: Path | None,
    window: float,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Pitch, energy, pauses, head, mouth, movement and the skin's conductance of CLIP over time, with units.

    Prints mean, standard deviation and the share of steps where each is known. No model is involved.
    """
    for target in filter(None, (csv, plot)):
        require_writable(target)
    from keras_lmf import descriptors

    table = descriptors.describe(clip, openface=openface, eda=eda, window=window, max_seconds=max_seconds)
    if csv is not None:
        click.echo(f"Table: {descriptors.write_csv(table, csv)}", err=True)
    if plot is not None:
        from keras_lmf.evaluation import plots
        from keras_lmf.evaluation.series import series

        headings = {name: descriptors.DESCRIPTORS[name].heading for name in table}
        click.echo(f"Picture: {plots.save(series(table, headings, clip.name), plot)}", err=True)
    found = table.agg(["mean", "std"]).T.assign(known=table.notna().mean())
    found.insert(0, "unit", [descriptors.DESCRIPTORS[name].unit for name in table])
    if as_json:
        facts = json.loads(found.to_json(orient="index"))
        click.echo(
            json.dumps({"file": str(clip), "steps": len(table), "descriptors": facts}, ensure_ascii=False)
        )
        return
    click.echo(found.to_string(float_format="{:.3g}".format, na_rep="–"))
