"""export: a run's files, those of its streaming variant or of its halves, or the best one within a budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from keras_lmf.cli.options import DATA, JSON, lengths, plain_errors, words
from keras_lmf.cli.runs import RUN, SPLIT, rows_of
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.files import require_writable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

    from keras_lmf.export import Artifact
    from keras_lmf.training import Run

LARGER_THAN_ZERO = click.FloatRange(min=0, min_open=True)


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
@click.option(
    "--chunks",
    help="Write the streaming variant instead, which takes a clip chunk by chunk: for each input that comes in chunks "
    "the steps, samples or frames of one, as voice=1600,face=1.",
)
@click.option(
    "--part",
    type=click.Choice(["front-end", "body"]),
    help="One half of a model that takes recordings: from these to features, or from features to the answer.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="For the files; default RUN/exported, of a zoo entry runs/NAME/exported; of a part its folder "
    "in there, with --chunks exported-streaming, with a budget budget.",
)
@click.option(
    "--budget-kb",
    type=LARGER_THAN_ZERO,
    help="Find the best .tflite file of at most so many kB (1000 bytes): of the model, or of a smaller one that is "
    "trained for it. The split valid chooses.",
)
@click.option(
    "--budget-ms",
    type=LARGER_THAN_ZERO,
    help="Likewise of at most so many milliseconds for one row, on one thread of this machine.",
)
@JSON
@plain_errors
def export(
    run: str,
    data: Path | None,
    split: str,
    formats: str,
    chunks: str | None,
    part: str | None,
    folder: Path | None,
    budget_kb: float | None,
    budget_ms: float | None,
    as_json: bool,
) -> None:
    """Write the model of RUN (a run's folder or a zoo entry) in each format, run every written file on the split, and
    print its headline metric; the report has all. Int8 formats are calibrated on the training split. Where a format
    can't be had, the others are written, and the exit code is 1.

    Where the corpus is not at hand, and with --chunks, the formats that need none are written, without metrics. Works
    on every backend of Keras; TensorFlow must be installed.

    With a budget one file is written: rank, widths and format are chosen among candidates that are measured here and,
    where they fit, trained. A table and a plot show them all. An interrupted call goes on when it is given again.
    """
    given = {"--chunks": chunks, "--part": part, "a budget": budget_kb or budget_ms}
    if len(both := [name for name, value in given.items() if value]) > 1:
        raise click.UsageError(f"{both[0]} and {both[1]} exclude one another.")
    steps = lengths("--chunks", chunks) if chunks else {}
    if not (names := words(formats)):
        raise click.UsageError(f"--formats takes names separated by commas, received {formats!r}")
    split_given = click.get_current_context().get_parameter_source("split") is not ParameterSource.DEFAULT
    if (budget_kb or budget_ms) and split_given:
        raise click.UsageError("With a budget, the split 'valid' chooses, and 'test' judges what was chosen.")
    # Only now what takes seconds to import.
    from keras_lmf.cli.sources import found, with_data
    from keras_lmf.export import FORMATS, NotAllWritten, export_model, report

    for name in names:
        if name not in FORMATS:
            raise unknown_name("export format", name, FORMATS)
    source = found(run)
    if budget_kb or budget_ms:
        folder = folder or source.folder / "budget"
        _within_budget(with_data(source, data), folder, (budget_kb, budget_ms), names, as_json)
        return
    refused = None
    try:
        if chunks:
            from keras_lmf.models import streaming_model

            folder = folder or source.folder / "exported-streaming"
            names = _without_corpus(names, "With --chunks, files are judged on chunks, which no corpus has.")
            artifacts = export_model(streaming_model(source.model, steps), folder, names)
        else:
            folder = folder or source.folder / "exported" / (part or "")
            artifacts = _exported(source, data, split, part, folder, names)
    except NotAllWritten as error:
        if not error.artifacts:
            raise
        refused, artifacts = error, error.artifacts
    if as_json:
        click.echo(report(artifacts).to_json(orient="records", double_precision=15))
    else:
        click.echo(_told(artifacts))
        files = [path for path in (folder / "report.md", folder / "report.png") if path.is_file()]
        click.echo(f"\nReport, with all figures: {', '.join(map(str, files))}")
    if refused:
        raise refused


def _told(artifacts: Sequence[Artifact]) -> str:
    """A line for each file, and what its columns mean."""
    from keras_lmf.cli.tables import Column, paragraph, table
    from keras_lmf.evaluation.metric_names import metric_name
    from keras_lmf.export.artifact import interval

    judged = artifacts[0].table if artifacts else None
    metric = "" if judged is None else judged.index[0]
    rows = [
        (
            artifact.path.name,
            f"{artifact.bytes:,}",
            "" if artifact.table is None else interval(artifact.table.loc[metric]),
            "" if artifact.latency.p50 is None else f"{artifact.latency.p50:.3g}",
            f"{artifact.difference_max:.1e}",
            "" if artifact.agreement is None else f"{artifact.agreement:.1%}",
        )
        for artifact in artifacts
    ]
    columns = [
        Column("file"),
        Column("bytes", right=True),
        Column(metric_name(metric)),
        Column("ms", right=True),
        Column("difference", right=True),
        Column("same class as Keras", right=True, spare=True),
    ]
    words = "ms: median for one row on one thread. Difference: the largest to the Keras model's answers."
    if judged is not None and judged["floor"].notna()[metric]:
        words += f" A constant answer: {metric_name(metric)} {judged.loc[metric, 'floor']:.3f}."
    return f"{table(rows, columns)}\n\n{paragraph(words)}"


def _exported(
    run: Run, data: Path | None, split: str, part: str | None, folder: Path, formats: list[str]
) -> list[Artifact]:
    """The files of the model or of its half, judged on the split where the corpus is at hand."""
    from keras_lmf.cli.sources import with_data
    from keras_lmf.export import FORMATS, behind, export_model

    model = run.model  # `with_data` would read it again
    half = _half(model, part) if part else None
    calibrated = any(FORMATS[name].calibrated for name in formats)
    if part == "front-end" and not calibrated:  # features have no metrics
        return export_model(half, folder, formats)
    try:
        run = with_data(run, data)
    except LMFError as error:
        if data is not None:
            raise
        formats = _without_corpus(formats, " ".join(str(error).split()))
        return export_model(half or model, folder, formats)
    rows = run.dataset()
    if half is None:
        return run.export(folder, formats, evaluation=rows[split])
    train = rows["train"]
    if part == "front-end":
        return export_model(half, folder, formats, calibration=train)
    front_end = _half(model, "front-end")
    return export_model(
        half,
        folder,
        formats,
        evaluation=behind(front_end, rows[split]),
        calibration=behind(front_end, train) if calibrated else None,
        train_labels=train.labels,
    )


def _within_budget(
    run: Run, folder: Path, budget: tuple[float | None, float | None], formats: list[str], as_json: bool
) -> None:
    from keras_lmf.cli.tables import report
    from keras_lmf.training import Budget, within_budget

    require_writable(folder / "budget.md")
    choice = within_budget(run, folder, Budget(*budget), formats)
    choice.save(folder)
    if as_json:
        candidates = json.loads(choice.table.to_json(orient="records", double_precision=15))
        click.echo(
            json.dumps({"file": str(choice.file), "test": rows_of(choice.test), "candidates": candidates})
        )
        return
    click.echo(report(choice.to_markdown()))
    click.echo(f"\nFile: {choice.file}\nTable and plot: {folder / 'budget.md'}, {folder / 'budget.png'}")


def _half(model: keras.Model, part: str) -> keras.Model:
    from keras_lmf.models import body_model, front_end_model

    return {"front-end": front_end_model, "body": body_model}[part](model)


def _without_corpus(formats: list[str], why: str) -> list[str]:
    """The formats that need no corpus; one line says what there is not, and why.

    Raises:
        LMFError: a format that needs it was asked for by name.
    """
    from keras_lmf.export import FORMATS

    calibrated = [name for name in formats if FORMATS[name].calibrated]
    default = click.get_current_context().get_parameter_source("formats") is ParameterSource.DEFAULT
    if calibrated and not default:
        raise LMFError(
            f"The format {calibrated[0]!r} takes its scales from the training split, which is not at hand. {why} Or "
            f"take --formats tflite-dynamic, which needs none."
        )
    lacking = ["no metrics", *(f"no {name} file" for name in calibrated)]
    click.echo(f"Without a corpus there are {' and '.join(lacking)}. {why}", err=True)
    return [name for name in formats if name not in calibrated]
