"""The main job in miniature, on data that carry no licence: media file to answer, then the three fusions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# ruff: noqa: E402
from keras_lmf.backend import require_backend

require_backend()  # before anything imports Keras: it says what to install

import pandas as pd

from keras_lmf.data import corpora
from keras_lmf.data.corpora import synthetic_clips
from keras_lmf.errors import import_extra
from keras_lmf.evaluation import plots
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.export import Artifact, summary
from keras_lmf.recipe import Recipe
from keras_lmf.recognition import Prediction, Recognizer
from keras_lmf.training import Run, train

CLIPS, SPEAKERS = 150, 15
SIDE = 128  # of the clips' pictures, in pixels
FILES = ("tflite", "tflite-float16", "tflite-dynamic", "tflite-int8")
FUSIONS = {
    "early": {"name": "early"},
    "tensor": {"name": "tensor"},
    "low_rank": {"name": "low_rank", "units": 16, "rank": 4},
}
PROTOCOLS = ["war", "uar", "f1_macro", "cohen_kappa"]
FLOOR = "majority class (floor)"


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


def quickstart(folder: Path, say: Callable[[str], None]) -> None:
    """From media files to an answer by voice and face, then early, tensor and low-rank fusion side by side.

    An interrupted call goes on where it was when it is called again with the same folder.

    Args:
        folder: for clips, runs, exported files, reports and pictures.
        say: is given each paragraph of the story as it happens.

    Raises:
        LMFError: an extra is missing, before anything is written; or `folder` holds something else.
    """
    # Now: the quantiser is needed minutes later.
    for module, extra in (
        ("av", "media"),
        ("cv2", "face"),
        ("ai_edge_litert", "export"),
        ("litert_quantizer", "export"),
    ):
        import_extra(module, extra)
    answer = voice_and_face(folder, say)
    best = fusions(folder, say)
    say(
        "Next: ask about a recording of your own (this model knows drawn people's voices only),\n"
        f"    keras-lmf predict recording.mp4 --model {answer.model}\n"
        "or change a recipe and train it,\n"
        f"    keras-lmf train {best.folder / 'recipe.toml'} --folder my-run\n"
        "    keras-lmf evaluate my-run\n"
        "    keras-lmf export my-run"
    )


def voice_and_face(folder: Path, say: Callable[[str], None]) -> Answer:
    """First act: writes clips, trains a model of voice and face on them, exports it, and asks a written file about a
    test clip.

    Args:
        folder: receives `clips/`, `runs/voice-face/`, `exported/voice-face/` and `timeline.png`.
        say: is given each paragraph of the story as it happens.
    """
    clips = folder / "clips"
    say(
        f"Writing {CLIPS} clips of drawn faces that speak vowels, {len(synthetic_clips.EMOTIONS)} emotions by "
        f"{SPEAKERS} speakers: {clips} …"
    )
    if not (clips / synthetic_clips.LABELS).is_file():  # it comes last: the folder is whole
        synthetic_clips.write(clips, clips=CLIPS, speakers=SPEAKERS, size=(SIDE, SIDE))
    wanted = clips_recipe()
    say("Hearing their voices, and following their faces …")
    data = corpora.load("clips", clips, wanted.recorded)
    say(f"No speaker is in two splits.\n\n{data.summary()}\n")

    say("Training low-rank fusion of voice and face …")
    run = train(wanted, data, folder / "runs" / "voice-face")
    table = _table({"voice and face": run})
    say(f"\nOn speakers it has never met:\n\n{table}\n")

    say("Exporting it, and running every written file on the test split …")
    artifacts, costs = _exported(run, folder / "exported" / "voice-face", FILES)
    say(f"\n{costs}\n")

    model, test = artifacts[0].path, data["test"]
    clip, label = clips / test.ids[0], data.target.classes[test.labels[0]]
    prediction = Recognizer(model)(clip)
    picture = plots.save(prediction.figure(), folder / "timeline.png")
    say(
        f"Asking {model} about a clip of the test split, which shows {label} (this needs no TensorFlow):\n\n"
        f"{prediction}\n\nOver time: {picture}\n"
    )
    return Answer(model, clip, label, prediction, picture)


def clips_recipe() -> Recipe:
    """A second of voice and of face → emotion: two small networks, joined by low-rank fusion. The labels are the
    clips' own."""
    return Recipe(
        name="synthetic-voice-face",
        corpus={"name": "clips"},
        inputs={
            "voice": {
                "shape": (16000,),
                "front_end": {"name": "log_mel", "bands": 32},
                "backbone": {"name": "spectrogram_cnn", "filters": [8, 16, 16], "units": 16},
            },
            "face": {
                "shape": (4, 48, 48, 1),
                "frame_rate": 4.0,
                "source": {"name": "face"},
                "backbone": {"name": "cnn_2plus1d", "filters": [8, 16], "units": 16},
            },
        },
        fusion={"name": "low_rank", "units": 16, "rank": 4, "initialization": "variance_preserving"},
        presence={"dropout": 0.3},
        training={
            "epochs": 25,
            "patience": 25,
            "batch_size": 8,
            "learning_rate": 6e-3,
            "schedule": "cosine",
        },
    )


def fusions(folder: Path, say: Callable[[str], None]) -> Run:
    """Second act: trains the three fusions on labels that lie in the product of two modalities, exports the best.

    Args:
        folder: receives `runs/` and `exported/fusion/`.
        say: is given each paragraph of the story as it happens.

    Returns:
        The run that was best on "valid".
    """
    data = corpora.load("synthetic")
    say(
        "Now two modalities, as vectors of features: the emotion is the sign of a product of something in the audio "
        f"and something in the video.\nNeither alone says anything about it.\n\n{data.summary()}\n"
    )
    runs: dict[str, Run] = {}
    for fusion in FUSIONS:
        say(f"Training {fusion} fusion …")
        runs[fusion] = train(recipe(fusion), data, folder / "runs" / fusion)
    say(f"\nOn the test split (one seed):\n\n{_table(runs)}\n")

    best = min(runs, key=lambda fusion: runs[fusion].history["val_loss"].min())
    say(f"Exporting the best on the validation split, {best} fusion, and running every written file …")
    exported = folder / "exported" / "fusion"
    _, costs = _exported(runs[best], exported, ("saved_model", *FILES, "tflite-int8-integer"))
    say(
        f"\n{costs}\n\n"
        f"Report: {exported / 'report.md'}\n"
        f"Plots:  {exported / 'report.png'}\n"
        f"        {runs[best].folder / 'history.png'}\n"
        f"        {runs[best].folder / 'test'}\n"
    )
    return runs[best]


def recipe(fusion: str) -> Recipe:
    """The second act's recipe with one of the three fusions: alike but for the fusion."""
    data = corpora.load("synthetic")
    backbone = {"name": "mlp", "units": (16,)}
    return Recipe(
        name=f"{fusion.replace('_', '-')}-synthetic-av",
        corpus={"name": "synthetic"},
        target=data.target.model_dump(exclude_none=True),
        inputs={
            name: {"shape": values.shape[1:], "backbone": backbone} for name, values in data.inputs.items()
        },
        fusion=FUSIONS[fusion],
        training={"loss": "cross_entropy", "epochs": 30, "patience": 5, "learning_rate": 3e-3},
    )


def _table(runs: Mapping[str, Run]) -> str:
    """What each run answers on the test split, with the floor; the reports go into the runs' folders."""
    rows = {}
    for name, run in runs.items():
        report = run.evaluate("test", resamples=200)
        report.save(run.folder / "test")
        rows[name] = report.table["value"][PROTOCOLS]
        floor = report.table["floor"][PROTOCOLS]
    table = pd.DataFrame(rows | {FLOOR: floor}).T.rename(columns=metric_name).rename_axis(columns=None)
    return table.to_string(float_format="{:.3f}".format)


def _exported(run: Run, folder: Path, formats: Sequence[str]) -> tuple[list[Artifact], str]:
    """The written files, and a table of what they answer on the test split, weigh and take."""
    artifacts = run.export(folder, formats, resamples=200)
    table = (
        summary(artifacts)
        .T[["bytes", metric_name("war"), "agreement with Keras", "latency p50, ms"]]
        .set_axis(["bytes", metric_name("war"), "as Keras", "ms"], axis="columns")
    )
    title = (
        "What the files themselves answer on the test split, how often as Keras, and what they cost\n"
        "(ms for one row on one thread; the report has more):"
    )
    return artifacts, f"{title}\n\n{table.to_string()}"
