"""Linear and kernel baselines on the same splits, with scikit-learn: what a fusion network has to beat.

    python benchmarks/baselines.py

CMU-MOSI and POM: ridge regression. RAVDESS and IEMOCAP: support vector machine with a Gaussian kernel. All features
side by side, of a sequence the mean and the deviation. The one setting of each is chosen on "valid"; the row
"within train" is a grouped cross-validation inside "train", which shows what CMU-MOSI's features know of those labels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from comparison import COMPARISONS
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from keras_lmf.data import Split, corpora
from keras_lmf.evaluation import evaluate
from keras_lmf.files import write_text

RESULTS = Path(__file__).parent / "results"
MODELS = {
    "cmu_mosi": [Ridge(alpha) for alpha in (10, 100, 1000, 3000)],
    "ravdess": [SVC(C=c, gamma=g) for c in (1, 3, 10) for g in ("scale", 0.003)],
    "iemocap": [SVC(C=c, class_weight=w) for c in (1, 3, 10) for w in (None, "balanced")],
    "pom": [Ridge(alpha) for alpha in (100, 1000, 3000, 10000)],
}


def features(split: Split) -> np.ndarray:
    """(N, …): the vectors, and mean and deviation over the real steps of the sequences."""
    parts = []
    for name, values in split.inputs.items():
        if values.ndim == 2:
            parts.append(values)
            continue
        # A row without any real step counts as zeros.
        steps = [row[mask] if mask.any() else row for row, mask in zip(values, split.masks[name])]
        parts += [np.array([row.mean(axis=0) for row in steps]), np.array([row.std(axis=0) for row in steps])]
    return np.concatenate(parts, axis=1)


def metrics(predicted: np.ndarray, split: Split) -> dict[str, float]:
    outputs = np.eye(split.target.size)[predicted.astype(int)] if split.target.classes else predicted
    return evaluate(outputs, split, resamples=0).metrics


def rows(corpus: str, fold: int) -> list[dict[str, Any]]:
    data = corpora.load(corpus, **COMPARISONS[corpus].options(fold))
    x = {name: features(data[name]) for name in data.split_names}
    name, more_is_better = COMPARISONS[corpus].criterion
    pipelines = [make_pipeline(StandardScaler(), model) for model in MODELS[corpus]]
    scores = [
        metrics(pipeline.fit(x["train"], data["train"].labels).predict(x["valid"]), data["valid"])[name]
        for pipeline in pipelines
    ]
    best = pipelines[int(np.argmax(scores) if more_is_better else np.argmin(scores))]
    train = data["train"]
    within = cross_val_predict(best, x["train"], train.labels, groups=train.groups, cv=GroupKFold(3))
    both = data.with_validation_in_training()
    answers = {
        ("train", "within train"): (within, train),
        ("train", "valid"): (best.fit(x["train"], train.labels).predict(x["valid"]), data["valid"]),
        ("train", "test"): (best.predict(x["test"]), data["test"]),
        ("train + valid", "test"): (
            best.fit(features(both["train"]), both["train"].labels).predict(x["test"]),
            data["test"],
        ),
    }
    return [
        {"fold": fold, "fitted": fitted, "split": split, **metrics(predicted, rows_of)}
        for (fitted, split), (predicted, rows_of) in answers.items()
    ]


def main() -> None:
    for corpus in MODELS:
        table = pd.DataFrame([row for fold in COMPARISONS[corpus].folds for row in rows(corpus, fold)])
        means = (
            table.groupby(["fitted", "split"], sort=False)[COMPARISONS[corpus].metrics].mean().reset_index()
        )
        print(means.to_string(index=False, float_format="{:.3f}".format))
        write_text(RESULTS / f"{corpus}_baseline.csv", means.to_csv(index=False, float_format="%.6g"))


if __name__ == "__main__":
    main()
