"""How far a temperature depends on who it is fitted to: the bound of validation speakers in `keras-lmf calibrate`.

    KERAS_BACKEND=jax python benchmarks/temperatures.py early-ravdess-av lmf-ravdess-av tfn-ravdess-av

Of each entry, the answers that its temperature is fitted to; no row of the test split. So many of their speakers
are drawn, with replacement, and a temperature is fitted to the rows: prints its 5th, 50th and 95th percentile over the
draws, and the standard deviation of its logarithm. The runs are those of `keras-lmf calibrate --work WORK/NAME`; what
is there is not trained again.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pandas as pd

from keras_lmf import zoo
from keras_lmf.data import corpora
from keras_lmf.evaluation.calibration import fit_temperature
from keras_lmf.publishing.calibrations import unseen_answers
from keras_lmf.recipe import Recipe

ZOO = Path(__file__).parents[1] / "zoo"
SPEAKERS, DRAWS = (1, 2, 3, 5), 300


@click.command(help=__doc__)
@click.argument("names", nargs=-1, required=True)
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
@click.option("--work", type=click.Path(path_type=Path), default="runs/zoo", show_default=True)
def main(names: tuple[str, ...], data: Path | None, work: Path) -> None:
    rows = []
    for name in names:
        recipe = Recipe.read(ZOO / name / "recipe.toml")
        corpus = corpora.load(recipe.corpus.name, data, recipe.recorded, **recipe.corpus.options)
        found = unseen_answers(recipe, corpus.select(list(recipe.inputs)), zoo.load(ZOO / name), work / name)
        own = [np.flatnonzero(found.groups == speaker) for speaker in np.unique(found.groups)]
        random = np.random.default_rng(0)
        for count in SPEAKERS:
            fitted = [
                fit_temperature(found.logits[drawn], found.labels[drawn])
                for drawn in (
                    np.concatenate([own[i] for i in random.integers(len(own), size=count)])
                    for _ in range(DRAWS)
                )
            ]
            low, middle, high = np.percentile(fitted, [5, 50, 95])
            spread = {
                "5 %": low,
                "median": middle,
                "95 %": high,
                "sd of the logarithm": np.std(np.log(fitted)),
            }
            facts = {"entry": name, "speakers": count, "rows": round(count * len(found.labels) / len(own))}
            rows.append(facts | spread)
    click.echo(pd.DataFrame(rows).to_string(index=False, float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
