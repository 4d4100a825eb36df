"""export --budget-kb --budget-ms: of smaller models of a run's recipe, the best file that is small and fast enough."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from tqdm import tqdm

from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import evaluate, file_plots, plots
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.evaluation.protocols import ERRORS
from keras_lmf.export import FORMATS, export_model
from keras_lmf.export.artifact import write_report
from keras_lmf.files import write_atomically, write_text
from keras_lmf.models import build, foretold_shapes
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training.checkpoint import NotFiniteLoss
from keras_lmf.training.run import Run
from keras_lmf.training.train import train

DIVISORS = (1, 2, 4, 8)  # of all widths
MOST = 8  # trainings
ALIGNED = ("left", "left", "right", "right", "left", "left")  # columns of the report


class Budget(NamedTuple):
    """What a file may cost.

    Attributes:
        kilobytes: of 1000 bytes; None: as many as it has.
        milliseconds: for one row on one thread of this machine, the median; None: as long as it takes.
    """

    kilobytes: float | None = None
    milliseconds: float | None = None

    @property
    def bytes(self) -> float:
        """Of a file, at most."""
        return math.inf if self.kilobytes is None else 1000 * self.kilobytes

    def holds(self, size: float, milliseconds: float) -> bool:
        """Whether a file of `size` bytes that takes so long is within it."""
        return size <= self.bytes and (self.milliseconds is None or milliseconds <= self.milliseconds)

    def __str__(self) -> str:
        said = [(self.kilobytes, "kB"), (self.milliseconds, "ms")]
        return " and ".join(f"{value:g} {unit}" for value, unit in said if value is not None)


@dataclass(frozen=True, eq=False)
class Choice:
    """What `within_budget` found. `print(choice)` shows it.

    Attributes:
        title: what was looked for, and what chose.
        budget: what the file may cost.
        metric: "war", the accuracy, or of a regression "mae", the mean absolute error.
        table: a row per candidate and format: `candidate`, `format`, `bytes`, `milliseconds`, and of those that were
            trained `value`, `low`, `high` (the metric on "valid" and its 95 % bootstrap interval); `fits`, `chosen`.
        file: the chosen file.
        test: every metric of the chosen file on "test": `value`, `low`, `high`, `floor`.
    """

    title: str
    budget: Budget
    metric: str
    table: pd.DataFrame
    file: Path
    test: pd.DataFrame

    def to_markdown(self) -> str:
        """The chosen file with its figures on "test", then all candidates."""
        row, test = self.table[self.table["chosen"]].iloc[0], self.test.loc[self.metric]
        name = metric_name(self.metric)
        interval = "" if pd.isna(test["low"]) else " [{low:.3f}, {high:.3f}]".format(**test)
        shown = self.table.assign(
            bytes=[f"{size:,}" for size in self.table["bytes"]],
            milliseconds=[f"{time:.3g}" for time in self.table["milliseconds"]],
            value=[
                "not trained" if pd.isna(row.value) else f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
                for row in self.table.itertuples()
            ],
            fits=self.table["fits"].map({True: "yes", False: "no"}),
        ).drop(columns=["low", "high", "chosen"])
        shown = shown.rename(columns={"milliseconds": "ms", "value": f"{name} on valid"})
        return "\n\n".join(
            [
                self.title,
                f"Chosen: {row['candidate']}, {row['format']}: {row['bytes']:,} bytes, {row['milliseconds']:.3g} ms, "
                f"{name} {row['value']:.3f} on valid. On test, which chose nothing: {name} "
                f"{test['value']:.3f}{interval}, floor {test['floor']:.3f}.",
                shown.to_markdown(index=False, disable_numparse=True, colalign=ALIGNED),
            ]
        )

    def __str__(self) -> str:
        return self.to_markdown()

    def save(self, folder: Path) -> Path:
        """Writes `budget.md`, `budget.csv` and `budget.png` into `folder`; returns it."""
        judged = self.table[self.table["value"].notna()]
        names = [f"{row.candidate}, {row.format.removeprefix('tflite-')}" for row in judged.itertuples()]
        figure = file_plots.pareto_fronts(judged.assign(name=names), self.metric, self.budget, self.title)
        plots.save(figure, folder / "budget.png")
        write_atomically(folder / "budget.csv", functools.partial(self.table.to_csv, index=False))
        write_text(folder / "budget.md", f"{self.to_markdown()}\n\n![The candidates](budget.png)\n")
        return folder


def within_budget(run: Run, folder: str | Path, budget: Budget, formats: Sequence[str]) -> Choice:
    """Chooses rank, width and format by what files are measured to be.

    The candidates are the run's own model and smaller ones: the rank of low-rank fusion halved down to 1, with all
    widths of backbones, fusion and head whole and divided by 2, 4 and 8. Each is exported with random weights first,
    which tells its bytes and milliseconds. Those with a file within the budget are trained, the largest first, eight at
    most, and these files are judged on "valid". The run itself is judged as it is, where it was fitted on "train"
    alone. The best file is chosen, of equally good ones the smallest. It alone is judged on "test".

    Args:
        run: whose recipe is made smaller; its corpus has a split "valid".
        folder: receives the chosen file with its sidecar. What is measured and trained is kept in it, so that the same
            call goes on where it was interrupted.
        budget: what the file may cost.
        formats: names of formats. SavedModels take no part.

    Raises:
        LMFError: no "valid", no format of a `.tflite` file, or nothing within the budget, with the nearest; or as
            `train` and `export_model`.
    """
    folder, formats = Path(folder), [name for name in formats if name not in FORMATS or FORMATS[name].rows]
    base = run.recipe.replace(training={"fit_on": "train"})
    data = dataclasses.replace(run, recipe=base).dataset()
    if "valid" not in data.split_names:
        raise LMFError(f"The file is chosen on the split 'valid', and {data.name} has none.")
    if not formats:
        raise LMFError(
            "A budget is for .tflite files: name a format of theirs, for example 'tflite-dynamic'."
        )
    metric = "war" if data.target.classes else "mae"
    table = _measured(run, base, data, folder, budget, formats, metric)
    eligible = table[table["fits"] & table["value"].notna()]
    if eligible.empty:
        nearest = table.loc[table["bytes"].idxmin()]
        raise LMFError(
            f"No candidate is within {budget}. The smallest file is {nearest['candidate']}, {nearest['format']}: "
            f"{nearest['bytes']:,} bytes, {nearest['milliseconds']:.3g} ms; the fastest takes "
            f"{table['milliseconds'].min():.3g} ms. Allow more, or start from a recipe with smaller networks."
        )
    order = eligible.assign(error=eligible["value"] * (1 if metric in ERRORS else -1))
    best = order.sort_values(["error", "bytes"], kind="stable").index[0]
    table["chosen"] = table.index == best
    file = _copied(Path(table.loc[best, "place"]) / FORMATS[table.loc[best, "format"]].file, folder)
    answers = open_artifact(file).predict(data["test"].inputs)
    test = evaluate(answers, data["test"], train_labels=data["train"].labels).table
    title = f"{base.name} on {data.name} within {budget}; {len(data['valid'])} rows of valid chose."
    return Choice(title, budget, metric, table.drop(columns="place"), file, test)


def _measured(
    run: Run, base: Recipe, data: Dataset, folder: Path, budget: Budget, formats: list[str], metric: str
) -> pd.DataFrame:
    """`Choice.table` without `chosen`, but with `place`, the folder of the files: what each candidate costs, and of
    those that were trained, what they are worth."""
    tables: dict[str, pd.DataFrame] = {}
    trained = 0
    for name, recipe in tqdm(_candidates(base).items(), desc="candidates", leave=False, disable=None):
        home, fitting, costs = folder / f"run-{recipe.fingerprint[:12]}", formats, None
        own = run if recipe.fingerprint == run.recipe.fingerprint else None
        if own is None:
            if trained == MOST:
                break
            if _numbers(recipe) >= budget.bytes:  # a number takes a byte or more
                continue
            costs = _costs(folder / "untrained" / home.name, formats, _untrained(recipe, data), metric)
            tables[name] = costs.assign(place=None)
            fitting = [row.Index for row in costs.itertuples() if budget.holds(row.bytes, row.milliseconds)]
            if not fitting:
                continue
            try:
                own, trained = train(recipe, data, home), trained + 1
            except NotFiniteLoss:  # of this candidate: the others go on
                continue
        export = functools.partial(dataclasses.replace(own, data=data).export, evaluation=data["valid"])
        judged = _costs(home / "judged-on-valid", fitting, export, metric).assign(
            place=home / "judged-on-valid"
        )
        tables[name] = judged if costs is None else judged.combine_first(costs)
    if not tables:
        raise LMFError(
            f"Even the smallest candidate has more numbers than {budget} hold. Start from another recipe."
        )
    table = pd.concat(tables, names=["candidate", "format"]).reset_index()
    table["bytes"] = table["bytes"].astype(int)
    table["fits"] = [budget.holds(row.bytes, row.milliseconds) for row in table.itertuples()]
    return table


def _candidates(base: Recipe) -> dict[str, Recipe]:
    """The recipe and smaller ones by what they are called, the widest first, and of one width the highest rank."""
    highest, found = getattr(base.fusion, "rank", None), {}
    ranks = [highest >> halvings for halvings in range(highest.bit_length())] if highest else [None]
    for divisor, rank in itertools.product(DIVISORS, ranks):
        name = "full width" if divisor == 1 else f"1/{divisor} width"
        recipe = base.narrower(divisor)
        if rank:
            name, recipe = f"rank {rank}, {name}", recipe.replace(fusion={"rank": rank})
        if recipe not in found.values():  # a width of 1 is not divided
            found[name] = recipe
    return found


def _numbers(recipe: Recipe) -> float:
    """In all weights of its model; infinity where a width is too small for one of its layers."""
    try:
        return sum(math.prod(shape) for _, shape in foretold_shapes(recipe))
    except LMFError:
        return math.inf


def _untrained(recipe: Recipe, data: Dataset) -> Callable[[Path, list[str]], None]:
    """What writes a model of the recipe with random weights, measures its files and leaves the report alone."""

    def export(folder: Path, formats: list[str]) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            artifacts = export_model(build(recipe), scratch, formats, calibration=data["train"])
        write_report(artifacts, folder)

    return export


def _costs(
    folder: Path, formats: list[str], export: Callable[[Path, list[str]], object], metric: str
) -> pd.DataFrame:
    """By format: `bytes`, `milliseconds`, and `value`, `low`, `high` of the metric where it was judged; from the report
    in the folder, which `export` writes last."""
    path = folder / "report.csv"
    if not path.is_file() or not set(formats) <= set(pd.read_csv(path)["format"]):
        export(folder, formats)
    columns = {
        "latency_p50": "milliseconds",
        metric: "value",
        f"{metric}_low": "low",
        f"{metric}_high": "high",
    }
    found = pd.read_csv(path).rename(columns=columns).set_index("format").loc[formats]
    return found.reindex(columns=["bytes", *columns.values()])


def _copied(file: Path, folder: Path) -> Path:
    """The file and its sidecar in `folder`, in the place of an earlier choice."""
    for before in folder.glob("model*.tflite*"):
        before.unlink()
    for source in file.parent.glob(f"{file.name}*"):
        write_atomically(folder / source.name, functools.partial(shutil.copyfile, source))
    return folder / file.name
