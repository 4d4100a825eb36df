"""robustness, compare, tune: what takes many runs of a model, or many trainings."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keras_lmf.cli.options import DATA, JSON, plain_errors
from keras_lmf.cli.runs import SPLIT
from keras_lmf.files import require_writable


@click.command(epilog="Example: keras-lmf robustness lmf-mosi-avt --baseline early-mosi-avt")
@click.argument("name")
@DATA
@SPLIT
@click.option(
    "--baseline", help="A run or a zoo entry of late fusion on the same inputs, for the effective robustness."
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
    from keras_lmf.cli.sources import opened
    from keras_lmf.evaluation.robustness import Robustness, against
    from keras_lmf.evaluation.robustness import robustness as judge
    from keras_lmf.runtime import open_artifact
    from keras_lmf.training import Run

    judged = opened(name, data)
    folder = judged.folder / f"robustness-{split}"
    require_writable(folder / "robustness.md")

    def curves(run: Run, metric: str | None) -> Robustness:
        dataset, predict = run.dataset(), open_artifact(run.model).predict
        return judge(
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
        tables = {"summary": found.summary, "subsets": found.subsets, "curves": found.curves}
        rows = {
            key: json.loads(table.reset_index().to_json(orient="records", double_precision=15))
            for key, table in tables.items()
        }
        click.echo(json.dumps({"metric": found.metric, "floor": found.floor} | rows))
        return
    click.echo(found)
    click.echo(f"Tables and plot: {folder}")
