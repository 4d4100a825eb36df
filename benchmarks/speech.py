"""Which sounds are called speech: voices of validation recordings, which should be, music and noise, which should not.

    python benchmarks/speech.py --csv benchmarks/results/speech.csv

Needs the extra `speech` and the corpora. Sounds are cut into windows of three seconds, one after the other, as
`Recognizer` does; windows of silence aren't asked about. "speech": the share of windows that are called speech; "lost":
the share of recordings of which no window is. A row for each "probability" from which 16 ms count as speech, and the
"seconds" of them that a window needs. Of a corpus all recordings of its validation speakers are asked about.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pandas as pd
from measurements import CSV, write_csv

from keras_lmf.data import corpora
from keras_lmf.media.sound import SAMPLE_RATE, decode_sound
from keras_lmf.media.speech import is_speech, speech_probabilities
from keras_lmf.recognition.opened import SoundInput
from keras_lmf.recognition.windows import has_sound, windows_of_sound

CORPORA = {"ravdess": "RAVDESS", "emodb": "EmoDB", "nemo": "nEMO"}
SECONDS = 3
PROBABILITIES, LEAST = (0.1, 0.3, 0.5), (0.1, 0.3, 0.5)
TIMES = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE


def sounds() -> Iterator[tuple[str, np.ndarray]]:
    """A name for the kind, and (samples,) at 16 kHz."""
    data, random = Path(os.environ["KERAS_LMF_DATA"]), np.random.default_rng(0)
    for name, title in CORPORA.items():
        for each in corpora.load(name)["valid"].ids:
            yield f"voice, {title}", decode_sound(data / name / "flac16k" / f"{each}.flac")
    for path in sorted((data / "clips" / "grid_av_mpg").glob("*.mpg")):
        yield "voice, GRID", decode_sound(path)
    yield "music, Big Buck Bunny", decode_sound(data / "clips" / "bigbuckbunny.mp4")
    for _ in range(10):
        white = random.standard_normal(len(TIMES))
        yield "white noise", 0.05 * white
        frequencies = np.maximum(np.fft.rfftfreq(len(TIMES)), 1 / len(TIMES))
        pink = np.fft.irfft(np.fft.rfft(white) / np.sqrt(frequencies))
        yield "pink noise", 0.05 * pink / pink.std()
    for hertz in (220, 440, 880, 1760):
        yield "pure tone", 0.3 * np.sin(2 * np.pi * hertz * TIMES)
    for root in (131, 262, 523):
        struck = np.exp(-3 * (TIMES % 0.5))
        chord = sum(np.sin(2 * np.pi * root * ratio * TIMES) for ratio in (1, 5 / 4, 3 / 2))
        yield "chord, struck each half second", 0.2 * struck * chord


@click.command(help=__doc__)
@CSV
def main(csv: Path | None) -> None:
    asked, rows = SoundInput("voice", SECONDS * SAMPLE_RATE, SAMPLE_RATE), []
    for number, (kind, waveform) in enumerate(sounds()):
        blocks = [waveform.astype(np.float32)]
        windows = [window.waveform for window in windows_of_sound(lambda: iter(blocks), asked, SECONDS)]  # noqa: B023
        found = [speech_probabilities(each, SAMPLE_RATE) for each in windows if has_sound(each, asked)]
        for probability, seconds in itertools.product(PROBABILITIES, LEAST):
            called = [is_speech(each, probability, seconds) for each in found]
            counts = {"windows": len(called), "speech": sum(called), "lost": not any(called)}
            rows.append(
                {"sound": kind, "probability": probability, "seconds": seconds, "clip": number, **counts}
            )
    table = (
        pd.DataFrame(rows)
        .groupby(["sound", "probability", "seconds"], sort=False)
        .agg(
            clips=("clip", "size"),
            windows=("windows", "sum"),
            speech=("speech", "sum"),
            lost=("lost", "mean"),
        )
        .reset_index()
    )
    table["speech"] /= table["windows"]
    click.echo(table.to_string(index=False))
    write_csv(table, csv)


if __name__ == "__main__":
    main()
