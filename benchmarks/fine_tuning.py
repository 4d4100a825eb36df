"""A new speaker's 60 clips with four labels of one's own: trained from nothing, and from a model of other people.

    KERAS_BACKEND=jax python benchmarks/fine_tuning.py search
    KERAS_BACKEND=jax python benchmarks/fine_tuning.py test

The speakers are those of nEMO (Polish). The start is a zoo entry whose training has seen no Polish and none of them.
Of each speaker 15 sentences in each of four emotions are there to learn from, three of them to choose the epoch by, and
the other sentences are the test. Both trainings are the same recipe, with `[start]` and without it.

`search` compares ways to start on three speakers; `test` judges the chosen one on the six others, and reads its
settings from CHOSEN alone. The front end's features are made once and lie in --work: what is trained and copied is what
`klmf.train` trains and copies behind it.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click
import numpy as np
import pandas as pd

from keras_lmf.data import Dataset
from keras_lmf.data.corpora.files import find
from keras_lmf.evaluation import evaluate
from keras_lmf.evaluation.calibration import negative_log_likelihood
from keras_lmf.files import write_atomically, write_text
from keras_lmf.media.sound import read_waveforms
from keras_lmf.models import pretrained
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.target import Target
from keras_lmf.training import train
from keras_lmf.zoo import load

RESULTS = Path(__file__).parent / "results"
ZOO = Path(__file__).parents[1] / "zoo"
SEARCHED, JUDGED = ("EB0", "KS0", "SM0"), ("IC0", "KD0", "MK0", "MP0", "TP0", "WR0")
LABELS = {"anger": "wütend", "happiness": "froh", "neutral": "ruhig", "sadness": "traurig"}
TARGET = Target(name="emotion", classes=tuple(LABELS.values()))
SENTENCES, VALID = 15, 3  # to learn from, in each emotion; among them, to choose the epoch by
NOTHING = "from nothing"

HEAD_FIRST = {"first": {"epochs": 30, "learning_rate": 3e-3}, "epochs": 130}
ALL_BUT_THE_HEAD = {"freeze": ["all but the head"]}
# Name → (what [start] says beside `from`, what [training] says otherwise); None: no [start].
WAYS = {
    NOTHING: (None, {}),
    "all parts, one rate": ({}, {}),
    "all parts, a lower rate": ({}, {"learning_rate": 3e-4}),
    "the head alone": (ALL_BUT_THE_HEAD, {}),
    "the head, then all at a lower rate": ({}, HEAD_FIRST | {"learning_rate": 3e-4}),
}
ENTRIES = ("ge2e-ravdess-voice", "lmf-media-av", "ge2e-emodb-voice")
CHOSEN = ("ge2e-ravdess-voice", "the head, then all at a lower rate")


def clips(root: Path | None, speakers: tuple[str, ...], samples: int) -> pd.DataFrame:
    """A row for each clip of the four emotions: file, label, speaker, sentence, split; and its waveform."""
    with open(find("nemo", "index.csv", root), encoding="utf-8", newline="") as stream:
        rows = pd.DataFrame(csv.DictReader(stream))
    rows = rows[rows["label"].isin(LABELS) & rows["speaker"].isin(speakers)].copy()
    rows["sentence"] = rows["sentence"].astype(int)
    folder = find("nemo", "flac16k", root)
    paths = [folder / f"{name.removesuffix('.flac')}.flac" for name in rows["file"]]
    return rows.assign(waveform=list(read_waveforms(paths, samples)))


def features(entry: str, root: Path | None, speakers: tuple[str, ...], work: Path) -> dict[str, np.ndarray]:
    """What the entry's front end makes of each clip, with the clips' columns; made once."""
    path = work / f"{entry}-{'-'.join(speakers)}.npz"
    if not path.is_file():
        section = Recipe.read(ZOO / entry / "recipe.toml").select(["voice"]).inputs["voice"]
        table = clips(root, speakers, section.shape[0])
        front = load(entry).get_layer("voice_front_end")
        made = np.concatenate(
            [front.predict_on_batch(np.stack(part)) for part in _batches(list(table["waveform"]), 32)]
        )
        columns = {name: table[name].to_numpy(str) for name in ("file", "label", "speaker")}
        columns |= {"sentence": table["sentence"].to_numpy(), "voice": made}
        write_atomically(path, lambda temporary: np.savez(temporary, **columns))
    with np.load(path) as arrays:
        return dict(arrays)


def _batches(rows: list[np.ndarray], size: int) -> list[list[np.ndarray]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def speaker(table: dict[str, np.ndarray], name: str) -> Dataset:
    """One speaker's clips. A group is a sentence: none is in two splits."""
    own = {key: values[table["speaker"] == name] for key, values in table.items()}
    sentences = np.random.default_rng(0).permutation(np.unique(own["sentence"]))
    # The sentences that all four emotions have come first: those to learn from are 15 in each emotion.
    counts = {number: (own["sentence"] == number).sum() for number in sentences}
    sentences = sorted(sentences, key=lambda number: -counts[number])
    place = {number: rank for rank, number in enumerate(sentences)}
    ranks = np.array([place[number] for number in own["sentence"]])
    splits = np.select([ranks < SENTENCES - VALID, ranks < SENTENCES], ["train", "valid"], "test")
    return Dataset(
        name=f"nemo-{name}",
        target=TARGET,
        inputs={"voice": own["voice"]},
        labels=np.array([list(LABELS).index(word) for word in own["label"]]),
        groups=np.array([f"sentence_{number:02d}" for number in own["sentence"]]),
        ids=own["file"],
        splits=splits,
    )


def source(entry: str, work: Path) -> Path:
    """The folder of a run that holds the entry's trained part, which takes features."""
    folder = work / f"{entry}-on-features"
    if not (folder / "recipe.toml").is_file():
        recipe = Recipe.read(ZOO / entry / "recipe.toml")
        model = load(entry)
        part = pretrained.trained_part(recipe, model)
        write_atomically(folder / "model.weights.h5", part.save_weights)
        fronts = {name: model.get_layer(f"{name}_front_end") for name in pretrained.names(recipe)}
        pretrained.on_features(recipe, fronts).write(folder / "recipe.toml")
    return folder


def recipe(entry: str, way: str, seed: int, work: Path) -> Recipe:
    theirs = Recipe.read(source(entry, work) / "recipe.toml").inputs["voice"]
    start, training = WAYS[way]
    return Recipe(
        name="own-voice",
        seed=seed,
        corpus={"name": "mine.npz"},
        target=TARGET,
        inputs={"voice": theirs},
        fusion={"name": "none"},
        start=None
        if start is None
        else {"from": str(source(entry, work)), "inputs": {"voice": "voice"}, **start},
        training={"loss": "cross_entropy", "epochs": 100, "batch_size": 16, "patience": 20} | training,
    )


def judged(entry: str, way: str, seed: int, data: Dataset, work: Path) -> dict[str, object]:
    words = recipe(entry, way, seed, work)
    run = train(words, data, work / "runs" / f"{entry}-{data.name}-{words.fingerprint[:12]}")
    test = data["test"]
    logits = open_artifact(run.model).predict(test.inputs)[TARGET.name]
    metrics = evaluate(logits, test, resamples=0).metrics
    facts = {"entry": entry, "way": way, "speaker": data.name.removeprefix("nemo-"), "seed": seed}
    return facts | {
        "clips": int((data.splits != "test").sum()),
        "test_clips": len(test),
        "epoch": run.best_epoch,
        "war": metrics["war"],
        "uar": metrics["uar"],
        "nll": negative_log_likelihood(logits, test.labels),
        "floor": np.bincount(test.labels).max() / len(test),
    }


@click.command(help=__doc__)
@click.argument("step", type=click.Choice(["search", "test"]))
@click.option("--seeds", default=3, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
@click.option("--work", type=click.Path(path_type=Path), default="runs/fine_tuning", show_default=True)
def main(step: str, seeds: int, data: Path | None, work: Path) -> None:
    if step == "search":
        jobs = [(entry, way) for entry in ENTRIES for way in WAYS]
        speakers, path = SEARCHED, RESULTS / "fine_tuning_search.csv"
    else:
        jobs = [(CHOSEN[0], NOTHING), CHOSEN]
        speakers, path = JUDGED, RESULTS / "fine_tuning.csv"
    rows = []
    for entry, way in jobs:
        table = features(entry, data, speakers, work)
        for name in speakers:
            rows += [judged(entry, way, seed, speaker(table, name), work) for seed in range(seeds)]
        click.echo(f"{entry}, {way}: {np.mean([row['war'] for row in rows[-seeds * len(speakers) :]]):.3f}")
    found = pd.DataFrame(rows)
    write_text(path, found.to_csv(index=False, float_format="%.5f"))
    columns = ["war", "uar", "nll", "floor"]
    of_speakers = found.groupby(["entry", "way", "speaker"], sort=False)[columns].mean()
    click.echo(
        of_speakers.groupby(["entry", "way"], sort=False).agg(["mean", "std"]).to_string(float_format="%.3f")
    )


if __name__ == "__main__":
    main()
