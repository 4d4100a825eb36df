"""Cross-validation of the zoo's models with front ends: every person is tested once, by a model that never met them.

    python benchmarks/folds.py ge2e-ravdess-voice --seeds 3
    python benchmarks/folds.py benchmarks/whisper-one-corpus.toml --corpus emodb

For each fold and seed the entry's recipe is trained on all other folds (its settings were chosen on validation folds)
and judged once on the fold, twice over:

- inductive: nothing is measured on the tested people;
- enrolled: the features of each tested person, of every modality, are standardised by the mean and variance of that
  person's own clips, without labels (transductive). `Recognizer(enrolment=…)` moves the mean alone, of the voice alone.

Each row goes to benchmarks/results/folds/NAME.csv, and the answers of all folds together make its rows with the fold
"all". The answers lie in the folder --work; what is there is not run again. The means over the seeds of the inductive
rows become the entry's cross_validation.csv.

With --conditions the clips of the tested people are changed, too, by a recipe of one voice: silence of one second with
noise 60 dB below the clip at both ends, which is cut as `Recognizer` cuts it; white noise 10 dB below the clip; the
band of a telephone (300 to 3400 Hz); a room with a reverberation time of .5 s.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import click
import keras
import numpy as np
import pandas as pd
from scipy.signal import butter, fftconvolve, sosfiltfilt

from keras_lmf.data import Dataset, Split, corpora
from keras_lmf.evaluation.protocols import protocols
from keras_lmf.files import write_atomically, write_text
from keras_lmf.media.sound import voiced
from keras_lmf.models import set_standardization
from keras_lmf.models.pretrained import front_ends, on_features
from keras_lmf.recipe import Recipe
from keras_lmf.recognition.windows import QUIET
from keras_lmf.runtime import open_artifact
from keras_lmf.target import Target
from keras_lmf.training import train
from keras_lmf.training.features import features, split_features

RESULTS = Path(__file__).parent / "results" / "folds"
ZOO = Path(__file__).parents[1] / "zoo"
FOLDS = {"ravdess": 5, "emodb": 10, "nemo": 9, "enterface05_landmarks": 5}
METRICS = ["war", "uar", "f1_macro", "cohen_kappa"]
PROTOCOLS = ("inductive", "enrolled")


def all_features(recipe: Recipe, everything: Dataset) -> tuple[Recipe, Dataset]:
    """The recipe for features, and those of every clip, all in "train", and of its augmented copies.

    A copy depends on its clip alone, so every fold can take its own from the same ones.
    """
    fronts = front_ends(recipe)
    return on_features(recipe, fronts), features(recipe, everything, fronts, Path(tempfile.mkdtemp()))


def silent_ends(clip: np.ndarray, rate: int, random: np.random.Generator) -> np.ndarray:
    """The clip with noise of a second at both ends, without what `Recognizer` takes for silence."""
    padded = np.pad(clip, rate)
    padded += random.standard_normal(len(padded)) * np.sqrt(np.mean(clip**2)) * 1e-3
    found = voiced([padded], rate, QUIET)
    return padded[found.first : found.last]


def noisy(clip: np.ndarray, rate: int, random: np.random.Generator) -> np.ndarray:
    return clip + random.standard_normal(len(clip)) * np.sqrt(np.mean(clip**2) / 10)


def telephone(clip: np.ndarray, rate: int, random: np.random.Generator) -> np.ndarray:
    return sosfiltfilt(butter(4, (300, 3400), "bandpass", fs=rate, output="sos"), clip)


def room(clip: np.ndarray, rate: int, random: np.random.Generator) -> np.ndarray:
    """Half of the energy comes as noise that dies away by 60 dB in .5 s."""
    steps = np.arange(1, rate // 2 + 1)
    echoes = random.standard_normal(len(steps)) * 10 ** (-3 * steps / len(steps))
    return fftconvolve(clip, np.concatenate([[1], echoes / np.linalg.norm(echoes)]) / np.sqrt(2))


CONDITIONS = {"silent ends": silent_ends, "noise 10 dB": noisy, "telephone": telephone, "room": room}


def under(condition: str, data: Dataset, recipe: Recipe) -> dict[str, np.ndarray]:
    """Id → features of each clip under the condition."""
    (modality, section), front = next(iter(recipe.inputs.items())), front_ends(recipe)
    changed, split = np.zeros_like(data.inputs[modality]), data["train"]
    for i, (name, row) in enumerate(zip(data.ids, data.inputs[modality])):
        clip = np.trim_zeros(row, "b").astype(float)
        random = np.random.default_rng(zlib.crc32(name.encode()))
        clip = CONDITIONS[condition](clip, int(section.rate), random)[: len(row)]
        changed[i, : len(clip)] = clip / max(1, np.abs(clip).max())
    split = dataclasses.replace(split, inputs={modality: changed})
    return dict(zip(data.ids, split_features(split, front, f"{recipe.name}, {condition}").inputs[modality]))


def fold_of(everything: Dataset, recipe: Recipe, fold: int, root: Path | None) -> Dataset:
    """The rows of a fold: all clips, and copies of the training clips."""
    options = {**recipe.corpus.options, "fold": fold}
    corpus = corpora.load(recipe.corpus.name, root, **options).select(list(recipe.inputs))
    if recipe.training.fit_on == "train + valid":
        corpus = corpus.with_validation_in_training()
    split_of = dict(zip(corpus.ids, corpus.splits))
    splits = np.array([split_of[name.partition("+")[0]] for name in everything.ids])
    copies = np.char.find(everything.ids, "+") >= 0
    rows = ~copies | (splits == "train")
    return dataclasses.replace(
        everything,
        inputs={name: values[rows] for name, values in everything.inputs.items()},
        masks={name: mask[rows] for name, mask in everything.masks.items()},
        **{name: getattr(everything, name)[rows] for name in ("labels", "groups", "ids")},
        splits=splits[rows],
    )


def enrolled_answers(model: keras.Model, split: Split) -> np.ndarray:
    """Logits with each speaker's features standardised by the mean and variance of all that speaker's clips."""
    logits = np.zeros((len(split), split.target.size))
    for speaker in np.unique(split.groups):
        rows = split.groups == speaker
        inputs = {name: values[rows] for name, values in split.inputs.items()}
        statistics = {}
        for name, values in inputs.items():
            variance = values.var(axis=0)
            statistics[name] = values.mean(axis=0), np.where(variance > 0, variance, 1)
        set_standardization(model, statistics)
        logits[rows] = open_artifact(model).predict(inputs)[split.target.name]
    return logits


def run(recipe: Recipe, data: Dataset, changed: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Logits on the test split: inductive, enrolled, and inductive under each condition."""
    with tempfile.TemporaryDirectory() as folder:
        model = train(recipe, data, folder).model
    test, name = data["test"], recipe.target.name
    found = {"inductive": open_artifact(model).predict(test.inputs)[name]}
    for condition, rows in changed.items():
        inputs = dict.fromkeys(test.inputs, np.stack([rows[clip] for clip in test.ids]))
        found[condition] = open_artifact(model).predict(inputs)[name]
    return found | {"enrolled": enrolled_answers(model, test)}  # last: it changes the standardisation


def judged(logits: np.ndarray, labels: np.ndarray, target: Target) -> dict[str, float]:
    named = protocols(target)
    return {metric: named[metric].score(labels, logits.argmax(axis=1)) for metric in METRICS}


@click.command(help=__doc__)
@click.argument("name")
@click.option("--corpus", help="Instead of the recipe's.")
@click.option("--conditions", is_flag=True, help="Change the tested clips, too.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
@click.option("--work", type=click.Path(path_type=Path), default="runs/folds", show_default=True)
def main(name: str, corpus: str | None, conditions: bool, seeds: int, data: Path | None, work: Path) -> None:
    entry = ZOO / name
    recipe = Recipe.read(entry / "recipe.toml" if entry.is_dir() else Path(name))
    if corpus:
        section = {"name": corpus, "options": recipe.corpus.options}
        recipe = recipe.replace(corpus=section, name=f"{recipe.name}-{corpus}")
    name, told = recipe.name, (*PROTOCOLS, *(CONDITIONS if conditions else ()))
    whole = corpora.load(recipe.corpus.name, data, **recipe.corpus.options).select(list(recipe.inputs))
    recipe = recipe.for_target(whole.target)
    # Of another recipe, the answers are others.
    answers = work / f"{name}-{recipe.fingerprint[:12]}.npz"
    pooled = dict(np.load(answers)) if answers.is_file() else {}
    todo = [
        (fold, seed)
        for fold in range(FOLDS[recipe.corpus.name])
        for seed in range(seeds)
        if any(f"{fold}/{seed}/{protocol}" not in pooled for protocol in told)
    ]
    trained, everything, changed = recipe, None, {}
    if todo:
        every = dataclasses.replace(whole, splits=np.full(len(whole), "train"))
        trained, everything = all_features(recipe, every)
        changed = {
            condition: under(condition, every, recipe) for condition in told if condition in CONDITIONS
        }
    for fold, seed in todo:
        rows = fold_of(everything, recipe, fold, data)
        # Its rows are those of the fit already.
        fitted = trained.replace(seed=seed, training={"fit_on": "train"})
        pooled |= {
            f"{fold}/{seed}/{protocol}": logits.astype("float32")
            for protocol, logits in run(fitted, rows, changed).items()
        }
        pooled[f"{fold}/labels"] = rows["test"].labels
        write_atomically(answers, functools.partial(np.savez_compressed, **pooled))
    table = results(pooled, told, range(FOLDS[recipe.corpus.name]), range(seeds), recipe.target)
    write_text(RESULTS / f"{name}.csv", table.to_csv(index=False))
    if entry.is_dir():
        inductive = table[(table["protocol"] == "inductive") & (table["fold"] != "all")]
        write_text(entry / "cross_validation.csv", inductive.groupby("fold")[METRICS].mean().to_csv())
    click.echo(table.groupby(["protocol", "fold"])[METRICS].mean().to_string())


def results(
    pooled: dict[str, np.ndarray], told: Sequence[str], folds: range, seeds: range, target: Target
) -> pd.DataFrame:
    """A row for each protocol, seed and fold, and for all folds together."""
    labels = {str(fold): pooled[f"{fold}/labels"] for fold in folds}
    labels["all"] = np.concatenate(list(labels.values()))
    rows = []
    for protocol in told:
        for seed in seeds:
            logits = {str(fold): pooled[f"{fold}/{seed}/{protocol}"] for fold in folds}
            logits["all"] = np.concatenate(list(logits.values()))
            rows += [
                {"protocol": protocol, "seed": seed, "fold": fold}
                | judged(logits[fold], labels[fold], target)
                for fold in logits
            ]
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
