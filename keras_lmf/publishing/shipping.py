"""Which of the exported files an entry ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from keras_lmf.export import Artifact
from keras_lmf.publishing.costs import cost
from keras_lmf.runtime import open_artifact
from keras_lmf.spec import ModelSpec
from keras_lmf.zoo.files import BUDGETS, budget, loss

Scores = dict[str, list[dict[str, float]]]
FLOAT32 = 1e-4  # the most that a float32 file may differ from Keras on test vectors
FORMATS = ("saved_model", *BUDGETS)  # that an entry is measured in
SMALL_FILE, LARGEST_FILE = 2**20, 2**23  # bytes
SMALL_FLOAT32 = (
    600_000  # bytes of a float32 file; with float16 weights a larger one is half as long, and as good
)


NOT_SHIPPED, NOT_WRITTEN = "The {} file is not shipped: ", "No {} file: "  # how notes about files begin


def refusals(problems: Mapping[str, str]) -> list[str]:
    """Notes on formats that could not be written, and why."""
    return [f"{NOT_WRITTEN.format(name)}{why}"[:1000] for name, why in problems.items()]


def about_a_file(note: str) -> bool:
    """Whether a note is one of `refusals` or of `shipped_formats`."""
    return note.startswith(
        tuple(words.format(name) for words in (NOT_SHIPPED, NOT_WRITTEN) for name in FORMATS)
    )


def shipped_formats(
    artifacts: Mapping[str, Artifact],
    scores: Scores,
    vectors: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]],
    spec: ModelSpec,
    notes: list[str],
) -> list[str]:
    """The formats whose files are small and good enough; why the others are not goes into `notes`.

    Those of at most 1 MiB, in float32 of at most 600 kB; where none is and a media file fills all inputs, so that
    `predict` asks it, of the shorter formats' files of at most 8 MiB the one nearest to the Keras model.

    `vectors` are the entry's test vectors, inputs and the Keras model's answers, which every shipped file must give
    nearly as exactly as it answers the test split: drawn inputs are coarser than real ones.
    """
    files = {name: artifact for name, artifact in artifacts.items() if name != "saved_model"}
    problems = {}
    for name, artifact in files.items():
        lost = loss(_means(scores["weights"]), _means(scores[name]))
        reasons = problems[name] = []
        if name == "tflite" and artifact.bytes > SMALL_FLOAT32:
            reasons.append(f"{artifact.bytes:,} bytes are more than 600 kB")
        elif artifact.bytes > SMALL_FILE:
            reasons.append(f"{artifact.bytes:,} bytes are more than 1 MiB")
        if lost.share > budget(name):
            reasons.append(f"it loses {lost} against Keras{_worst(artifact)}")
        if (largest := _difference(artifact, *vectors)) > _allowed(artifact):
            reasons.append(f"its answers to the drawn test vectors are up to {largest:.2g} from Keras")
    shipped = [name for name, reasons in problems.items() if not reasons]
    if not shipped and spec.media == spec.inputs:
        large = [name for name, reasons in problems.items() if len(reasons) == 1 and name != "tflite"]
        fitting = [name for name in large if SMALL_FILE < files[name].bytes <= LARGEST_FILE]
        nearest = max(fitting, key=lambda name: cost(files[name]).nearness, default=None)
        shipped = [name for name in fitting if name == nearest]
    for name, reasons in problems.items():
        if name not in shipped:
            notes.append(f"{NOT_SHIPPED.format(name)}{', and '.join(reasons)}.")
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


def _means(seeds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {metric: float(np.mean([scores[metric] for scores in seeds])) for metric in seeds[0]}
