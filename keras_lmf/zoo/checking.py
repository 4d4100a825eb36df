"""Whether a new training of an entry's recipe gives what the entry says."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from keras_lmf.errors import LMFError
from keras_lmf.zoo.entry import Entry

# The quantile t(0.975) of Student's distribution with 1 … 9 degrees of freedom, from its usual table (as
# scipy.stats.t.ppf gives it). For more than ten seeds the last one is a little wide.
T = (12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157)
SMALLEST = 1e-3  # half an interval, where the seeds hardly differ


def new_seed(entry: Entry) -> int:
    """A seed that the entry's n trainings, with the seeds 0 … n − 1, didn't have.

    Raises:
        LMFError: the entry has no figures over at least two seeds, so there is nothing to compare with.
    """
    runs = [spread.runs for spread in entry.seeds.get("weights", {}).values()]
    if not runs or min(runs) < 2:
        raise LMFError(f"The zoo entry {entry.name!r} has no figures over several seeds to compare with.")
    return max(runs)


def compare(metrics: Mapping[str, float], entry: Entry) -> pd.DataFrame:
    """The test metrics of a new training beside those of the entry's seeds.

    Returns:
        a table indexed by metric, the task's main one first: `value` (of the new training), `mean` and `sd` (over
        the n seeds), `low` and `high` (mean ± t · sd · √(1 + 1/n), in which a further seed lies with 95 %
        probability), `agrees` (it does).
    """
    rows = {}
    spreads = entry.seeds["weights"]
    for name in (name for name in metrics if name in spreads):
        value, spread = metrics[name], spreads[name]
        half = T[min(spread.runs - 1, len(T)) - 1] * spread.sd * math.sqrt(1 + 1 / spread.runs)
        low, high = spread.mean - max(half, SMALLEST), spread.mean + max(half, SMALLEST)
        rows[name] = {"value": value, "mean": spread.mean, "sd": spread.sd, "low": low, "high": high}
        rows[name]["agrees"] = low <= value <= high
    if not rows:
        raise LMFError(
            f"The zoo entry {entry.name!r} has figures of {', '.join(spreads)}, not of {', '.join(metrics)}."
        )
    return pd.DataFrame.from_dict(rows, orient="index")
