"""The file of `lmf-small-av` beside that of `lmf-media-av`, on the same test pairs: both inputs, and each alone.

    python benchmarks/small_av.py --csv benchmarks/results/small_av.csv

The files with int8 weights, as they come. The pairs are those by which `lmf-media-av` is judged; the card of
`lmf-small-av` has figures on other pictures beside the same voices. Nothing is trained or chosen.
"""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd
from measurements import CSV, write_csv

from keras_lmf import zoo
from keras_lmf.data import corpora
from keras_lmf.evaluation import evaluate
from keras_lmf.evaluation.subsets import only
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact

REFERENCE, SMALL = "lmf-media-av", "lmf-small-av"
RECIPE = Path(__file__).parents[1] / "zoo" / REFERENCE / "recipe.toml"
FILE = "tflite-dynamic"
ALL = "all"


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
@CSV
def main(data: Path | None, csv: Path | None) -> None:
    recipe = Recipe.read(RECIPE)
    test = corpora.load(recipe.corpus.name, data, recipe.recorded, **recipe.corpus.options)["test"]
    rows = []
    for name in (REFERENCE, SMALL):
        path = zoo.fetch(name, [FILE])[FILE]
        runtime = open_artifact(path)
        for there in (ALL, *test.inputs):
            answers = runtime.predict(only(test.inputs, test.inputs if there == ALL else [there]))
            metrics = evaluate(answers[recipe.target.name], test, resamples=0).metrics
            figures = {metric: metrics[metric] for metric in ("war", "uar", "f1_macro")}
            rows.append({"entry": name, "bytes": path.stat().st_size, "there": there} | figures)
    table = pd.DataFrame(rows)
    write_csv(table, csv)
    click.echo(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
