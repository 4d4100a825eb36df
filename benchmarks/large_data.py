"""Peak memory of trainings on sound that is larger than memory: shards of int16 on disk, one epoch of small models.

    KERAS_BACKEND=jax python benchmarks/large_data.py --csv benchmarks/results/large_data_jax.csv

Clips of three seconds, noise that repeats. "log_mel" trains convolutions behind a front end, whose features are made
once and lie on disk for the time of the training; "waveform" trains a network that takes the sound itself. Each trains
in a process of its own. For 50,000 clips, 9 GB of free disk are needed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd
from measurements import CSV, PACKAGES, about, write_csv
from speed.processes import answer

from keras_lmf.data.dataset import Dataset
from keras_lmf.data.shards import Shards
from keras_lmf.files import size_of
from keras_lmf.recipe import Recipe
from keras_lmf.target import Target

SAMPLES, PER_FILE = 48000, 1000
CLASSES = ("calm", "happy", "sad", "angry")
WORDS = {
    "log_mel": {
        "front_end": {"name": "log_mel"},
        "backbone": {"name": "spectrogram_cnn", "filters": [4, 8]},
    },
    "waveform": {"backbone": {"name": "mlp", "units": [8]}},
}


def write(folder: Path, clips: int) -> None:
    """Files of int16 noise, each block of clips turned by a second against the one before."""
    noise = np.random.default_rng(0).integers(-3000, 3000, (PER_FILE, SAMPLES), np.int16)
    for i, start in enumerate(range(0, clips, PER_FILE)):
        np.save(folder / f"{i:04}.npy", np.roll(noise, 16000 * i + 7 * i, axis=1)[: clips - start])


def dataset(folder: Path) -> Dataset:
    """The files as a corpus, of which a tenth is "valid"."""
    voice = Shards(sorted(folder.glob("*.npy")), 32767, "noise")
    rows = np.arange(len(voice))
    splits = np.where(rows % 10 == 9, "valid", "train")
    return Dataset(
        name="noise",
        target=Target(name="emotion", classes=CLASSES),
        inputs={"voice": voice},
        labels=rows % len(CLASSES),
        groups=splits,
        ids=rows.astype(str),
        splits=splits,
    )


def recipe(kind: str) -> Recipe:
    """A small model of the sound, for one epoch."""
    return Recipe(
        name=kind,
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": CLASSES},
        inputs={"voice": {"shape": [SAMPLES], **WORDS[kind]}},
        fusion={"name": "none"},
        training={"loss": "cross_entropy", "epochs": 1},
    )


@click.command(help=__doc__)
@click.argument("kinds", nargs=-1, type=click.Choice(list(WORDS)))
@click.option("--clips", default=50_000, show_default=True, type=click.IntRange(20), help="How many.")
@CSV
def main(kinds: tuple[str, ...], clips: int, csv: Path | None) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        sound, runs = Path(scratch, "sound"), Path(scratch, "runs")
        sound.mkdir()
        write(sound, clips)
        for kind in kinds or WORDS:
            found = answer(f"The memory of {kind}", "speed.memory", "training", kind, sound, runs / kind)
            rows.append({"model": kind, "clips": clips, "disk_gb": size_of(sound) / 1e9, **found})
    table = pd.DataFrame(rows)
    click.echo(table.to_string(index=False, float_format="{:.4g}".format))
    write_csv(table.assign(**about((*PACKAGES, "jax", "torch"))), csv)


if __name__ == "__main__":
    main()
