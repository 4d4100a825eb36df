"""A new speaker's 60 clips with four labels of one's own: trained from nothing, and from a zoo entry.

    KERAS_BACKEND=jax python benchmarks/fine_tuning.py search ge2e-ravdess-voice
    KERAS_BACKEND=jax python benchmarks/fine_tuning.py test ge2e-ravdess-voice

The entries were trained on RAVDESS (English), on all actors but the five of fold 0. The new speakers are these, and
those of nEMO (Polish), of whom they have heard nothing. Both trainings are the same recipe, with `[start]` and without
it. ge2e-ravdess-voice has a front end that comes trained to both of them, a speaker encoder.

- ravdess: an actor's 60 takes of eight emotions, under four labels. What is said, how loudly and which time makes eight
  groups of takes: in each of four turns two groups are the test, one chooses the epoch, five are learnt from.
- nemo: four emotions in 15 sentences, three of which choose the epoch; the other sentences (9) are the test.

`search` compares ways to start on three speakers of nEMO; `test` judges the chosen one on the six others and on the
five actors, and reads its settings from CHOSEN alone. The front end's features are made once and lie in --work: what is
trained and copied is what `klmf.train` trains and copies behind it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pandas as pd

from keras_lmf.data import Dataset, corpora
from keras_lmf.data.corpora.files import find
from keras_lmf.evaluation import evaluate
from keras_lmf.evaluation.calibration import negative_log_likelihood
from keras_lmf.files import write_atomically, write_text
from keras_lmf.media.sound import read_waveforms
from keras_lmf.models import build, build_front_ends, pretrained
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.target import Target
from keras_lmf.training import train
from keras_lmf.zoo import load

RESULTS = Path(__file__).parent / "results" / "fine_tuning"
ZOO = Path(__file__).parents[1] / "zoo"
SEARCHED, JUDGED = ("EB0", "KS0", "SM0"), ("IC0", "KD0", "MK0", "MP0", "TP0", "WR0")
TARGET = Target(name="emotion", classes=("wütend", "froh", "ruhig", "traurig"))
NEMO = {"anger": "wütend", "happiness": "froh", "neutral": "ruhig", "sadness": "traurig"}
RAVDESS = {
    "angry": "wütend",
    "disgust": "wütend",
    "happy": "froh",
    "surprised": "froh",
    "neutral": "ruhig",
    "calm": "ruhig",
    "sad": "traurig",
    "fearful": "traurig",
}
SENTENCES, VALID = 15, 3  # of nEMO, to learn from; among them, to choose the epoch by
TURNS = 4  # of RAVDESS
NOTHING = "from nothing"

ALL_BUT_THE_HEAD = {"freeze": ["all but the head"]}
HEAD_FIRST = {"first": {"epochs": 30, "learning_rate": 3e-3}, "epochs": 130, "learning_rate": 3e-4}
# Name → (what [start] says beside `from`, what [training] says otherwise); None: no [start].
WAYS = {
    NOTHING: (None, {}),
    "all parts, one rate": ({}, {}),
    "all parts, a lower rate": ({}, {"learning_rate": 3e-4}),
    "the head alone": (ALL_BUT_THE_HEAD, {}),
    "the head, then all at a lower rate": ({}, HEAD_FIRST),
}
# By `search`.
CHOSEN = {"ge2e-ravdess-voice": "all parts, one rate"}


def trained_by(entry: str) -> Recipe:
    return Recipe.read(ZOO / entry / "recipe.toml")


def _nemo(root: Path | None, speakers: tuple[str, ...], samples: int) -> dict[str, np.ndarray]:
    """Clip, label, speaker, and as the group the sentence; and the waveforms."""
    with open(find("nemo", "index.csv", root), encoding="utf-8", newline="") as stream:
        rows = pd.DataFrame(csv.DictReader(stream))
    rows = rows[rows["label"].isin(NEMO) & rows["speaker"].isin(speakers)]
    folder = find("nemo", "flac16k", root)
    paths = [folder / f"{name.removesuffix('.flac')}.flac" for name in rows["file"]]
    return {
        "clip": rows["file"].to_numpy(str),
        "label": np.array([NEMO[word] for word in rows["label"]]),
        "speaker": rows["speaker"].to_numpy(str),
        "group": np.array([f"sentence_{int(number):02d}" for number in rows["sentence"]]),
        "waveform": read_waveforms(paths, samples),
    }


def _ravdess(root: Path | None, samples: int) -> dict[str, np.ndarray]:
    """The same of the actors of fold 0; a group is intensity, sentence and repetition, of a take's name 4th to 6th."""
    data = corpora.load("ravdess", root, seconds=samples / 16000).select(["voice"])
    rows = data.splits == "test"
    words = np.array(data.target.classes)[data.labels[rows]]
    # Neutral has one intensity: its four takes stand in the groups of the normal one.
    return {
        "clip": data.ids[rows],
        "label": np.array([RAVDESS[word] for word in words]),
        "speaker": data.groups[rows],
        "group": np.array(["-".join(name.split("-")[3:6]) for name in data.ids[rows]]),
        "waveform": data.inputs["voice"][rows],
    }


def features(
    entry: str, corpus: str, root: Path | None, speakers: tuple[str, ...], work: Path
) -> dict[str, np.ndarray]:
    """What the entry's front end makes of each clip ("voice"), with the clips' columns; made once."""
    path = work / f"{entry}-{corpus}-{'-'.join(speakers)}.npz"
    if not path.is_file():
        recipe = trained_by(entry)
        samples = recipe.inputs["voice"].shape[0]
        columns = _nemo(root, speakers, samples) if corpus == "nemo" else _ravdess(root, samples)
        front, waveforms = pretrained.front_ends(recipe)["voice"], columns.pop("waveform")
        starts = range(0, len(waveforms), 32)
        columns["voice"] = np.concatenate(
            [front.predict_on_batch(waveforms[start : start + 32]) for start in starts]
        )
        write_atomically(path, lambda temporary: np.savez(temporary, **columns))
    with np.load(path) as arrays:
        return dict(arrays)


def turns(corpus: str, table: dict[str, np.ndarray], speaker: str) -> Iterator[Dataset]:
    """One speaker's clips, as often as they are divided; no group is in two splits."""
    own = {key: values[table["speaker"] == speaker] for key, values in table.items()}
    groups, counts = np.unique(own["group"], return_counts=True)
    order = np.random.default_rng(0).permutation(len(groups))
    # The sentences that all four emotions have come first: those to learn from are 15 in each emotion.
    order = order[np.argsort(-counts[order], kind="stable")] if corpus == "nemo" else order
    for turn in range(1 if corpus == "nemo" else TURNS):
        splits = {}
        for place, index in enumerate(order):
            if corpus == "nemo":
                word = "train" if place < SENTENCES - VALID else "valid" if place < SENTENCES else "test"
            else:
                there = (place - 2 * turn) % len(order)
                word = "test" if there < 2 else "valid" if there == 2 else "train"
            splits[groups[index]] = word
        yield Dataset(
            name=f"{corpus}-{speaker}-{turn}",
            target=TARGET,
            inputs={"voice": own["voice"]},
            labels=np.array([TARGET.classes.index(word) for word in own["label"]]),
            groups=own["group"],
            ids=own["clip"],
            splits=np.array([splits[group] for group in own["group"]]),
        )


def source(entry: str, work: Path) -> Path:
    """The folder of a run that holds what was trained of the entry, which takes features."""
    folder = work / f"{entry}-on-features"
    if not (folder / "recipe.toml").is_file():
        words = trained_by(entry)
        model, on_features = load(entry), pretrained.on_features(words, build_front_ends(words))
        part = build(on_features)
        for layer in part.layers:
            layer.set_weights(model.get_layer(layer.name).get_weights())
        write_atomically(folder / "model.weights.h5", part.save_weights)
        on_features.write(folder / "recipe.toml")
    return folder


def recipe(entry: str, way: str, seed: int, work: Path) -> Recipe:
    folder = source(entry, work)
    start, training = WAYS[way]
    return Recipe(
        name="own-voice",
        seed=seed,
        corpus={"name": "mine.npz"},
        target=TARGET,
        inputs={"voice": Recipe.read(folder / "recipe.toml").inputs["voice"]},
        fusion={"name": "none"},
        start=None if start is None else {"from": str(folder), **start},
        training={"loss": "cross_entropy", "epochs": 100, "batch_size": 16, "patience": 130} | training,
    )


def judged(words: Recipe, parts: list[Dataset], work: Path) -> dict[str, float]:
    """The metrics of all test clips of a speaker, each answered by the training that has not seen it."""
    logits, labels = [], []
    for data in parts:
        run = train(words, data, work / "runs" / f"{data.name}-{words.fingerprint[:12]}")
        logits.append(open_artifact(run.model).predict(data["test"].inputs)[TARGET.name])
        labels.append(data["test"].labels)
    answers, truth = np.concatenate(logits), np.concatenate(labels)
    together = Dataset(
        name="together",
        target=TARGET,
        inputs={"voice": np.zeros((len(truth), 1), np.float32)},
        labels=truth,
        groups=np.full(len(truth), "test"),
        ids=np.arange(len(truth)).astype(str),
        splits=np.full(len(truth), "test"),
    )
    metrics = evaluate(answers, together["test"], resamples=0).metrics
    return {
        "trained_on": int((parts[0].splits != "test").sum()),
        "test_clips": len(truth),
        "war": metrics["war"],
        "uar": metrics["uar"],
        "nll": negative_log_likelihood(answers, truth),
        "floor": float(np.bincount(truth).max() / len(truth)),
    }


@click.command(help=__doc__)
@click.argument("step", type=click.Choice(["search", "test"]))
@click.argument("entry", type=click.Choice(list(CHOSEN)))
@click.option("--seeds", default=3, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
@click.option("--work", type=click.Path(path_type=Path), default="runs/fine_tuning", show_default=True)
def main(step: str, entry: str, seeds: int, data: Path | None, work: Path) -> None:
    jobs = {"nemo": (SEARCHED, list(WAYS))}
    if step == "test":
        jobs = {"ravdess": ((), [NOTHING, CHOSEN[entry]]), "nemo": (JUDGED, [NOTHING, CHOSEN[entry]])}
    rows = []
    for corpus, (speakers, ways) in jobs.items():
        table = features(entry, corpus, data, speakers, work)
        for speaker in speakers or np.unique(table["speaker"]):
            parts = list(turns(corpus, table, speaker))
            for way in ways:
                for seed in range(seeds):
                    facts = {"corpus": corpus, "way": way, "speaker": speaker, "seed": seed}
                    rows.append(facts | judged(recipe(entry, way, seed, work), parts, work))
                    click.echo(rows[-1])
    found = pd.DataFrame(rows)
    path = RESULTS / f"{entry}_{step}.csv"
    write_text(path, found.to_csv(index=False, float_format="%.5f"))
    columns = ["war", "uar", "nll", "floor"]
    of_speakers = found.groupby(["corpus", "way", "speaker"], sort=False)[columns].mean()
    spread = of_speakers.groupby(["corpus", "way"], sort=False).agg(["mean", "std"])
    click.echo(spread.to_string(float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
