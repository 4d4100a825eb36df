"""The figures of an entry: what was measured of it, field by field."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from keras_lmf.records import Count
from keras_lmf.spec import Spec, SubsetTemperatures, Temperature
from keras_lmf.target import Text

if TYPE_CHECKING:
    import pandas as pd


class Metric(Spec):
    """A metric of a file on the test split, its 95 % bootstrap interval, and the floor (a constant prediction)."""

    value: float
    low: float | None = None
    high: float | None = None
    floor: float | None = None


class Cost(Spec):
    """What a written file costs: size, distance to the Keras model on the test split, time and memory for one row.

    Attributes:
        bytes: size.
        compressed_bytes: the same as DEFLATE packs it.
        difference_max, difference_mean: to the Keras model's outputs.
        agreement: the share of rows in which the file names the Keras model's class.
        latency_p50_ms, latency_p95_ms: for one row on one thread.
        latency_p50_ms_two_threads, latency_p95_ms_two_threads: on two threads.
        peak_mib: the most memory that a process held which did nothing else, framework and all.

    What is None was not measured when the entry was written.
    """

    bytes: Count
    compressed_bytes: Count | None = None
    difference_max: Annotated[float, Field(ge=0)]
    difference_mean: Annotated[float, Field(ge=0)]
    agreement: Annotated[float, Field(ge=0, le=1)] | None = None
    latency_p50_ms: Annotated[float, Field(ge=0)]
    latency_p95_ms: Annotated[float, Field(ge=0)]
    latency_p50_ms_two_threads: Annotated[float, Field(ge=0)] | None = None
    latency_p95_ms_two_threads: Annotated[float, Field(ge=0)] | None = None
    peak_mib: Annotated[float, Field(ge=0)] | None = None

    @property
    def nearness(self) -> tuple[float, float]:
        """How near it is to the Keras model: of two files the greater is nearer."""
        return self.agreement or 0.0, -self.difference_mean


class Spread(Spec):
    """A metric over several trainings: mean, standard deviation, number of runs."""

    mean: float
    sd: Annotated[float, Field(ge=0)]
    runs: Count


class Enrolled(Spec):
    """A metric of the models of a `LeftOut` with so many clips of each row's speaker enrolled.

    Attributes:
        clips: of the speaker, drawn at random.
        others: models that never met the corpus.
        all: models that did.
    """

    clips: Count
    others: Spread
    all: Spread


class LeftOut(Spec):
    """A metric on the test split of one corpus: of models that were trained on the others alone, and of models that
    were trained on it too; and the floor, a constant answer chosen from the others' training labels.

    Attributes:
        others: models that never met the corpus.
        all: models that did; the within-corpus figure.
        rows: of the test split that were judged.
        without: classes of the corpus that the others lack; their rows were not judged.
        enrolled: the same models with clips of the speaker enrolled; None: not measured.
        enrolled_rows: how many were judged so; None as `enrolled`.
        speakers_left_out: who have too few clips to be enrolled; None as `enrolled`.
    """

    others: Spread
    all: Spread
    floor: float
    rows: Count
    without: tuple[Text, ...] = ()
    enrolled: tuple[Enrolled, ...] | None = None
    enrolled_rows: Count | None = None
    speakers_left_out: Annotated[int, Field(ge=0)] | None = None


class Calibration(Spec):
    """Temperature scaling (Guo et al. 2017) fitted on `rows` rows of `split`, which also says who answered about them;
    and, on the test split, the expected calibration error and the mean negative log-likelihood in nats before and after
    dividing the logits by it. A perfectly calibrated model stays below `ece_quantile` in 95 of 100 test splits of that
    size; None: unknown."""

    temperature: Temperature
    subset_temperatures: SubsetTemperatures = None
    ece_before: Annotated[float, Field(ge=0, le=1)]
    ece_after: Annotated[float, Field(ge=0, le=1)]
    ece_quantile: Annotated[float, Field(ge=0, le=1)] | None = None
    nll_before: Annotated[float, Field(ge=0)]
    nll_after: Annotated[float, Field(ge=0)]
    split: Text
    rows: Count


def metric_block(table: pd.DataFrame) -> dict[str, Metric]:
    """The metrics of one file from `Report.table`; an interval or a floor that is NaN there is left out."""
    rows = table[["value", "low", "high", "floor"]].astype(float).to_dict(orient="index")
    return {
        str(name): Metric(**{field: number for field, number in row.items() if not math.isnan(number)})
        for name, row in rows.items()
    }
