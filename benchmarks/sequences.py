"""Fusion at each step against attention between all pairs (MulT), over the number of modalities.

    python benchmarks/sequences.py speed
    KERAS_BACKEND=jax python benchmarks/sequences.py accuracy
    python benchmarks/sequences.py plot

`speed` counts parameters and times training steps and inference, all contenders taking turns on one thread.
`accuracy` trains the first and the last on the corpus `synthetic_steps` with distractors, two seeds each; it resumes
where it stopped. All are of equal width: each modality's steps, the fused signal and the attentions. The tables:
`report.py`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import pandas as pd
from measurements import RESULTS, about, write_csv
from tqdm import tqdm

import keras_lmf as klmf
from keras_lmf.data import corpora

WIDTH, STEPS, FEATURES, BATCH = 32, 20, 32, 32
MODALITIES, SEEDS = (2, 3, 4, 5), range(2)
MULT = "multimodal_transformer"
FUSIONS: dict[str, dict[str, Any]] = {
    "step by step": {"name": "step_by_step", "attention": "to_modalities"},
    "step by step, modalities look": {"name": "step_by_step", "attention": "from_modalities"},
    "step by step, no attention": {"name": "step_by_step", "attention": "none"},
    "MulT": {"name": MULT},
}
TRAINED = ("step by step", "MulT")
SPEED, ACCURACY = RESULTS / "sequences_speed.csv", RESULTS / "sequences_accuracy.csv"


def recipe(fusion: str, inputs: dict[str, tuple[int, ...]], width: int, seed: int = 0) -> klmf.Recipe:
    """The contender for inputs of these shapes."""
    section = FUSIONS[fusion]
    if section["name"] == MULT:
        section = section | {"units": width}
    else:
        section = section | {"each": {"name": "low_rank", "units": width}, "filters": (width,)}
    backbone = {"name": "average_pooling", "units": [width]}
    return klmf.Recipe(
        name="contender",
        seed=seed,
        corpus={"name": "synthetic_steps"},
        target={"name": "emotion", "classes": ("apart", "together")},
        inputs={name: {"shape": shape, "backbone": backbone} for name, shape in inputs.items()},
        fusion=section,
        training={"loss": "cross_entropy", "epochs": 30, "patience": 8, "learning_rate": 0.003},
    )


@click.group(help=__doc__)
def main() -> None:
    """The help is the module's docstring."""


@main.command()
@click.option("--repeats", default=11, show_default=True, help="Turns of each contender.")
@click.option("--seconds", default=0.3, show_default=True, help="Length of a turn.")
def speed(repeats: int, seconds: float) -> None:
    """Parameters, and CPU time of a step of training and of inference."""
    from speed.keras_networks import inference_step, training_step
    from speed.turns import one_thread, ratio, take_turns

    one_thread("tensorflow")
    random, rows = np.random.default_rng(0), []
    labels = random.standard_normal((BATCH, 2)).astype("float32")
    for count in MODALITIES:
        shapes = {f"modality_{i}": (STEPS, FEATURES) for i in range(count)}
        inputs = {
            name: random.standard_normal((BATCH, *shape)).astype("float32") for name, shape in shapes.items()
        }
        models = {fusion: klmf.build(recipe(fusion, shapes, WIDTH)) for fusion in FUSIONS}
        steps = {
            ("training", fusion): training_step(m, inputs, labels, xla=False) for fusion, m in models.items()
        }
        steps |= {("inference", fusion): inference_step(m, inputs) for fusion, m in models.items()}
        times = take_turns(steps, repeats=repeats, seconds=seconds)["cpu"]
        for fusion, model in models.items():
            row = {"modalities": count, "fusion": fusion, "parameters": model.count_params()}
            row["parameters_share"] = model.count_params() / models["MulT"].count_params()
            for phase in ("training", "inference"):
                row[f"{phase}_ms"] = times[phase, fusion].median()
                faster = ratio(times, (phase, "MulT"), (phase, fusion))
                row |= {f"{phase}_{key}": value for key, value in faster.items()}
            rows.append(row | about())
    write_csv(pd.DataFrame(rows), SPEED)
    click.echo(pd.DataFrame(rows).drop(columns=list(about())).to_string(index=False))


@main.command()
def plot() -> None:
    """Draws both over the number of modalities, into results/sequences.png."""
    draw()


def draw() -> None:
    """Draws `sequences.png` from both tables."""
    from speed import plots

    from keras_lmf.evaluation.plots import save

    save(plots.sequences(pd.read_csv(SPEED), pd.read_csv(ACCURACY)), RESULTS / "sequences.png")


@main.command()
def accuracy() -> None:
    """Accuracy on the test split of `synthetic_steps`, by number of modalities and seed."""
    done = pd.read_csv(ACCURACY).to_dict("records") if ACCURACY.exists() else []
    known = {(row["modalities"], row["fusion"], row["seed"]) for row in done}
    plan = [(m, f, s) for m in MODALITIES for f in TRAINED for s in SEEDS if (m, f, s) not in known]
    for count, fusion, seed in tqdm(plan):
        keras.backend.clear_session()
        data = corpora.load("synthetic_steps", distractors=count - 2, seed=seed)
        shapes = {name: values.shape[1:] for name, values in data.inputs.items()}
        with tempfile.TemporaryDirectory() as folder:
            run = klmf.train(recipe(fusion, shapes, 16, seed), data, Path(folder) / "run")
            metrics = run.evaluate("test", resamples=0).metrics
        done.append({"modalities": count, "fusion": fusion, "seed": seed, "accuracy": metrics["war"]})
        write_csv(pd.DataFrame(done), ACCURACY)
    table = pd.DataFrame(done).groupby(["modalities", "fusion"])["accuracy"].agg(["mean", "std", "count"])
    click.echo(table.to_string())


if __name__ == "__main__":
    main()
