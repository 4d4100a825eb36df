"""From a media file to its emotion: time as a fraction of the clip's length, and memory for an hour of sound.

    python benchmarks/clips.py ge2e-ravdess-voice --csv benchmarks/results/clips.csv
    python benchmarks/clips.py lmf-media-av --film FILE --film FILE --csv benchmarks/results/films.csv

NAMES are zoo entries, or folders of runs, that take sound, or sound and a face. Each is exported; then `Recognizer`
answers about one .mp4 clip (drawn by `synthetic_clips`, H.264 and AAC) by the Keras model and by the .tflite files,
which take turns, one call a turn: decoding, faces, windows, model, probabilities, by the wall's clock, TensorFlow and
LiteRT on one thread, FFmpeg on two. The row "decoding alone" is the part that all share. Last, a long .wav in a process
of its own that never loads TensorFlow. With --film, these files are asked about instead of the drawn clip and the .wav.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import soundfile
from measurements import CSV, about, write_csv
from speed.processes import answer
from speed.turns import Step, one_thread, take_turns

from keras_lmf import Recognizer
from keras_lmf.data import Split
from keras_lmf.data import windows as cut_windows
from keras_lmf.data.corpora import synthetic_clips
from keras_lmf.export import FORMATS, export_model
from keras_lmf.media.crops import followed_rate
from keras_lmf.recognition.opening import open_model
from keras_lmf.zoo import load

DECODING, KERAS = "decoding alone", "Keras"
FLOAT32 = "TFLite float32"
FILES = {FLOAT32: "tflite", "TFLite dynamic": "tflite-dynamic"}
ROWS = 4


def export(name: str, folder: Path) -> dict[str, Path]:
    """The files by runtime, with the sidecars that a Recognizer reads."""
    opened = open_model(name)
    spec = opened.spec
    random = np.random.default_rng(0)
    inputs = {
        modality: random.uniform(-1, 1, (ROWS, *info.shape)).astype("float32")
        for modality, info in opened.runtime.inputs.items()
    }
    names = np.arange(ROWS).astype(str)
    labels = np.arange(ROWS) % spec.target.size
    export_model(
        load(name),
        folder,
        list(FILES.values()),
        evaluation=Split("test", inputs, {}, labels, names, names, spec.target),
        resamples=0,
    )
    return {runtime: folder / FORMATS[format].file for runtime, format in FILES.items()}


def short_clip(folder: Path, seconds: float) -> Path:
    synthetic_clips.write(folder, clips=1, speakers=1, seconds=seconds)
    (clip,) = folder.glob("*.mp4")
    return clip


def long_clip(path: Path, minutes: float) -> Path:
    """Noise that swells and fades; silence would be passed over."""
    rate, random = 16000, np.random.default_rng(0)
    loudness = 0.1 + 0.1 * np.sin(2 * np.pi * np.arange(rate) / rate)
    with soundfile.SoundFile(path, "w", rate, 1, subtype="PCM_16") as stream:
        for _ in range(round(60 * minutes)):
            stream.write((loudness * random.standard_normal(rate)).clip(-1, 1))
    return path


def measure_clip(name: str, files: dict[str, Path], clip: Path, repeats: int) -> list[dict[str, Any]]:
    """Rows by what answers; `real_time_factor` is the median of the calls over the clip's length."""
    recognizers = {KERAS: Recognizer(name, runtime="keras")} | {
        what: Recognizer(path) for what, path in files.items()
    }
    steps: dict[str, Step] = {what: lambda r=r: r(clip) for what, r in recognizers.items()}
    cut = (recognizers[KERAS].seconds, recognizers[KERAS].hop)
    opened = open_model(name)
    tracks = [track for track, part in (("sound", opened.sound), ("picture", opened.face)) if part]
    rates = {"sample_rate": opened.sound.rate} if opened.sound else {}
    rates |= {"frame_rate": float(followed_rate(opened.face))} if opened.face else {}
    steps[DECODING] = lambda: list(cut_windows(clip, *cut, tracks=tuple(tracks), **rates))
    timelines = {what: recognizer(clip).timeline for what, recognizer in recognizers.items()}
    seconds = timelines[KERAS]["end"].max()
    windows = {what: len(timeline) for what, timeline in timelines.items()}
    wall = take_turns(steps, repeats=repeats, seconds=0)["wall"]
    return [
        {
            "what": what,
            "file": clip.suffix[1:],
            "film": clip.name,
            "clip_seconds": seconds,
            "windows": windows.get(what),
            "median_ms": wall[what].median(),
            "least_ms": wall[what].min(),
            "most_ms": wall[what].max(),
            "real_time_factor": wall[what].median() / 1e3 / seconds,
        }
        for what in [DECODING, *recognizers]
    ]


def measure_long(model: Path, clip: Path, minutes: float) -> dict[str, Any]:
    """The row of a long file, heard once, in a process of its own.

    Raises:
        LMFError: that process failed; its last words are in the message.
    """
    row = answer(f"The memory of {clip.name}", "speed.memory", "clip", model, clip)
    spent = 1e3 * row.pop("seconds")
    return {
        "what": FLOAT32,
        "file": "wav",
        "clip_seconds": 60 * minutes,
        "median_ms": spent,
        "least_ms": spent,
        "most_ms": spent,
        "real_time_factor": spent / 1e3 / (60 * minutes),
        **row,
    }


@click.command(help=__doc__)
@click.argument("names", nargs=-1, required=True)
@click.option("--clip", default=3.0, show_default=True, type=click.FloatRange(0.5, 60), help="Its seconds.")
@click.option("--repeats", default=31, show_default=True, type=click.IntRange(1), help="Calls of each.")
@click.option(
    "--minutes", default=60.0, show_default=True, type=click.FloatRange(0.05), help="Of the long file."
)
@click.option(
    "--film", "films", multiple=True, type=click.Path(exists=True, path_type=Path), help="A film at hand."
)
@CSV
def main(
    names: tuple[str, ...],
    clip: float,
    repeats: int,
    minutes: float,
    films: tuple[Path, ...],
    csv: Path | None,
) -> None:
    one_thread("tensorflow")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clips = films or (short_clip(folder / "short", clip),)
        long = None if films else long_clip(folder / "long.wav", minutes)
        for name in names:
            entry = Path(name).name
            files = export(name, folder / "files" / entry)
            for path in clips:
                rows += [{"entry": entry, **row} for row in measure_clip(name, files, path, repeats)]
            if long:
                rows.append({"entry": entry, **measure_long(files[FLOAT32], long, minutes)})
    table = pd.DataFrame(rows).astype({"windows": "Int64"})
    click.echo(table.to_string(index=False, float_format="{:.4g}".format))
    write_csv(table.assign(**about()), csv)


if __name__ == "__main__":
    main()
