"""Predictions in, a table of named numbers out: values, bootstrap intervals and floors. Several runs side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.evaluation.protocols import protocols
from keras_lmf.files import write_atomically, write_text
from keras_lmf.target import Target

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_lmf.data.dataset import Split

LARGEST = float(np.finfo(np.float32).max)  # what a model can put out; its square is still finite in float64


@dataclass(frozen=True, eq=False)
class Report:
    """The numbers of one model on one split. `print(report)` shows them.

    Attributes:
        split: name of the split.
        target: what was predicted.
        labels: (N,) true class integers, or (N, *target.label_shape) values.
        predictions: shaped as `labels`: predicted class integers (the largest logit, the first of equals), or
            values.
        resamples: bootstrap resamples behind `low` and `high`.
        seed: of the bootstrap.
        table: a row per protocol (see `protocols.py`), columns `value`, `low`, `high`, `floor`.
    """

    split: str
    target: Target
    labels: np.ndarray
    predictions: np.ndarray
    resamples: int
    seed: int
    table: pd.DataFrame

    @property
    def metrics(self) -> dict[str, float]:
        """Protocol -> value."""
        return {name: float(value) for name, value in self.table["value"].items()}

    def to_markdown(self) -> str:
        """A caption and the table in readers' words, three decimals; "–" where there is no interval or no floor."""
        kind = f"{self.target.size} classes" if self.target.classes else f"in {list(self.target.range)}"
        if self.target.dimensions:
            kind += f", means over {self.target.size} dimensions"
        caption = f"`{self.target.name}` ({kind}) on `{self.split}`, {len(self.labels)} rows"
        if self.resamples:
            caption += f"; low and high: 95 % bootstrap interval over rows, {self.resamples} resamples"
        caption += "; floor: a constant prediction chosen from the training labels."
        cells = self.table.map(lambda value: "–" if np.isnan(value) else f"{value:.3f}")
        cells = cells.rename(index=metric_name).rename_axis("metric")
        columns = ["right"] * len(cells.columns)
        return f"{caption}\n\n{cells.to_markdown(disable_numparse=True, colalign=['left', *columns])}"

    def __str__(self) -> str:
        return self.to_markdown()

    def figure(self) -> Figure:
        """Of classes the metrics in order and the confusion matrix; predicted against true for regression."""
        from keras_lmf.evaluation import plots

        title = f"{self.target.name} on {self.split}"
        if self.target.classes:
            answers = self.labels, self.predictions, self.target.classes
            return plots.classification(self.table, *answers, title)
        return plots.predicted_against_true(
            self.labels, self.predictions, self.target.range, title, self.target.dimensions
        )

    def save(self, folder: Path | str) -> Path:
        """Write `report.csv`, `report.json` and `report.png` into `folder` (made if missing), atomically.

        In the JSON a number that does not exist (no interval, no floor) is null.

        Returns:
            the folder.
        """
        from keras_lmf.evaluation import plots

        folder = Path(folder)
        rows = self.table.astype(object).where(self.table.notna(), None).to_dict(orient="index")
        facts = {
            "split": self.split,
            "target": self.target.model_dump(mode="json", exclude_none=True),
            "rows": len(self.labels),
            "resamples": self.resamples,
            "seed": self.seed,
            "metrics": rows,
        }
        write_atomically(folder / "report.csv", self.table.to_csv)
        write_text(
            folder / "report.json", json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        )
        plots.save(self.figure(), folder / "report.png")
        return folder


def evaluate(
    predictions: Mapping[str, np.ndarray] | np.ndarray,
    split: Split,
    *,
    train_labels: np.ndarray | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Report:
    """Judge raw model outputs by every protocol that applies to the split's target.

    Args:
        predictions: (N, K) logits or probabilities for K classes, (N, K) values for K dimensions, (N, 1) or (N,)
            values for regression of one number; or a model's dict of outputs that holds the target's name.
        split: the labels, in the order of the predictions.
        train_labels: labels of the training split, for the column `floor`: the score of a constant
            prediction. It is the most frequent class; for regression it is the train mean for `mae`, `rmse`,
            `pearson` and `concordance`, the most frequent step for `acc5` and `acc7`, and for all other
            protocols ±1 with the most frequent sign (≥ 0 or < 0; for `acc2_nonzero` among the non-zero).
            Without `train_labels` the floor is NaN.
        resamples: bootstrap resamples (rows drawn with replacement) for `low` and `high`, the 2.5th and the
            97.5th percentile. Rows count as independent: with few speakers the true interval is wider.
            With 0 resamples the interval is NaN.
        seed: of the bootstrap.

    Raises:
        LMFError: no rows, another length or width, a missing output, or a prediction that is not a finite
            number (the message names row and id).
    """
    target = split.target
    for name, number in (("resamples", resamples), ("seed", seed)):
        if not isinstance(number, Integral) or number < 0:
            raise LMFError(f"{name} must be 0 or more, received {number!r}: give an integer.")
    values = _checked_predictions(predictions, split)
    labels = _checked_labels(split.labels, target, f"labels of split {split.name!r}")
    predicted = values.argmax(axis=1) if target.classes else values.reshape(labels.shape)
    named = protocols(target)

    def scores(rows: np.ndarray) -> list[float]:
        return [protocol.score(labels[rows], predicted[rows]) for protocol in named.values()]

    table = pd.DataFrame({"value": scores(np.arange(len(labels)))}, index=pd.Index(named, name="protocol"))
    table[["low", "high", "floor"]] = np.nan
    if resamples:
        random = np.random.default_rng(seed)
        draws = [scores(random.integers(len(labels), size=len(labels))) for _ in range(resamples)]
        table["low"], table["high"] = np.percentile(draws, [2.5, 97.5], axis=0)
    if train_labels is not None:
        train = _checked_labels(train_labels, target, "train_labels")
        constants = [np.full_like(labels, protocol.constant(train)) for protocol in named.values()]
        table["floor"] = [protocol.score(labels, p) for protocol, p in zip(named.values(), constants)]
    return Report(split.name, target, labels, predicted, int(resamples), int(seed), table)


def summarise(reports: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """Mean and standard deviation of every metric over seeds or folds.

    Args:
        reports: one `Report.metrics` per seed or fold, all with the same names.

    Returns:
        a table indexed by protocol: `mean`, `sd` (sample deviation, n − 1; NaN for a single run), `runs`.

    Raises:
        LMFError: no report, or reports with different metrics.
    """
    table = _stack(reports, "reports")
    return pd.DataFrame(
        {"mean": table.mean(skipna=False), "sd": table.std(ddof=1, skipna=False), "runs": len(table)}
    )


def paired_difference(a: Sequence[Mapping[str, float]], b: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """Mean of a − b over seeds or folds, metric by metric, with its standard error.

    Args:
        a: one `Report.metrics` per seed or fold.
        b: as many, in the same order: `a[i]` and `b[i]` share seed or fold i.

    Returns:
        a table indexed by protocol: `difference`, `standard_error` (sd of the differences / √pairs; NaN for a
        single pair), `pairs`. Folds share training data, so over folds the error is a lower bound.

    Raises:
        LMFError: nothing to compare, unequal numbers of runs or different metrics.
    """
    first, second = _stack(a, "a"), _stack(b, "b")
    if len(first) != len(second) or set(first) != set(second):
        raise LMFError(
            f"paired_difference needs the same runs and metrics on both sides, received {len(first)} runs of "
            f"{', '.join(first)} and {len(second)} runs of {', '.join(second)}."
        )
    difference = first - second[first.columns]
    return pd.DataFrame(
        {
            "difference": difference.mean(skipna=False),
            "standard_error": difference.sem(ddof=1, skipna=False),
            "pairs": len(difference),
        }
    )


def _checked_predictions(predictions: Mapping[str, np.ndarray] | np.ndarray, split: Split) -> np.ndarray:
    """The target's predictions as finite float64 (N, target.size)."""
    target, rows = split.target, len(split.labels)
    if isinstance(predictions, Mapping):
        if target.name not in predictions:
            outputs = ", ".join(predictions) or "none"
            raise LMFError(f"No predictions for target {target.name!r}; the outputs received are: {outputs}.")
        predictions = predictions[target.name]
    values = _numbers(predictions, f"predictions for {target.name!r}")
    if values.ndim == 1 and target.classes is None and target.dimensions is None:
        values = values[:, None]
    if values.shape != (rows, target.size):
        width = "a logit per class" if target.classes else "one value"
        if target.dimensions:
            width = "a value per dimension"
        raise LMFError(
            f"The predictions for {target.name!r} must have shape {(rows, target.size)}: the rows of split "
            f"{split.name!r}, {width}. Received {values.shape}."
        )
    bad = np.flatnonzero(~(np.abs(values) <= LARGEST).all(axis=1))
    if len(bad):
        row = bad[0]
        raise LMFError(
            f"The prediction for {target.name!r} in row {row} (id {str(split.ids[row])!r}) of split "
            f"{split.name!r} is not finite in float32: {values[row].tolist()}. {len(bad)} of {rows} "
            "rows are so: look at their inputs, or whether the training diverged."
        )
    return values


def _checked_labels(labels: np.ndarray, target: Target, what: str) -> np.ndarray:
    """`labels` as a non-empty (N, *target.label_shape) array: int64 classes of `target`, or finite float64."""
    values = _numbers(labels, what)
    if values.ndim == 0 or values.shape[1:] != target.label_shape or len(values) == 0:
        each = "one label" if target.dimensions is None else f"the {target.size} dimensions' values"
        raise LMFError(f"The {what} must be one or more rows of {each}, received shape {values.shape}.")
    good = np.isin(values, np.arange(target.size)) if target.classes else np.abs(values) <= LARGEST
    if not good.all():
        allowed = f"class integers 0 … {target.size - 1}" if target.classes else "finite numbers"
        place = tuple(np.argwhere(~good)[0])
        raise LMFError(f"The {what} must be {allowed}, received {values[place]:g} in row {place[0]}.")
    return values.astype(np.int64 if target.classes else np.float64)


def _numbers(values: np.ndarray, what: str) -> np.ndarray:
    try:
        return np.asarray(values).astype(np.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # RuntimeError: a torch tensor's
        raise LMFError(f"The {what} are not an array of numbers: {error}.") from error


def _stack(reports: Sequence[Mapping[str, float]], what: str) -> pd.DataFrame:
    """One row per report, one column per metric."""
    if not reports:
        raise LMFError(f"{what} is empty: give the metrics of one run or more.")
    for i, report in enumerate(reports):
        if not isinstance(report, Mapping):
            raise LMFError(
                f"{what}[{i}] must be the metrics of a run by name (`report.metrics`), received a "
                f"{type(report).__name__}."
            )
        if set(report) != set(reports[0]):
            odd = ", ".join(sorted(set(report) ^ set(reports[0])))
            raise LMFError(
                f"{what}[{i}] and {what}[0] differ in their metrics: {odd}. Compare runs of one target."
            )
    table = pd.DataFrame([dict(report) for report in reports]).rename_axis(columns="protocol")
    try:
        return table.astype(float)
    except (TypeError, ValueError) as error:
        raise LMFError(f"The metrics of {what} must be numbers: {error}.") from error
