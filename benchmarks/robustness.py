"""How entries answer as their inputs get worse: the tables and pictures of docs/results.md.

    python benchmarks/robustness.py decision-ravdess-av lmf-mosi-avt

What `keras-lmf robustness` measures, written into benchmarks/results/robustness.
"""

from __future__ import annotations

import click
from measurements import RESULTS

from keras_lmf.cli.sources import opened
from keras_lmf.evaluation import measure_robustness
from keras_lmf.files import write_text
from keras_lmf.runtime import open_artifact

METRICS = {"lmf-mosi-avt": "acc2_nonneg"}  # else the first of the task


@click.command(help=__doc__)
@click.argument("names", nargs=-1, required=True)
def main(names: tuple[str, ...]) -> None:
    for name in names:
        run = opened(name, None)
        data, predict = run.dataset(), open_artifact(run.model).predict
        found = measure_robustness(
            predict, run.spec, data["test"], data["train"], metric=METRICS.get(name), title=name
        )
        folder = RESULTS / "robustness" / name
        found.save(folder, name)
        write_text(folder / "summary.csv", found.summary.to_csv(float_format="%.6g"))
        click.echo(f"{name}: {folder}")


if __name__ == "__main__":
    main()
