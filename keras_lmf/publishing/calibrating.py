"""The temperature of an entry that media files can ask, and what it is worth."""

from __future__ import annotations

from pathlib import Path

from keras_lmf.data import Dataset
from keras_lmf.evaluation.calibration import (
    expected_calibration_error,
    negative_log_likelihood,
    softmax,
)
from keras_lmf.runtime import open_artifact
from keras_lmf.training import Run, train
from keras_lmf.zoo import Calibration


def calibration_of(run: Run, data: Dataset, work: Path) -> Calibration | None:
    """Of a model that media files can ask; its temperature is that of a twin, where it left nothing to validate on."""
    recipe = run.recipe
    asked = recipe.target.classes and any(part.media for part in recipe.inputs.values())
    if not asked or "valid" not in data.split_names:
        return None
    twin = run
    if recipe.training.fit_on != "train":
        twin = train(recipe.replace(training={"fit_on": "train"}), data, work / "twin")
    test = data["test"]
    logits = open_artifact(run.model).predict(test.inputs)[recipe.target.name]
    before, after = (softmax(logits, temperature) for temperature in (1, twin.temperature))
    return Calibration(
        temperature=twin.temperature,
        ece_before=expected_calibration_error(before, test.labels),
        ece_after=expected_calibration_error(after, test.labels),
        nll_before=negative_log_likelihood(logits, test.labels),
        nll_after=negative_log_likelihood(logits, test.labels, twin.temperature),
        split="valid" if twin is run else "valid, by a twin that was trained on train alone",
        rows=int((data.splits == "valid").sum()),
    )
