"""First act: media files in, an emotion out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from keras_lmf.data import Dataset, corpora
from keras_lmf.data.corpora import synthetic_clips
from keras_lmf.evaluation import plots
from keras_lmf.export import export_model
from keras_lmf.quickstart.tables import PROTOCOLS, costs, text
from keras_lmf.recipe import Recipe, run_spec
from keras_lmf.recognition import Prediction, Recognizer
from keras_lmf.training import train

CLIPS, SPEAKERS = 150, 15
SECONDS = 1.0  # that the model hears at once; a clip is twice as long
FORMATS = ["tflite", "tflite-float16", "tflite-dynamic", "tflite-int8"]


class Answer(NamedTuple):
    """What was asked of the written file.

    Attributes:
        model: the `.tflite` file.
        clip: a clip of a speaker whom the model has never heard.
        label: what the clip shows.
        prediction: what the file says.
        picture: the prediction's timeline, a PNG.
    """

    model: Path
    clip: Path
    label: str
    prediction: Prediction
    picture: Path


def voice_recipe(data: Dataset) -> Recipe:
    """Log-mel spectrogram → small convolutional network → emotion, all inside the model.

    Args:
        data: the clips, with the input `voice` (samples,).
    """
    return Recipe(
        name="synthetic-voice",
        corpus={"name": "clips", "options": {"seconds": SECONDS}},
        target=data.target.model_dump(exclude_none=True),
        inputs={
            "voice": {
                "shape": data.inputs["voice"].shape[1:],
                "front_end": {"name": "log_mel", "bands": 32},
                "backbone": {"name": "spectrogram_cnn", "filters": [8, 16, 16], "units": 16},
            }
        },
        fusion={"name": "none"},
        training={
            "loss": "cross_entropy",
            "epochs": 25,
            "patience": 25,
            "batch_size": 8,
            "learning_rate": 6e-3,
            "schedule": "cosine",
        },
    )


def voice(folder: Path, say: Callable[[str], None]) -> Answer:
    """Writes clips, trains a voice model on them, exports it, and asks a written file about a clip of the test split.

    Args:
        folder: receives `clips/`, `runs/voice/`, `exported/voice/` and `timeline.png`.
        say: is given each paragraph of the story as it happens.
    """
    clips = folder / "clips"
    say(
        f"Writing {CLIPS} clips of drawn faces that speak vowels, {len(synthetic_clips.EMOTIONS)} emotions by "
        f"{SPEAKERS} speakers: {clips} …"
    )
    if not (clips / synthetic_clips.LABELS).is_file():  # it comes last: the folder is whole
        synthetic_clips.write(clips, clips=CLIPS, speakers=SPEAKERS)
    data = corpora.load("clips", clips, seconds=SECONDS)
    say(f"No speaker is in two splits.\n\n{data.summary()}\n")

    say("Training on their sound …")
    run = train(voice_recipe(data), data, folder / "runs" / "voice")
    report = run.evaluate("test", resamples=200)
    report.save(run.folder / "test")
    table = report.table.loc[PROTOCOLS, ["value", "floor"]].T
    table.index = ["voice", "majority class (floor)"]
    say(f"\nOn speakers it has never heard (war: accuracy, uar: balanced accuracy):\n\n{text(table)}\n")

    say("Exporting it, and running every written file on the test split …")
    artifacts = export_model(
        run.model,
        folder / "exported" / "voice",
        FORMATS,
        evaluation=data["test"],
        calibration=data["train"],
        train_labels=data["train"].labels,
        resamples=200,
        spec=run_spec(run.folder),
    )
    say(f"\n{costs(artifacts)}\n")

    model, test = artifacts[0].path, data["test"]
    clip, label = clips / test.ids[0], data.target.classes[test.labels[0]]
    prediction = Recognizer(model)(clip)
    picture = plots.save(prediction.figure(), folder / "timeline.png")
    say(
        f"Asking {model} about a clip of the test split, which shows {label} (this needs no TensorFlow):\n\n"
        f"{prediction}\n\nOver time: {picture}\n"
    )
    return Answer(model, clip, label, prediction, picture)
