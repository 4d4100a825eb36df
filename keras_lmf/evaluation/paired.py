"""Several models on the same rows and seeds: means with intervals, and differences with standard errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.evaluation.protocols import protocols
from keras_lmf.evaluation.report import evaluate

if TYPE_CHECKING:
    from keras_lmf.data.dataset import Split


def compare_outputs(
    outputs: Mapping[str, Sequence[np.ndarray]],
    split: Split,
    *,
    metrics: Sequence[str],
    train_labels: np.ndarray,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """The metrics of several models, each trained with the same seeds.

    Intervals and standard errors are those of one bootstrap over rows and seeds at once: a draw has the same rows and
    the same seeds for every model. Of S seeds it takes S − 1, which makes its variance that of a mean of S (Rao & Wu,
    Resampling inference with complex survey data, JASA 1988). So they say how far other rows and another training
    would move a figure; of one seed, other rows alone.

    Args:
        outputs: model → one array of outputs, as `evaluate` takes them, for each seed, in the same order of seeds.
        split: the rows.
        metrics: names of protocols.
        train_labels: for the floor.
        resamples: draws.
        seed: of the draws.

    Returns:
        By (model, metric): `mean`, `sd` over seeds (NaN of one), `low` and `high` of the 95 % interval, `difference` to
        the first model, its `standard_error`, and `floor`.

    Raises:
        LMFError: no model, unequal numbers of seeds, an unknown metric, or as `evaluate`.
    """
    seeds = {len(runs) for runs in outputs.values()}
    if len(seeds) != 1 or 0 in seeds:
        raise LMFError("The models to compare need outputs of the same seeds, one or more each.")
    if resamples < 2:
        raise LMFError(f"'resamples' takes 2 or more, received {resamples}.")
    named = protocols(split.target)
    for name in metrics:
        if name not in named:
            raise unknown_name("metric", name, named)
    reports = [
        [evaluate(run, split, train_labels=train_labels, resamples=0) for run in runs]
        for runs in outputs.values()
    ]
    labels, floors = reports[0][0].labels, reports[0][0].table["floor"]
    chosen, count = [named[name] for name in metrics], seeds.pop()

    def scores(rows: np.ndarray) -> np.ndarray:
        """(models, seeds, metrics)"""
        return np.array(
            [
                [[protocol.score(labels[rows], run.predictions[rows]) for protocol in chosen] for run in runs]
                for runs in reports
            ]
        )

    random, rows = np.random.default_rng(seed), len(labels)
    draws = []
    for _ in range(resamples):
        drawn = scores(random.integers(rows, size=rows))
        draws.append(drawn[:, random.integers(count, size=max(1, count - 1))].mean(axis=1))
    draws, found = np.array(draws), scores(np.arange(rows))
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    errors = (draws - draws[:, :1]).std(axis=0, ddof=1)
    mean = found.mean(axis=1)
    return pd.DataFrame(
        {
            "mean": mean.ravel(),
            "sd": (found.std(axis=1, ddof=1) if count > 1 else np.full_like(mean, np.nan)).ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "difference": (mean - mean[:1]).ravel(),
            "standard_error": errors.ravel(),
            "floor": np.tile(floors[list(metrics)].to_numpy(float), len(outputs)),
        },
        index=pd.MultiIndex.from_product([list(outputs), list(metrics)], names=["model", "metric"]),
    )
