"""compare: several recipes on one corpus, each trained with several seeds, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import plots, study_plots
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.evaluation.paired import compare_outputs
from keras_lmf.evaluation.protocols import headline, protocols
from keras_lmf.export import latency
from keras_lmf.files import write_atomically, write_text
from keras_lmf.locate import WEIGHTS
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training.train import train

SHOWN = ("war", "uar", "f1_macro", "acc2_nonneg", "mae", "pearson")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found. `print(comparison)` shows it.

    Attributes:
        title: what was compared on which split, over how many seeds.
        metric: the first of the metrics, which the plot shows.
        costs: by model: `parameters`; `weights_bytes`, of the weights' file in float32; `milliseconds`, the median for
            one row of input in Keras on this machine.
        metrics: as of `evaluation.paired.compare_outputs`.
    """

    title: str
    metric: str
    costs: pd.DataFrame
    metrics: pd.DataFrame

    def to_markdown(self) -> str:
        """A row per model: what it costs, mean ± sd [interval], and the difference to the first ± standard error."""
        lines, models = [], list(self.costs.index)
        for model, cost in self.costs.iterrows():
            line = {"model": model} | {name: f"{number:,.4g}" for name, number in cost.items()}
            line |= {name: f"{int(cost[name]):,}" for name in ("parameters", "weights_bytes")}
            for metric, row in self.metrics.loc[model].rename(index=metric_name).iterrows():
                line[metric] = "{mean:.3f} ± {sd:.3f} [{low:.3f}, {high:.3f}]".format(**row).replace(
                    " ± nan", ""
                )
                if model != models[0]:
                    line[f"Δ {metric}"] = "{difference:+.3f} ± {standard_error:.3f}".format(**row)
            lines.append(line)
        floors = self.metrics.loc[models[0], "floor"].rename(metric_name).map("{:.3f}".format).to_dict()
        table = pd.DataFrame([*lines, {"model": "constant answer"} | floors]).fillna("–")
        return f"{self.title}\n\n{table.to_markdown(index=False, disable_numparse=True)}"

    def __str__(self) -> str:
        return self.to_markdown()

    def save(self, folder: Path) -> Path:
        """Writes `comparison.md`, `costs.csv`, `metrics.csv` and `comparison.png` into `folder`; returns it."""
        found = self.metrics.xs(self.metric, level="metric").rename(columns={"mean": "value"})
        figure = study_plots.metric_against_parameters(
            self.costs.join(found), metric_name(self.metric), found["floor"].iloc[0], self.title
        )
        write_atomically(folder / "costs.csv", self.costs.to_csv)
        write_atomically(folder / "metrics.csv", self.metrics.to_csv)
        write_text(folder / "comparison.md", f"{self.to_markdown()}\n")
        plots.save(figure, folder / "comparison.png")
        return folder


def compare(
    recipes: Sequence[Recipe],
    data: Dataset,
    folder: str | Path,
    *,
    seeds: int = 5,
    split: str = "test",
    metrics: Sequence[str] = (),
    resamples: int = 1000,
) -> Comparison:
    """Trains each recipe with the seeds 0, 1, …, and judges all on the same rows.

    Each training is a run in `folder`, named after recipe and seed. Called again, it goes on where it was interrupted;
    a finished run is not trained again. The settings of each model are its recipe's: nothing is chosen here.

    Args:
        recipes: of one target, with different names; differences are to the first.
        data: their corpus.
        folder: for the runs.
        seeds: how many.
        split: that is judged.
        metrics: names of protocols; none: the usual ones of the task.
        resamples: of the bootstrap.

    Raises:
        LMFError: no recipe or seed, two recipes of one name, or as `train` and `compare_outputs`.
    """
    names = [recipe.name for recipe in recipes]
    if not names or len(set(names)) != len(names):
        raise LMFError(f"compare takes recipes with different names, received {', '.join(names) or 'none'}.")
    if seeds < 1:
        raise LMFError(f"'seeds' takes 1 or more, received {seeds}.")
    known = protocols(data.target)
    first = headline(data.target)
    metrics = list(metrics) or [first, *(name for name in SHOWN if name in known and name != first)]
    outputs, costs = {name: [] for name in names}, {}
    jobs = [(recipe, seed) for seed in range(seeds) for recipe in recipes]
    for recipe, seed in tqdm(jobs, desc="compare", unit="run", delay=2, leave=False, disable=None):
        run = train(recipe.replace(seed=seed), data, Path(folder) / f"{recipe.name}-seed-{seed}")
        runtime, test = open_artifact(run.model), run.data[split]
        outputs[recipe.name].append(runtime.predict(test.inputs)[data.target.name])
        if recipe.name not in costs:
            row = {name: values[:1] for name, values in test.inputs.items()}
            costs[recipe.name] = {
                "parameters": run.model.count_params(),
                "weights_bytes": (run.folder / WEIGHTS).stat().st_size,
                "milliseconds": latency.measure(lambda runtime=runtime, row=row: runtime.predict(row))["p50"],
            }
    found = compare_outputs(
        outputs, data[split], metrics=metrics, train_labels=data["train"].labels, resamples=resamples
    )
    title = f"{data.name}, {split}, {len(data[split])} rows, {seeds} seed{'s' if seeds > 1 else ''}"
    table = pd.DataFrame.from_dict(costs, orient="index").rename_axis("model")
    return Comparison(title, metrics[0], table, found)


def with_fusions(recipe: Recipe, fusions: Sequence[str]) -> list[Recipe]:
    """The recipe with each of the fusions, its own settings kept where the word is its own."""
    return [recipe.replace(name=f"{recipe.name}-{word}", fusion={"name": word}) for word in fusions]
