"""Several runs side by side: mean and deviation over seeds, and the difference of two sets of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from keras_lmf.errors import LMFError


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
