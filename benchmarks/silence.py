"""Which silence at a clip's ends to cut: accuracy on padded takes, by how far below the loudest step the cut begins.

    python benchmarks/silence.py ge2e-ravdess-voice cnn-ravdess-voice --csv benchmarks/results/silence.csv

120 takes of the validation split of the entry's recipe get .5 to 1.5 s at each end: a quarter of them zeros, the others
white noise 60, 45 or 35 dB below the take's loudest step of 20 ms. What is left after each cut is judged in windows,
half a window apart, as `Recognizer` does. "padding" says what was added; "decibels" is the cut, without one nothing is
cut; the rows "none" are the takes as they are. The recipe of ge2e-ravdess-voice was fitted to these speakers, too, so
its accuracy says nothing but which cut keeps it. "left_of_take": what is left, as a share of the take's length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import pandas as pd
from measurements import CSV, write_csv

from keras_lmf.data import corpora
from keras_lmf.media.sound import STEP_SECONDS, decode_sound, sounding, steps_rms
from keras_lmf.recipe import Recipe
from keras_lmf.recognition.inputs import inputs_of
from keras_lmf.recognition.judgement import answer, probabilities
from keras_lmf.recognition.opened import Opened, open_model
from keras_lmf.recognition.windows import windows_of_blocks

TAKES, SECONDS = 120, (0.5, 1.5)
PADDINGS = {"zeros": None, "noise −60 dB": -60.0, "noise −45 dB": -45.0, "noise −35 dB": -35.0}
DECIBELS = (25, 30, 35, 40, 50, 60)
ZOO = Path(__file__).parents[1] / "zoo"


def takes(recipe: Recipe, random: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
    """(samples,) at 16 kHz, and the label."""
    valid = corpora.load(recipe.corpus.name, **recipe.corpus.options)["valid"]
    for row in random.permutation(len(valid.labels))[:TAKES]:
        path = Path(os.environ["KERAS_LMF_DATA"]) / "ravdess" / "flac16k" / f"{valid.ids[row]}.flac"
        yield decode_sound(path), int(valid.labels[row])


def padded(take: np.ndarray, level: float | None, rate: int, random: np.random.Generator) -> np.ndarray:
    """With zeros at both ends, or noise so many decibels above the loudest step."""
    ends = [round(rate * seconds) for seconds in random.uniform(*SECONDS, 2)]
    whole = np.pad(take, ends)
    if level is None:
        return whole
    step = round(STEP_SECONDS * rate)
    loudest = steps_rms(take[: len(take) // step * step].reshape(-1, step)).max()
    noise = random.standard_normal(len(whole)) * loudest * 10 ** (level / 20)
    return np.clip(whole + noise, -1, 1).astype(np.float32)


def emotion(model: Opened, waveform: np.ndarray) -> int:
    """The class of the whole clip."""
    sound = model.sound
    windows = list(windows_of_blocks(iter([waveform]), sound.samples, model.seconds / 2, sound.rate))
    there, logits = answer(model, "a take", inputs_of(model, windows, {}))
    shares, seconds = probabilities(model, there, logits), [window.end - window.start for window in windows]
    return int(np.nansum(shares * np.reshape(seconds, (-1, 1)), axis=0).argmax())


def measured(name: str) -> list[dict[str, object]]:
    """A row for each padding and cut."""
    random, model, rows = np.random.default_rng(0), open_model(name), []
    rate = model.sound.rate
    for number, (take, label) in enumerate(takes(Recipe.read(ZOO / name / "recipe.toml"), random)):
        padding = list(PADDINGS)[number % len(PADDINGS)]
        clip = padded(take, PADDINGS[padding], rate, random)
        for kind, waveform in (("none", take), (padding, clip)):
            answers: dict[tuple[int, int], int] = {}  # many cuts are the same
            for decibels in (None, *DECIBELS):
                first, last = (0, len(waveform)) if decibels is None else sounding(waveform, rate, decibels)
                if (first, last) not in answers:
                    answers[first, last] = emotion(model, waveform[first:last])
                right = answers[first, last] == label
                left = (last - first) / len(take)
                rows.append(
                    {"entry": name, "padding": kind, "decibels": decibels, "right": right, "left": left}
                )
    return rows


@click.command(help=__doc__)
@click.argument("names", nargs=-1, required=True)
@CSV
def main(names: Sequence[str], csv: Path | None) -> None:
    found = pd.DataFrame([row for name in names for row in measured(name)])
    padded_alone = found[found["padding"] != "none"].assign(padding="all paddings")
    groups = pd.concat([found, padded_alone]).groupby(
        ["entry", "padding", "decibels"], dropna=False, sort=False
    )
    table = groups.agg(
        takes=("right", "size"), accuracy=("right", "mean"), left_of_take=("left", "mean")
    ).reset_index()
    click.echo(table.to_string(index=False))
    write_csv(table, csv)


if __name__ == "__main__":
    main()
