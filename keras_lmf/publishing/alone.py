"""What a model of several modalities is worth when only one of them is there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_lmf.evaluation import evaluate
from keras_lmf.runtime import open_artifact
from keras_lmf.training import Run


def alone(runs: Sequence[Run]) -> dict[str, list[dict[str, float]]]:
    """Modality → of each run the metrics on "test" with the others absent; empty where a model needs them all."""
    recipe = runs[0].recipe
    if recipe.presence is None or len(recipe.inputs) == 1:
        return {}
    return {modality: [_metrics(run, modality) for run in runs] for modality in recipe.inputs}


def _metrics(run: Run, modality: str) -> dict[str, float]:
    test = run.dataset()["test"]
    inputs = {name: rows if name == modality else np.zeros_like(rows) for name, rows in test.inputs.items()}
    return evaluate(open_artifact(run.model).predict(inputs), test, resamples=0).metrics
