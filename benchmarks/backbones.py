"""Backbones for sound, video, landmarks and a picture: size, work, receptive field, licences, time of one clip.

    python benchmarks/backbones.py --csv benchmarks/results/backbones.csv

Default options, a clip of 3 s at 16 kHz or 25 frames a second, random weights: size and time don't depend on them. Each
backbone is exported, and its files take turns with the compiled Keras model in one process on one thread, NumPy arrays
in and out. FLOPs are twice the multiply-adds of matrix products and convolutions, counted from the ops of the float32
file, loops as often as they run; elementwise ops are left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import pandas as pd
from measurements import about, write_csv
from speed.heads import file_step
from speed.keras_networks import call_step
from speed.multiply_adds import multiply_adds
from speed.turns import Step, one_thread, take_turns

from keras_lmf import backbones
from keras_lmf.data import Split
from keras_lmf.errors import LMFError
from keras_lmf.export import FORMATS, export_model
from keras_lmf.locate import known_backbones
from keras_lmf.records import Backbone
from keras_lmf.target import Target

SOUND, VIDEO = 16000, 25  # samples, frames a second
FACE = (64, 64, 1)
ROWS = 8
KERAS = {"tf.function": False, "tf.function, XLA": True}  # compiled how → with XLA?
FLOAT32 = "TFLite float32"
FILES = {FLOAT32: "tflite", "TFLite dynamic": "tflite-dynamic", "TFLite int8": "tflite-int8"}


@dataclass(frozen=True)
class Facts:
    """What is known of a backbone without running it.

    Attributes:
        function: makes it.
        receptive_field: what one number of its last layer over time sees, then how time is pooled.
        paper: whose architecture it is.
        published: what of the zoo has weights for it.
        brought: licence and source of published weights that the zoo has not.
        rate: of its input, steps a second; 0 of a picture.
        picture: shape of a step of its input.
    """

    function: Callable[..., keras.Model]
    receptive_field: str
    paper: str
    published: str | None = None
    brought: str = ""
    rate: int = SOUND
    picture: tuple[int, ...] = ()

    def shape(self, clip: float) -> tuple[int, ...]:
        """Of the input for a clip of so many seconds."""
        return (round(clip * self.rate), *self.picture) if self.rate else self.picture

    @property
    def weights(self) -> str:
        """Licence and source of the published weights."""
        if self.published is None:
            return self.brought or "none published"
        return Backbone.read(known_backbones()[self.published]).licences.weights


# n frames of 25 ms, one each 10 ms: 25 + 10 (n − 1) ms.
BACKBONES = {
    "log_mel_cnn": Facts(
        backbones.log_mel_cnn, "22 frames, 235 ms; pooled over the clip", "Kumar & Martin, III"
    ),
    "crnn": Facts(backbones.crnn, "12 frames, 135 ms; then the clip, by GRUs", "Choi et al. 2017"),
    "mfcc_lstm": Facts(backbones.mfcc_lstm, "the clip", "Kumar & Martin, III"),
    "mfcc_bilstm": Facts(
        backbones.mfcc_bilstm, "the clip; pooled over it", "Kumar & Martin, III; Graves & Schmidhuber 2005"
    ),
    "ge2e": Facts(backbones.ge2e, "the clip; pooled over it", "Wan et al. 2018", "ge2e"),
    "cnn_lstm": Facts(
        backbones.cnn_lstm,
        "the clip",
        "Kumar & Martin, III; Arriaga et al. 2017",
        "mini-xception",
        rate=VIDEO,
        picture=FACE,
    ),
    "cnn_gru": Facts(
        backbones.cnn_gru,
        "the clip",
        "Kumar & Martin, III; Arriaga et al. 2017",
        "mini-xception",
        rate=VIDEO,
        picture=FACE,
    ),
    "cnn_2plus1d": Facts(
        backbones.cnn_2plus1d,
        "7 frames of video, 280 ms; pooled over the clip",
        "Tran et al. 2018",
        rate=VIDEO,
        picture=FACE,
    ),
    "i3d": Facts(
        backbones.i3d,
        "99 frames of video, 3.96 s; pooled over the clip",
        "Carreira & Zisserman 2017; Kumar & Martin, III",
        brought="Apache-2.0 (DeepMind's Kinetics-400), brought by you",
        rate=VIDEO,
        picture=(64, 64, 3),
    ),
    **{
        f"landmark_{word}": Facts(
            getattr(backbones, f"landmark_{word}"),
            receptive_field,
            paper,
            rate=VIDEO,
            picture=backbones.landmarks.POINTS,
        )
        for word, receptive_field, paper in (
            (
                "convolution",
                "10 frames, 400 ms; pooled over the clip",
                "Kumar & Martin, III; Soukupová & Čech 2016",
            ),
            ("lstm", "the clip", "Kumar & Martin, III; Soukupová & Čech 2016"),
            ("bilstm", "the clip; pooled over it", "Graves & Schmidhuber 2005; Soukupová & Čech 2016"),
            ("gru", "the clip", "Cho et al. 2014; Soukupová & Čech 2016"),
            ("mlp", "the clip", "Soukupová & Čech 2016"),
        )
    },
    "image_cnn": Facts(backbones.image_cnn, "the picture", "He et al. 2016", rate=0, picture=(48, 48, 1)),
}


def model_of(name: str, clip: float) -> keras.Model:
    """The backbone with its default options: {"clip": (batch, …)} → {"embedding": (batch, units)}."""
    shape = BACKBONES[name].shape(clip)
    inputs = keras.Input(shape, name="clip")
    return keras.Model({"clip": inputs}, {"embedding": BACKBONES[name].function(shape)(inputs)}, name=name)


def noise(shape: Sequence[int]) -> np.ndarray:
    """(rows, …) of noise: sound at the level of speech, or pictures; zeros would be padding."""
    random = np.random.default_rng(0)
    if len(shape) == 1:
        return (0.1 * random.standard_normal((ROWS, *shape))).clip(-1, 1).astype("float32")
    return random.uniform(0.01, 1, (ROWS, *shape)).astype("float32")


def files(model: keras.Model) -> tuple[dict[str, bytes], str]:
    """The files by runtime, and why one of them is missing."""
    names = np.arange(ROWS).astype(str)
    target = Target(name="embedding", range=(0, 1))
    calibration = Split(
        "train", {"clip": noise(model.input["clip"].shape[1:])}, {}, np.zeros(ROWS), names, names, target
    )
    refused = ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            export_model(model, folder, list(FILES.values()), calibration=calibration, tolerance=1e-4)
        except LMFError as error:  # of a format; the files before it are there
            refused = str(error)
        paths = {runtime: Path(folder, FORMATS[format].file) for runtime, format in FILES.items()}
        made = {runtime: path.read_bytes() for runtime, path in paths.items() if path.is_file()}
    if FLOAT32 not in made:
        raise LMFError(refused)
    return made, refused


def measure(name: str, clip: float, repeats: int, seconds: float) -> list[dict[str, Any]]:
    """Rows of one backbone, one for each runtime; a file that is refused has no time, but a reason."""
    model = model_of(name, clip)
    made, refused = files(model)
    inputs = {"clip": noise(BACKBONES[name].shape(clip))[:1]}
    steps: dict[str, Step] = {what: call_step(model, inputs, xla=xla) for what, xla in KERAS.items()}
    steps |= {runtime: file_step(content, inputs) for runtime, content in made.items()}
    times = take_turns(steps, repeats=repeats, seconds=seconds)
    work = multiply_adds(made[FLOAT32])
    facts = {
        "backbone": name,
        "clip_seconds": clip,
        "input": " × ".join(map(str, BACKBONES[name].shape(clip))),
        "embedding": model.output["embedding"].shape[-1],
        "parameters": model.count_params(),
        "mflops": 2e-6 * work,
        "receptive_field": BACKBONES[name].receptive_field,
        "code": metadata("keras-lmf")["License-Expression"],
        "weights": BACKBONES[name].weights,
        "paper": BACKBONES[name].paper,
    }
    rows = []
    for runtime in [*KERAS, *FILES]:
        row = facts | {"runtime": runtime, "bytes": len(made[runtime]) if runtime in made else None}
        if runtime in steps:
            wall = times["wall"][runtime]
            row |= {
                "wall_ms": wall.median(),
                "wall_ms_first_quartile": wall.quantile(0.25),
                "wall_ms_third_quartile": wall.quantile(0.75),
                "cpu_ms": times["cpu"][runtime].median(),
            }
        rows.append(row | {"refused": "" if runtime in steps else refused})
    return rows


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice(list(BACKBONES)))
@click.option(
    "--clip", default=3.0, show_default=True, type=click.FloatRange(0.2), help="Seconds of sound or video."
)
@click.option("--repeats", default=15, show_default=True, type=click.IntRange(1), help="Turns each.")
@click.option("--seconds", default=0.2, show_default=True, type=click.FloatRange(0), help="Length of a turn.")
@click.option(
    "--csv",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the table here as well; what is there of other backbones stays.",
)
def main(names: tuple[str, ...], clip: float, repeats: int, seconds: float, csv: Path | None) -> None:
    one_thread("tensorflow")
    rows = []
    for name in names or BACKBONES:
        rows += measure(name, clip, repeats, seconds)
        click.echo(pd.DataFrame(rows[-len(KERAS) - len(FILES) :]).drop(columns="refused").to_string())
    table = pd.DataFrame(rows).assign(**about())
    if csv:
        if csv.is_file():
            before = pd.read_csv(csv)
            table = pd.concat([table, before[~before["backbone"].isin(table["backbone"])]])
        order = list(BACKBONES)
        table = table.sort_values("backbone", key=lambda names: names.map(order.index), kind="stable")
        table = table.astype(dict.fromkeys(("bytes", "parameters", "embedding"), "Int64"))
        write_csv(table, csv)


if __name__ == "__main__":
    main()
