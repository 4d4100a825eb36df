"""Which silence at a sound's ends to cut: accuracy on padded takes, by how far below a take's own level the cut begins.

    python benchmarks/silence.py ge2e-ravdess-voice --csv benchmarks/results/silence.csv

240 takes of the validation split of the entry's recipe get .5 to 1.5 s at each end, of six kinds in turn: zeros; white
noise 60, 45 or 35 dB below the take's loudest step of 20 ms; 50 Hz hum as loud as that step; a thump of .2 s at both
ends, 20 dB above it. Noise and hum are in the take, too. What is left after each cut is judged in windows, half a
window apart, as `Recognizer` does.

"padding" says what was added; "decibels" is the cut, without one nothing is cut; the rows "none" are the takes as they
are. The recipe of ge2e-ravdess-voice was fitted to these speakers, too, so its accuracy says nothing but which cut
keeps it. "left_of_take": what is left, as a share of the take's length. "lost": the share of takes of which more than a
third of the seconds that sound (within 40 dB of the loudest step) is cut.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import pandas as pd
from measurements import CSV, write_csv

from keras_lmf.data import corpora
from keras_lmf.media.sound import decode_sound, sounding, step_samples, steps_rms, voiced
from keras_lmf.recipe import Recipe
from keras_lmf.recognition.inputs import inputs_of
from keras_lmf.recognition.judgement import answer, probabilities
from keras_lmf.recognition.opened import Opened
from keras_lmf.recognition.opening import open_model
from keras_lmf.recognition.windows import windows_of_blocks

TAKES, SECONDS = 240, (0.5, 1.5)
DECIBELS = (15, 20, 25, 30, 35, 40, 50)
ZOO = Path(__file__).parents[1] / "zoo"


def takes(recipe: Recipe, random: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
    """(samples,) at 16 kHz, and the label."""
    valid = corpora.load(recipe.corpus.name, **recipe.corpus.options)["valid"]
    for row in random.permutation(len(valid.labels))[:TAKES]:
        path = Path(os.environ["KERAS_LMF_DATA"]) / "ravdess" / "flac16k" / f"{valid.ids[row]}.flac"
        yield decode_sound(path), int(valid.labels[row])


def noise(decibels: float) -> Callable[[int, float, int, np.random.Generator], np.ndarray]:
    def added(count: int, loudest: float, rate: int, random: np.random.Generator) -> np.ndarray:
        return random.standard_normal(count) * loudest * 10 ** (decibels / 20)

    return added


def hum(count: int, loudest: float, rate: int, random: np.random.Generator) -> np.ndarray:
    return np.sqrt(2) * loudest * np.sin(2 * np.pi * 50 * np.arange(count) / rate)


def thumps(count: int, loudest: float, rate: int, random: np.random.Generator) -> np.ndarray:
    """Noise that dies away, at the beginning and at the end."""
    size = round(0.2 * rate)
    thump = 10 * loudest * random.standard_normal(size) * np.exp(-np.linspace(0, 5, size))
    return np.concatenate([thump, np.zeros(count - 2 * size), thump[::-1]])


PADDINGS = {
    "zeros": lambda count, *_: np.zeros(count),
    "noise −60 dB": noise(-60),
    "noise −45 dB": noise(-45),
    "noise −35 dB": noise(-35),
    "hum": hum,
    "thumps": thumps,
}


def emotion(model: Opened, waveform: np.ndarray) -> int:
    """The class of the whole clip."""
    sound = model.sound
    windows = list(windows_of_blocks(iter([waveform]), sound, model.seconds / 2))
    there, logits = answer(model, "a take", inputs_of(model, windows, {}))
    shares, seconds = probabilities(model, there, logits), [window.end - window.start for window in windows]
    return int(np.nansum(shares * np.reshape(seconds, (-1, 1)), axis=0).argmax())


def measured(name: str) -> list[dict[str, object]]:
    """A row for each padding and cut."""
    random, model, rows = np.random.default_rng(0), open_model(name), []
    rate = model.sound.rate
    step = step_samples(rate)
    for number, (take, label) in enumerate(takes(Recipe.read(ZOO / name / "recipe.toml"), random)):
        padding = list(PADDINGS)[number % len(PADDINGS)]
        before, after = (round(rate * seconds) for seconds in random.uniform(*SECONDS, 2))
        loudest = steps_rms(take[: len(take) // step * step].reshape(-1, step)).max()
        clip = np.pad(take, (before, after))
        clip = np.clip(clip + PADDINGS[padding](len(clip), loudest, rate, random), -1, 1).astype(np.float32)
        sounds = np.array(sounding(take, rate, 40))
        for kind, waveform, begin in (("none", take, 0), (padding, clip, before)):
            answers: dict[tuple[int, int], int] = {}  # many cuts are the same
            for decibels in (None, *DECIBELS):
                first, last = 0, len(waveform)
                if decibels is not None:
                    first, last, _ = voiced([waveform], rate, decibels)
                if (first, last) not in answers:
                    answers[first, last] = emotion(model, waveform[first:last])
                kept = np.diff(np.clip([first, last], *(sounds + begin)))[0] / np.diff(sounds)[0]
                rows.append(
                    {
                        "entry": name,
                        "padding": kind,
                        "decibels": decibels,
                        "right": answers[first, last] == label,
                        "left": (last - first) / len(take),
                        "lost": kept < 2 / 3,
                    }
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
        takes=("right", "size"),
        accuracy=("right", "mean"),
        left_of_take=("left", "mean"),
        lost=("lost", "mean"),
    ).reset_index()
    click.echo(table.to_string(index=False))
    write_csv(table, csv)


if __name__ == "__main__":
    main()
