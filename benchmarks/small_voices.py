"""How well networks of a voice do that fit a phone: trained on three corpora, with a teacher or without.

    python benchmarks/small_voices.py --csv benchmarks/results/small_voices.csv
    python benchmarks/small_voices.py --teacher whisper-voice --csv benchmarks/results/small_voices_taught.csv
    python benchmarks/small_voices.py mfcc-lstm-voice --teacher whisper-voice --features 1 \\
        --csv benchmarks/results/small_voices_matched.csv

The recipes beside this file, on voices of RAVDESS, EmoDB and nEMO: convolutions over a spectrogram, an LSTM over MFCC
(the reference paper's, section III), and a linear layer over the lowest layer of GE2E. With a teacher, half of each
training label is what it answers; with --features the vectors before the head are matched, too (the linear layer has
none that could change). `whisper-voice` has learnt from the validation rows, so look at the test rows. What
is trained already in the folder --work is not trained again.
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
METRICS = ("war", "uar", "f1_macro")


def figures(model: object, data: Dataset, split: str) -> dict[str, float]:
    report = evaluate(open_artifact(model).predict(data[split].inputs), data[split], resamples=0)
    return {f"{metric_name(name)}, {split}": report.metrics[name] for name in METRICS}


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice(RECIPES))
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
@click.option("--teacher", help="A zoo entry to learn from.")
@click.option(
    "--features", type=float, default=0.0, help="How much its vectors count (training.distillation.features)."
)
@click.option(
    "--work", type=click.Path(path_type=Path), default=Path("runs") / "small-voices", show_default=True
)
@CSV
def main(
    names: tuple[str, ...],
    data: Path | None,
    teacher: str | None,
    features: float,
    work: Path,
    csv: Path | None,
) -> None:
    recipe = Recipe.read(HERE / f"{RECIPES[0]}.toml")
    corpus = corpora.load(recipe.corpus.name, data, recipe.recorded, **recipe.corpus.options)
    rows = []
    if teacher:
        model = load(teacher)
        rows.append({"model": teacher, "parameters": model.count_params()} | figures(model, corpus, "test"))
    section = Distillation(teacher=(teacher,), features=features) if teacher else None
    for name in names or RECIPES:
        recipe = Recipe.read(HERE / f"{name}.toml").replace(training={"distillation": section})
        model = train(recipe, corpus, work / f"{name}-{teacher or 'alone'}-{features:g}").model
        facts = {"model": name, "parameters": model.count_params()}
        rows.append(facts | figures(model, corpus, "valid") | figures(model, corpus, "test"))
        write_csv(pd.DataFrame(rows), csv)
    click.echo(pd.DataFrame(rows).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
