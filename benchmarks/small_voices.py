"""How well networks of a voice do that fit a phone: trained on three corpora, with a teacher.

    python benchmarks/small_voices.py --csv benchmarks/results/small_voices.csv

The recipes beside this file, on voices of RAVDESS, EmoDB and nEMO: convolutions over a spectrogram, an LSTM over MFCC
(the reference paper's, section III), and a linear layer over the lowest layer of GE2E. Half of each training label is
what `whisper-voice` answers. That entry has learnt from the validation rows, so look at the test rows. What is trained
already in the folder --work is not trained again.
"""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd
from measurements import CSV, write_csv

from keras_lmf import load
from keras_lmf.data import Dataset, corpora
from keras_lmf.evaluation import evaluate
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.recipe import Recipe
from keras_lmf.recipe.training import Distillation
from keras_lmf.runtime import open_artifact
from keras_lmf.training import train

HERE = Path(__file__).parent
RECIPES = ("ge2e-layer-voice", "spectrogram-cnn-voice", "mfcc-lstm-voice")
TEACHER = "whisper-voice"
METRICS = ("war", "uar", "f1_macro")


def figures(model: object, data: Dataset, split: str) -> dict[str, float]:
    report = evaluate(open_artifact(model).predict(data[split].inputs), data[split], resamples=0)
    return {f"{metric_name(name)}, {split}": report.metrics[name] for name in METRICS}


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
@click.option(
    "--work", type=click.Path(path_type=Path), default=Path("runs") / "small-voices", show_default=True
)
@CSV
def main(data: Path | None, work: Path, csv: Path | None) -> None:
    recipe = Recipe.read(HERE / f"{RECIPES[0]}.toml")
    corpus = corpora.load(recipe.corpus.name, data, recipe.recorded, **recipe.corpus.options)
    teacher = load(TEACHER)
    rows = [{"model": TEACHER, "parameters": teacher.count_params()}]
    rows[0] |= figures(teacher, corpus, "test")
    for name in RECIPES:
        recipe = Recipe.read(HERE / f"{name}.toml")
        recipe = recipe.replace(training={"distillation": Distillation(teacher=(TEACHER,))})
        model = train(recipe, corpus, work / name).model
        facts = {"model": name, "parameters": model.count_params()}
        rows.append(facts | figures(model, corpus, "valid") | figures(model, corpus, "test"))
        write_csv(pd.DataFrame(rows), csv)
    click.echo(pd.DataFrame(rows).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
