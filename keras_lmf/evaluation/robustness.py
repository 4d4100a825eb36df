"""How a model's figures fall as its inputs get worse: noise, and modalities that are missing.

Liang et al., MultiBench: Multiscale Benchmarks for Multimodal Representation Learning, NeurIPS Datasets and Benchmarks
2021, section 4.3 and its code `eval_scripts/robustness.py`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm import tqdm

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.evaluation.calibration import expected_calibration_error, softmax
from keras_lmf.evaluation.damage import Arrays, deviation, with_missing, with_noise
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.evaluation.protocols import headline
from keras_lmf.evaluation.report import evaluate
from keras_lmf.evaluation.subsets import only, subsets
from keras_lmf.files import write_atomically, write_text
from keras_lmf.spec import ModelSpec, together

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_lmf.data.dataset import Split

Predict = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]

NOISE = tuple(step / 10 for step in range(10))  # standard deviations
MISSING = tuple(step / 10 for step in range(11))  # shares of the rows
LEVELS = {"noise": NOISE, "missing": MISSING}
ALL = "all"
KEY = ["damage", "modality", "level"]


@dataclass(frozen=True, eq=False)
class Robustness:
    """One model on damaged inputs of one split. `print(robustness)` shows its tables.

    Attributes:
        metric: the protocol of the figures.
        floor: its value for a constant answer, chosen from the training labels.
        draws: a row per `damage` ("noise" or "missing"), `modality` (or "all"), `level` and `draw`: `value`.
        subsets: by the modalities that are there: `value`, `floor`; of a model for classes the expected calibration
            error without a temperature (`ece`), with that of all modalities (`ece_one_temperature`) and with the
            subset's own (`ece_own_temperature`).
        presence: of the model, as of `ModelSpec`.
        baseline: the same of late fusion, or None.
    """

    metric: str
    floor: float
    draws: pd.DataFrame
    subsets: pd.DataFrame
    presence: str
    baseline: Robustness | None = None

    @property
    def curves(self) -> pd.DataFrame:
        """`mean` and `sd` over the draws, by damage, modality and level; `baseline`: the mean of late fusion."""
        groups = self.draws.groupby(KEY, sort=False)["value"]
        table = pd.DataFrame({"mean": groups.mean(), "sd": groups.std(ddof=1)})
        return table if self.baseline is None else table.assign(baseline=self.baseline.curves["mean"])

    @property
    def summary(self) -> pd.DataFrame:
        """By damage and modality: `relative` and `effective` robustness, mean over the draws, and `relative_sd`."""
        rows = {}
        for key, found in self.draws.groupby(KEY[:2], sort=False):
            values = found.pivot(index="level", columns="draw", values="value")
            areas = [relative_robustness(values.index, values[draw]) for draw in values]
            rows[key] = {
                "relative": np.mean(areas),
                "relative_sd": np.std(areas, ddof=1) if len(areas) > 1 else np.nan,
            }
            if self.baseline is not None:
                late = self.baseline.curves["mean"].loc[key].to_numpy()
                rows[key]["effective"] = effective_robustness(values.mean(axis=1), late)
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis(KEY[:2])

    def to_markdown(self) -> str:
        """The summary, the subsets and the curves, with what they mean."""
        effective = (
            ""
            if self.baseline is None
            else " effective: Σ over the levels of f − (late fusion + f(0) − late fusion(0))."
        )
        wide = self.curves["mean"].unstack("level")
        parts = [
            f"{metric_name(self.metric)}, {self.draws['draw'].nunique()} draws; "
            f"a constant answer has {self.floor:.3f}.",
            f"relative: the area under the curve, by the trapezoid rule.{effective}",
            _markdown(self.summary.reset_index()),
            "Each subset of the modalities, the others taken away:",
            _markdown(self.subsets.reset_index()),
            *(
                text
                for damage, levels in LEVELS.items()
                for text in (f"{damage}, mean:", _markdown(wide.loc[damage][list(levels)].reset_index()))
            ),
        ]
        if self.presence != "derived":
            parts.insert(
                1, "This model has no `presence`: it takes the zeros of a missing modality for data."
            )
        return "\n\n".join(parts) + "\n"

    def __str__(self) -> str:
        return self.to_markdown()

    def figure(self, title: str) -> Figure:
        """The curves of `evaluation.study_plots`."""
        from keras_lmf.evaluation import study_plots

        return study_plots.robustness_curves(self.curves, metric_name(self.metric), self.floor, title)

    def save(self, folder: Path | str, title: str) -> Path:
        """Writes `robustness.md`, `.csv` (the curves), `.png`, and `subsets.csv` into `folder`; returns it."""
        from keras_lmf.evaluation import plots

        folder = Path(folder)
        write_atomically(folder / "robustness.csv", self.curves.reset_index().to_csv)
        write_atomically(folder / "subsets.csv", self.subsets.to_csv)
        write_text(folder / "robustness.md", f"# {title}\n\n{self.to_markdown()}")
        plots.save(self.figure(title), folder / "robustness.png")
        return folder


def relative_robustness(levels: Sequence[float], values: Sequence[float]) -> float:
    """The area under the curve of the values over the levels, by the trapezoid rule."""
    return float(np.trapezoid(values, levels))


def effective_robustness(values: Sequence[float], late: Sequence[float]) -> float:
    """Σ over the levels of f(σ) − (LF(σ) + f(0) − LF(0)): what a model f keeps beyond late fusion LF, once both start
    equal. The first level is 0."""
    values, late = np.asarray(values, np.float64), np.asarray(late, np.float64)
    return float(np.sum((values - values[0]) - (late - late[0])))


def measure_robustness(
    predict: Predict,
    spec: ModelSpec,
    split: Split,
    train: Split,
    *,
    metric: str | None = None,
    draws: int = 5,
    title: str = "robustness",
) -> Robustness:
    """The curves of a model over noise and missing modalities, one at a time and all, and its figures on all subsets.

    Noise of level σ is Gaussian with σ times the standard deviation of the training rows' real numbers: of each feature
    by itself; of a waveform or pictures, one deviation for all numbers. (MultiBench adds one number with deviation σ to
    all features of a step, which are standardised there.) What is zero for absence, a masked step, an absent modality,
    the end of a waveform, stays zero. A draw is one direction of the noise, which grows with the level.

    Missing of level p: the share p of the rows, chosen at random, has zeros for the modality; rows that lack it at a
    lower level lack it at a higher one. With all modalities, each loses rows of its own.

    Args:
        predict: any model's, dict of arrays in, dict of logits or values out (`Runtime.predict`).
        spec: what it takes, whether it can do without, and its temperatures.
        split: the rows to judge.
        train: those that noise and floor are measured on.
        metric: a protocol; None: accuracy of classes, `acc2_nonneg` of sentiment, else the first one.
        draws: random draws of noise and of rows.
        title: of the progress bar.

    Raises:
        LMFError: an unknown metric, or no draw.
    """
    if draws < 1:
        raise LMFError(f"'draws' takes 1 or more, received {draws}.")
    # Damage is drawn for all rows at once: what is lazy is read.
    split, train = (
        dataclasses.replace(part, inputs={name: np.asarray(rows) for name, rows in part.inputs.items()})
        for part in (split, train)
    )
    table = evaluate(predict(split.inputs), split, train_labels=train.labels, resamples=0).table
    metric = metric or headline(split.target)
    if metric not in table.index:
        raise unknown_name("metric", metric, table.index)
    value, floor = table.loc[metric, ["value", "floor"]]

    def judged(inputs: Arrays) -> float:
        return evaluate(predict(inputs), split, resamples=0).metrics[metric]

    media = {name: part.media for name, part in spec.inputs.items()}
    deviations = {name: deviation(rows, media.get(name)) for name, rows in train.inputs.items()}
    chosen = [*split.inputs] if len(split.inputs) == 1 else [*split.inputs, ALL]
    places = [
        (damage, name, level, draw)
        for damage, levels in LEVELS.items()
        for name, level, draw in itertools.product(chosen, levels, range(draws))
    ]
    rows = []
    for damage, name, level, draw in tqdm(places, desc=title, delay=2, leave=False, disable=None):
        damaged = list(split.inputs) if name == ALL else [name]
        if damage == "noise":
            inputs = with_noise(split.inputs, damaged, level, deviations, media, draw)
        else:
            inputs = with_missing(split.inputs, damaged, level, draw)
        rows.append((damage, name, level, draw, judged(inputs) if level else value))
    table = pd.DataFrame(rows, columns=[*KEY, "draw", "value"])
    return Robustness(metric, floor, table, _subsets(predict, spec, split, metric, floor), spec.presence)


def against(model: Robustness, late: Robustness) -> Robustness:
    """`model` with late fusion as its baseline.

    Raises:
        LMFError: another metric, other modalities or levels.
    """
    if model.metric != late.metric or not model.curves.index.equals(late.curves.index):
        raise LMFError(
            "The baseline needs the model's metric and modalities: name one that takes the same inputs."
        )
    return dataclasses.replace(model, baseline=late)


def _subsets(predict: Predict, spec: ModelSpec, split: Split, metric: str, floor: float) -> pd.DataFrame:
    def rows() -> Iterator[dict[str, object]]:
        for subset in subsets(split.inputs):
            outputs = predict(only(split.inputs, subset))
            row = {"there": together(subset), "value": evaluate(outputs, split, resamples=0).metrics[metric]}
            row["floor"] = floor
            if split.target.classes:
                temperatures = {"ece": 1.0}
                if spec.temperature:
                    temperatures["ece_one_temperature"] = spec.temperature
                    temperatures["ece_own_temperature"] = spec.temperature_of(subset)
                logits = outputs[split.target.name]
                row |= {
                    name: expected_calibration_error(softmax(logits, temperature), split.labels)
                    for name, temperature in temperatures.items()
                }
            yield row

    return pd.DataFrame(list(rows())).set_index("there")


def _markdown(table: pd.DataFrame) -> str:
    return table.to_markdown(index=False, floatfmt=".3f")
