"""Which of the exported files an entry ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from keras_lmf.export import Artifact
from keras_lmf.publishing.costs import cost
from keras_lmf.runtime import open_artifact
from keras_lmf.spec import ModelSpec

Scores = dict[str, list[dict[str, float]]]
FLOAT32 = 1e-4  # the most that a float32 file may differ from Keras on test vectors
# What a smaller file may lose against the Keras model, mean over the seeds: share of right answers, or of the MAE.
BUDGETS = {
    "tflite": 0.001,
    "tflite-float16": 0.001,
    "tflite-dynamic": 0.005,
    "tflite-int8": 0.01,
    "tflite-int8-integer": 0.01,
}
MAE_BUDGET = 0.01
FORMATS = ("saved_model", *BUDGETS)  # that an entry is measured in
SMALL_FILE, LARGEST_FILE = 2**20, 2**23  # bytes


def shipped_formats(
    artifacts: Mapping[str, Artifact],
    scores: Scores,
    vectors: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]],
    spec: ModelSpec,
    notes: list[str],
) -> list[str]:
    """The formats whose files are small and good enough; why the others are not goes into `notes`.

    Those of at most 1 MiB; where none is and a media file fills all inputs, so that `predict` asks it, of those of at
    most 8 MiB the one nearest to the Keras model.

    `vectors` are the entry's test vectors, inputs and the Keras model's answers, which every shipped file must give
    nearly as exactly as it answers the test split: drawn inputs are coarser than real ones.
    """
    files = {name: artifact for name, artifact in artifacts.items() if name != "saved_model"}
    problems = {}
    for name, artifact in files.items():
        loss, unit = _loss(scores["weights"], scores[name])
        reasons = problems[name] = []
        if artifact.bytes > SMALL_FILE:
            reasons.append(f"{artifact.bytes:,} bytes are more than 1 MiB")
        if loss > (BUDGETS.get(name, 0) if unit == "points" else MAE_BUDGET):
            reasons.append(f"it loses {100 * loss:.2f} {unit} against Keras{_worst(artifact)}")
        if (largest := _difference(artifact, *vectors)) > _allowed(artifact):
            reasons.append(f"its answers to the drawn test vectors are up to {largest:.2g} from Keras")
    shipped = [name for name, reasons in problems.items() if not reasons]
    if not shipped and spec.media == spec.inputs:
        large = [name for name, file in files.items() if file.bytes > SMALL_FILE and len(problems[name]) == 1]
        fitting = [name for name in large if files[name].bytes <= LARGEST_FILE]
        nearest = max(fitting, key=lambda name: cost(files[name]).nearness, default=None)
        shipped = [name for name in fitting if name == nearest]
    for name, reasons in problems.items():
        if name not in shipped:
            notes.append(f"The {name} file is not shipped: {', and '.join(reasons)}.")
    return shipped


def _difference(
    artifact: Artifact, inputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]
) -> float:
    answers = open_artifact(artifact.path).predict(inputs)
    return max(float(np.abs(answers[target] - values).max()) for target, values in expected.items())


def _worst(artifact: Artifact) -> str:
    """In brackets, the ops that add the most of it."""
    found = [
        f"{row.operator} {row.scope} adds {row.added:.1%}" for row in artifact.errors.head(2).itertuples()
    ]
    return f" ({', '.join(found)} of error)" if found else ""


def _allowed(artifact: Artifact) -> float:
    return FLOAT32 if artifact.format == "tflite" else 2 * artifact.difference_max


def _loss(model: Sequence[Mapping[str, float]], file: Sequence[Mapping[str, float]]) -> tuple[float, str]:
    """What the file loses, mean over the seeds: in accuracy, or in mean absolute error as a share of Keras's."""
    if "war" in model[0]:
        return float(np.mean([ours["war"] - theirs["war"] for ours, theirs in zip(model, file)])), "points"
    ours, theirs = (np.mean([row["mae"] for row in rows]) for rows in (model, file))
    return float(theirs / ours - 1), "% of the mean absolute error"
