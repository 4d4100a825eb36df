"""The main job in miniature, on a corpus that carries no licence: train, compare, export, measure the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from keras_lmf.data import corpora
from keras_lmf.export import FORMATS, Artifact, export_model, summary
from keras_lmf.recipe import Recipe
from keras_lmf.training import Run, train

FUSIONS = {
    "early": {"name": "early"},
    "tensor": {"name": "tensor"},
    "low_rank": {"name": "low_rank", "units": 16, "rank": 4},
}
PROTOCOLS = ["war", "uar", "f1_macro", "cohen_kappa"]


def recipe(fusion: str) -> Recipe:
    """The quickstart's recipe with one of the three fusions: alike but for the fusion."""
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


def quickstart(folder: Path, say: Callable[[str], None]) -> list[Artifact]:
    """Trains the three fusions on the synthetic corpus, exports the best on "valid", and measures every file.

    Args:
        folder: for the runs, the exported files and the report.
        say: is given each paragraph of the story as it happens.
    """
    data = corpora.load("synthetic")
    say(
        "The synthetic corpus: the emotion is the sign of a product of something in the audio and something in the "
        f"video.\nNeither alone says anything about it.\n\n{data.summary()}\n"
    )
    runs: dict[str, Run] = {}
    rows = {}
    for fusion in FUSIONS:
        say(f"Training {fusion} fusion …")
        run = train(recipe(fusion), data, folder / "runs" / fusion)
        runs[fusion] = run
        report = run.evaluate("test", resamples=200)
        report.save(run.folder / "test")
        rows[fusion] = report.table["value"][PROTOCOLS]
        rows["majority class (floor)"] = report.table["floor"][PROTOCOLS]
    table = pd.DataFrame({name: rows[name] for name in [*FUSIONS, "majority class (floor)"]}).T
    say(f"\nOn the test split (one seed; war: accuracy, uar: balanced accuracy):\n\n{_text(table)}\n")

    best = min(runs, key=lambda fusion: runs[fusion].history["val_loss"].min())
    say(f"Exporting the best on the validation split, {best} fusion, and running every written file …")
    artifacts = export_model(
        runs[best].model,
        folder / "exported",
        list(FORMATS),
        evaluation=data["test"],
        calibration=data["train"],
        train_labels=data["train"].labels,
        resamples=200,
        recipe=runs[best].recipe,
    )
    files = summary(artifacts).T[["bytes", "war", "f1_macro", "agreement with Keras", "latency p50, ms"]]
    say(f"\nWhat the files themselves answer on the test split, and what they cost:\n\n{files.to_string()}\n")
    say(
        f"Report: {folder / 'exported' / 'report.md'}\n"
        f"Plots:  {folder / 'exported' / 'report.png'}\n"
        f"        {runs[best].folder / 'history.png'}\n"
        f"        {runs[best].folder / 'test'}\n\n"
        "Next: change a recipe and train it,\n"
        f"    keras-lmf train {runs['low_rank'].folder / 'recipe.toml'} --folder my-run\n"
        "    keras-lmf evaluate my-run\n"
        "    keras-lmf export my-run"
    )
    return artifacts


def _text(table: pd.DataFrame) -> str:
    return table.to_string(float_format=lambda value: f"{value:.3f}")
