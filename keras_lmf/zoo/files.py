"""The report on every file of every entry, shipped or not: what it answers on the test split, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from keras_lmf.zoo.description import rendered
from keras_lmf.zoo.entry import Entry

# What a smaller file may lose against the Keras model, mean over the seeds, as the share of `Loss`.
BUDGETS = {
    "tflite": 0.001,
    "tflite-float16": 0.001,
    "tflite-dynamic": 0.005,
    "tflite-int8": 0.01,
    "tflite-int8-integer": 0.01,
}


class Loss(NamedTuple):
    """What a file loses against the Keras model.

    Attributes:
        share: of the rows, how many fewer are right; of a regression, by how much the mean absolute error grows.
        unit: of a hundredth of it.
    """

    share: float
    unit: str

    def __str__(self) -> str:
        return f"{100 * self.share:.2f} {self.unit}"


def loss(model: Mapping[str, float], file: Mapping[str, float]) -> Loss:
    """The loss, from metrics of the Keras model and of the file on the same rows.

    >>> print(loss({"war": 0.8}, {"war": 0.75}), "|", loss({"mae": 2.0}, {"mae": 2.5}))
    5.00 points | 25.00 % of the mean absolute error
    """
    if "war" in model:
        share, unit = model["war"] - file["war"], "points"
    else:
        share, unit = file["mae"] / model["mae"] - 1, "% of the mean absolute error"
    return Loss(round(share, 9) + 0.0, unit)  # .8 - .799 is not above .001, and nothing is -0


def budget(format: str) -> float:
    """The most that a file of a format may lose and be shipped; 0 of one that nobody has set it for."""
    return BUDGETS.get(format, 0.0)


def loss_of(entry: Entry, key: str) -> Loss:
    """What one of the entry's files loses, mean over the seeds; over the shipped one where it alone was written."""
    model, file = entry.seeds["weights"], entry.seeds[key]
    if [spread.runs for spread in model.values()] != [file[name].runs for name in model]:
        shipped = ({name: one.value for name, one in entry.metrics[of].items()} for of in ("weights", key))
        return loss(*shipped)
    return loss(*({name: spread.mean for name, spread in of.items()} for of in (model, file)))


def records(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """One record per file: `entry`, `format`, `shipped`, its headline `metric` with `value`, `low`, `high` and `floor`
    (the shipped seed), `loss` and `budget` (shares; a SavedModel has no budget), and the fields of `Cost`."""
    rows = []
    for entry in entries:
        for key, cost in entry.costs.items():
            metric, figure = next(iter(entry.metrics[key].items()))
            rows.append(
                {"entry": entry.name, "format": key, "shipped": key in entry.files, "metric": metric}
                | figure.model_dump()
                | {"loss": loss_of(entry, key).share, "budget": BUDGETS.get(key)}
                | cost.model_dump()
            )
    return rows


def to_csv(entries: Iterable[Entry]) -> str:
    """`records` as CSV."""
    import pandas as pd  # takes a second, which no other page needs

    return pd.DataFrame(records(entries)).to_csv(index=False, float_format="%.6g")


def to_json(entries: Iterable[Entry]) -> str:
    """`records` as JSON, each with the values of all its `metrics`."""
    known = {entry.name: entry for entry in entries}
    told = [
        record
        | {
            "metrics": {
                name: metric.value
                for name, metric in known[record["entry"]].metrics[record["format"]].items()
            }
        }
        for record in records(known.values())
    ]
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_markdown(entries: Iterable[Entry]) -> str:
    """A section per entry with a line per file, and the picture of them."""
    return rendered("every_file", entries=list(entries), loss_of=loss_of, budgets=BUDGETS)
