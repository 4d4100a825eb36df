"""The main job on real input: both zoo recipes trained (briefly), exported, and the written files judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_corpora import needs_data
from sklearn.metrics import accuracy_score, mean_absolute_error

import keras_lmf as klmf
from keras_lmf.runtime import open_artifact

ZOO = Path(__file__).parents[1] / "zoo"

pytestmark = [pytest.mark.long, needs_data]


@pytest.mark.parametrize(
    ("entry", "metric", "oracle", "better_than_floor"),
    [
        (
            "lmf-mosi-avt",
            "mae",
            lambda y, p: mean_absolute_error(y, p[:, 0]),
            lambda v, floor: v < floor - 0.1,
        ),
        (
            "lmf-ravdess-av",
            "war",
            lambda y, p: accuracy_score(y, p.argmax(1)),
            lambda v, floor: v > floor + 0.1,
        ),
    ],
)
def test_recipe_to_measured_files(entry, metric, oracle, better_than_floor, tmp_path: Path) -> None:
    recipe = klmf.Recipe.read(ZOO / entry / "recipe.toml").replace(training={"epochs": 4})
    data = klmf.data.load(recipe.corpus.name, **recipe.corpus.options)
    run = klmf.train(recipe, data, tmp_path / "run")
    test = run.dataset()["test"]
    artifacts = klmf.export_model(
        run.model, tmp_path / "exported", evaluation=test, train_labels=data["train"].labels, resamples=0
    )
    assert [artifact.format for artifact in artifacts] == ["saved_model", "tflite"]
    expected = run.model.predict(test.inputs, verbose=0)[recipe.target.name]
    for artifact in artifacts:
        outputs = open_artifact(artifact.path).predict(test.inputs)[recipe.target.name]
        assert np.abs(outputs - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
        assert artifact.metrics[metric] == pytest.approx(oracle(test.labels, outputs), abs=1e-6)
        assert better_than_floor(artifact.metrics[metric], artifact.table.loc[metric, "floor"])
