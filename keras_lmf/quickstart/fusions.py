"""Second act: early, tensor and low-rank fusion on labels that lie in the product of two modalities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from keras_lmf.data import corpora
from keras_lmf.export import FORMATS, export_model
from keras_lmf.quickstart.tables import PROTOCOLS, costs, text
from keras_lmf.recipe import Recipe, run_spec
from keras_lmf.training import Run, train

FUSIONS = {
    "early": {"name": "early"},
    "tensor": {"name": "tensor"},
    "low_rank": {"name": "low_rank", "units": 16, "rank": 4},
}


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


def fusions(folder: Path, say: Callable[[str], None]) -> Run:
    """Trains the three fusions on the synthetic corpus of features, exports the best on "valid", measures every file.

    Args:
        folder: receives `runs/` and `exported/fusion/`.
        say: is given each paragraph of the story as it happens.

    Returns:
        The run that was best.
    """
    data = corpora.load("synthetic")
    say(
        "Now two modalities, as vectors of features: the emotion is the sign of a product of something in the audio "
        f"and something in the video.\nNeither alone says anything about it.\n\n{data.summary()}\n"
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
    say(f"\nOn the test split (one seed):\n\n{text(table)}\n")

    best = min(runs, key=lambda fusion: runs[fusion].history["val_loss"].min())
    say(f"Exporting the best on the validation split, {best} fusion, and running every written file …")
    exported = folder / "exported" / "fusion"
    artifacts = export_model(
        runs[best].model,
        exported,
        list(FORMATS),
        evaluation=data["test"],
        calibration=data["train"],
        train_labels=data["train"].labels,
        resamples=200,
        spec=run_spec(runs[best].folder),
    )
    say(
        f"\n{costs(artifacts)}\n\n"
        f"Report: {exported / 'report.md'}\n"
        f"Plots:  {exported / 'report.png'}\n"
        f"        {runs[best].folder / 'history.png'}\n"
        f"        {runs[best].folder / 'test'}\n"
    )
    return runs[best]
