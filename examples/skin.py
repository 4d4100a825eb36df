"""Voice, face and skin, fused at low rank, on made-up recordings whose events are known.

    python examples/skin.py

In each recording something is heard (the voice's energy jumps) and seen (the mouth opens), and the skin responds
once: its conductance rises within a second or two. The label says whether it responds to that event, or to nothing at
another time. So no modality tells it alone, nor do all of them averaged over time: it lies in *when*. Low-rank fusion
at each step is made for this.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import keras_lmf as klmf
from keras_lmf.data import Dataset
from keras_lmf.descriptors import skin_descriptors
from keras_lmf.descriptors.table import STEP

SECONDS, RATE, CLIPS = 24.0, 20, 200
RISE, FALL = 0.75, 2.0  # seconds: how fast a response comes and goes (Bateman's function)
PEAK = np.log(FALL / RISE) * FALL * RISE / (FALL - RISE)  # seconds from its onset to its peak
EVERY = 12  # steps of the descriptors in one step of the model: about two a second


def response(times: np.ndarray, onset: float) -> np.ndarray:
    """The conductance that a response adds, in µS."""
    since = np.maximum(times - onset, 0)
    return np.exp(-since / FALL) - np.exp(-since / RISE)


def recording(seed: int) -> tuple[dict[str, np.ndarray], int, float]:
    """Descriptors of the three modalities (steps, width), the label, and by how many seconds the found response is
    early or late; NaN where none or several are found."""
    draw = np.random.default_rng(seed)
    label, event = seed % 2, draw.uniform(5, 16)
    times = np.arange(round(SECONDS * RATE)) / RATE
    eda = 4 + draw.normal() + 0.02 * times + draw.normal(0, 0.003, len(times))
    onset = event if label else draw.choice([t for t in np.arange(5, 16, 0.5) if abs(t - event) > 3])
    eda += draw.uniform(0.5, 1.5) * response(times, onset)
    steps = np.arange(round(SECONDS / STEP)) * STEP
    near = np.exp(-np.square((steps - event) / 0.7))
    energy = -35 + 15 * near + draw.normal(0, 3, len(steps))
    mouth = 0.05 + 0.15 * near + draw.normal(0, 0.03, len(steps))
    skin = skin_descriptors(times, eda, len(steps))
    found = steps[skin["eda_response"] > 0.1]
    late = found[0] - (onset + PEAK) if len(found) == 1 else np.nan
    modalities = {"voice": [energy], "face": [mouth], "skin": [skin["eda_tonic"], skin["eda_phasic"]]}
    return {name: slower(np.stack(series, axis=1)) for name, series in modalities.items()}, label, late


def slower(series: np.ndarray) -> np.ndarray:
    """Means over `EVERY` steps."""
    count = len(series) // EVERY
    return series[: count * EVERY].reshape(count, EVERY, -1).mean(axis=1).astype("float32")


def main() -> None:
    rows, labels, late = zip(*(recording(seed) for seed in range(CLIPS)))
    print(f"responses found within .6 s of their times: {np.mean(np.abs(late) < 0.6):.2f}")

    splits = np.array(["train"] * 120 + ["valid"] * 40 + ["test"] * 40)
    data = Dataset(
        name="skin",
        target=klmf.Target(name="event", classes=("unmoved", "moved")),
        inputs={name: np.stack([row[name] for row in rows]) for name in rows[0]},
        labels=np.array(labels),
        groups=np.array([f"person{i}" for i in range(CLIPS)]),
        ids=np.array([f"clip{i}" for i in range(CLIPS)]),
        splits=splits,
    )
    recipe = klmf.Recipe(
        name="skin",
        corpus={"name": "skin"},
        target={"name": "event", "classes": data.target.classes},
        inputs={
            name: {"shape": values.shape[1:], "backbone": {"name": "average_pooling", "units": [8]}}
            for name, values in data.inputs.items()
        },
        fusion={
            "name": "step_by_step",
            "each": {"name": "low_rank", "units": 16, "rank": 4},
            "filters": [16],
            "attention": "none",
        },
        training={"loss": "cross_entropy", "epochs": 20, "learning_rate": 0.01},
    )
    with tempfile.TemporaryDirectory() as folder:
        run = klmf.train(recipe, data, Path(folder) / "run")
        print(f"test accuracy: {run.evaluate('test', resamples=0).metrics['war']:.2f}")
        explained = klmf.explain(run.model, data["test"].inputs)
        table = klmf.evaluation.interactions(explained.terms, data.target.classes)
        print(table.pivot(index="subset", columns="answer", values="share").round(2).to_string())


if __name__ == "__main__":
    main()
