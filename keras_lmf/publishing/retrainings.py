"""Runs that are trained once, and figures over several trainings; those of other protocols lie as tables beside an
entry's recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from keras_lmf.data import Dataset
from keras_lmf.evaluation import summarise
from keras_lmf.recipe import Recipe
from keras_lmf.recipe.runs import ENVIRONMENT
from keras_lmf.training import Run, train
from keras_lmf.training.checkpoint import read_progress
from keras_lmf.training.enrolled import CLIPS
from keras_lmf.training.left_out import CSV as LEFT_OUT
from keras_lmf.training.run import STATE, fitting
from keras_lmf.zoo import Enrolled, LeftOut, Spread

FOLDS = "cross_validation.csv"
EXPERTS = "experts.csv"


def trained(recipe: Recipe, data: Dataset, folder: Path) -> Run:
    """The finished run of this recipe on these data in `folder`, whatever backend it ran on; else it is trained."""
    if (folder / STATE).is_file() and (folder / ENVIRONMENT).is_file():
        run = Run(folder, recipe, data)
        facts = run.environment
        same = (facts.get("recipe"), facts.get("data")) == (
            recipe.fingerprint,
            fitting(recipe, data).fingerprint,
        )
        if same and read_progress(folder / STATE).finished:
            return run
    return train(recipe, data, folder)


def spreads(rows: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Metric → its mean and deviation over trainings, each of which is a row of metrics."""
    table = summarise(rows)
    return {
        str(name): Spread(mean=row["mean"], sd=row["sd"] if len(rows) > 1 else 0, runs=len(rows))
        for name, row in table.iterrows()
    }


def cross_validation(folder: Path) -> dict[str, Spread]:
    """What `cross_validation.csv` in the folder says, a row for each fold; empty where there is none."""
    if not (folder / FOLDS).is_file():
        return {}
    return spreads(pd.read_csv(folder / FOLDS).drop(columns="fold").to_dict("records"))


def experts(folder: Path) -> dict[str, dict[str, Spread]]:
    """What `experts.csv` in the folder says (`benchmarks/alone.py`): models of one modality each, and their product."""
    if not (folder / EXPERTS).is_file():
        return {}
    table = pd.read_csv(folder / EXPERTS)
    found = {}
    for (model, there), rows in table[table["model"] != "fused"].groupby(["model", "there"], sort=False):
        name = model if there == "all" else f"{there}, {model}"
        found[name] = spreads(rows.drop(columns=["model", "there", "seed", "nll"]).to_dict("records"))
    return found


def left_out(folder: Path) -> dict[str, dict[str, LeftOut]]:
    """What `leave_one_corpus_out.csv` in the folder says (`LeaveOneCorpusOut.save`); empty where there is none."""
    if not (folder / LEFT_OUT).is_file():
        return {}
    found: dict[str, dict[str, LeftOut]] = {}
    table = pd.read_csv(folder / LEFT_OUT, keep_default_na=False, dtype={"without": str, "corpus": str})
    for (corpus, metric), rows in table.groupby(["corpus", "metric"], sort=False):
        found.setdefault(corpus, {})[metric] = LeftOut(
            others=_spread(rows, "others"),
            all=_spread(rows, "all"),
            floor=_spread(rows, "floor").mean,
            rows=int(rows["rows"].iloc[0]),
            without=tuple(filter(None, rows["without"].iloc[0].split(", "))),
            **_enrolled(rows),
        )
    return found


def _enrolled(rows: pd.DataFrame) -> dict[str, object]:
    """The fields of `LeftOut` on enrolled speakers, where the table has them."""
    # Empty where no speaker of the corpus could be enrolled.
    filled = {column for column in rows if (rows[column] != "").all()}
    enrolled = tuple(
        Enrolled(
            clips=clips,
            others=_spread(rows, f"others_enrolled_{clips}"),
            all=_spread(rows, f"all_enrolled_{clips}"),
        )
        for clips in CLIPS
        if f"others_enrolled_{clips}" in filled
    )
    if not enrolled:
        return {}
    counts = {name: int(rows[name].iloc[0]) for name in ("enrolled_rows", "speakers_left_out")}
    return {"enrolled": enrolled} | counts


def _spread(rows: pd.DataFrame, column: str) -> Spread:
    return spreads(rows[[column]].astype(float).to_dict("records"))[column]
