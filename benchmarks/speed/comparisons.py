"""The speed tables' rows: whole networks, and the fusion alone by modalities and by rank."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from keras_lmf.layers import TensorFusion
from keras_lmf.models import load_published
from speed import keras_networks
from speed.keras_networks import as_tensor_fusion, low_rank_layer
from speed.processes import conversation
from speed.published import (
    EMBEDDINGS,
    INFERENCE,
    LOW_RANK,
    OURS,
    PRODUCTS,
    REFERENCE_RANK,
    TENSOR,
    TORCH,
    TRAINING,
    example,
    published_arrays,
)
from speed.turns import Step, Turn, ratio, take_turns

PHASES = (TRAINING, INFERENCE)
TF_FUNCTION, XLA, EAGER = "tf.function", "tf.function, XLA", "eager"
COMPILED = (TF_FUNCTION, XLA)

# Of the fusion alone.
MODALITIES, WIDTHS, UNITS = (2, 3, 4, 5), (2, 4, 8, 16, 32), 64

# Kumar & Martin, Table 4, inferences per second; machine, batch and widths are not stated there.
PUBLISHED = {(TENSOR, TRAINING): 321.67, (TENSOR, INFERENCE): 1138.33,
             (LOW_RANK, TRAINING): 1153.54, (LOW_RANK, INFERENCE): 2232.82}  # fmt: skip


# -- whole networks: the reference paper's Table 4, with each contender named --------------------------------
@dataclass(frozen=True)
class Contender:
    """One column of the turns: whose code, which fusion, its rank (0 where there is none), how it is compiled."""

    code: str
    fusion: str
    rank: int
    compiled: str


TORCH_LOW_RANK = Contender(TORCH, LOW_RANK, REFERENCE_RANK, EAGER)
TORCH_TENSOR = Contender(TORCH, TENSOR, 0, EAGER)
TORCH_PRODUCTS = Contender(TORCH, PRODUCTS, 0, EAGER)


def reference(compiled: str) -> Contender:
    return Contender(OURS, LOW_RANK, REFERENCE_RANK, compiled)


def contenders(ranks: Sequence[int]) -> list[Contender]:
    """Ours."""
    fusions = [*((LOW_RANK, rank) for rank in ranks), (TENSOR, 0)]
    return [Contender(OURS, *fusion, compiled) for fusion in fusions for compiled in COMPILED]


def step(contender: Contender, phase: str, batch: int) -> Step:
    """One step of `batch` samples of a network of ours."""
    inputs, labels = example(batch)
    model = load_published(published_arrays(contender.fusion, contender.rank))
    xla = contender.compiled == XLA
    if phase == TRAINING:
        return keras_networks.training_step(model, inputs, labels, xla=xla)
    return keras_networks.inference_step(model, inputs, xla=xla)


@contextlib.contextmanager
def rivals(phase: str, batch: int, against: str | None) -> Iterator[dict[Contender, Turn]]:
    """PyTorch's turns, in a process of its own. Its batch normalisation can't train on a single row."""
    if against is None or (phase == TRAINING and batch == 1):
        yield {}
        return
    by_fusion = {found.fusion: found for found in (TORCH_LOW_RANK, TORCH_TENSOR, TORCH_PRODUCTS)}
    what = f"PyTorch's {phase} at batch {batch}"
    with conversation(what, "speed.torch_networks", phase, batch) as ask:

        def turn(fusion: str, count: int) -> dict[str, float]:
            return ask([fusion, count])

        yield {by_fusion[fusion]: functools.partial(turn, fusion) for fusion in ask()}


def measure_networks(
    phase: str, batch: int, ranks: Sequence[int], against: str | None, **turns: Any
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the table of speeds, and rows of the ratios that matter, of one phase at one batch size.

    In the first, `ratio` is a contender's CPU time over that of low-rank fusion, rank 4, as a plain tf.function.
    """
    steps = {contender: step(contender, phase, batch) for contender in contenders(ranks)}
    with rivals(phase, batch, against) as elsewhere:
        times = take_turns(steps, elsewhere=elsewhere, **turns)
    cell = {"phase": phase, "batch": batch}
    speeds = [
        {
            **ratio(times["cpu"], contender, reference(TF_FUNCTION)),
            **cell,
            **vars(contender),
            "samples_per_cpu_second": batch * 1e3 / times["cpu"][contender].median(),
            "samples_per_second": batch * 1e3 / times["wall"][contender].median(),
            "cpu_ms": times["cpu"][contender].median(),
            "wall_ms": times["wall"][contender].median(),
        }
        for contender in times["cpu"]
    ]
    return speeds, [{**row, **cell} for row in _ratios(times["cpu"], phase)]


def _ratios(times: pd.DataFrame, phase: str) -> list[dict[str, Any]]:
    """How many times as many samples per CPU second the first of a pair does, in the same turn."""
    published = PUBLISHED[LOW_RANK, phase] / PUBLISHED[TENSOR, phase]
    pairs = [
        ("low-rank ÷ tensor", Contender(OURS, TENSOR, 0, compiled), reference(compiled), compiled, published)
        for compiled in COMPILED
    ]
    if TORCH_LOW_RANK in times:
        pairs += [
            ("low-rank: keras-lmf ÷ PyTorch", TORCH_LOW_RANK, reference(compiled), compiled, None)
            for compiled in COMPILED
        ]
        pairs.append(("low-rank ÷ tensor, PyTorch", TORCH_TENSOR, TORCH_LOW_RANK, EAGER, published))
    if TORCH_PRODUCTS in times:
        # What an implementation could reach that did nothing but multiply matrices, as fast as PyTorch does.
        pairs.append(("LSTM's products alone ÷ PyTorch", TORCH_LOW_RANK, TORCH_PRODUCTS, EAGER, None))
    return [
        {**ratio(times, slower, faster), "compared": words, "compiled": compiled, "published": figure}
        for words, slower, faster, compiled, figure in pairs
    ]


def table_4(speeds: pd.DataFrame, batch: int) -> pd.DataFrame:
    """The paper's Table 4: inferences per second of training and testing at one batch size, ours beside theirs."""
    ours = speeds[
        (speeds["code"] == OURS)
        & (speeds["batch"] == batch)
        & (speeds["compiled"] == TF_FUNCTION)
        & speeds["rank"].isin([0, REFERENCE_RANK])
    ].set_index(["fusion", "phase"])["samples_per_cpu_second"]
    rows = [
        {"fusion": fusion}
        | {phase: ours[fusion, phase] for phase in PHASES}
        | {f"published {phase}": PUBLISHED[fusion, phase] for phase in PHASES}
        for fusion in (TENSOR, LOW_RANK)
    ]
    columns = [name for name in rows[0] if name != "fusion"]
    rows.append({"fusion": "low-rank ÷ tensor"} | {name: rows[1][name] / rows[0][name] for name in columns})
    return pd.DataFrame(rows)


# -- the fusion alone: training is the forward pass and the gradients of all weights and inputs ---------------
def by_modalities(modalities: int, width: int) -> dict[str, Any]:
    """LowRankFusion, and TensorFusion → Dense of the same function while the product is within its limit."""
    layer = low_rank_layer([width] * modalities, UNITS, REFERENCE_RANK)
    found: dict[str, Any] = {LOW_RANK: layer}
    if (width + 1) ** modalities <= TensorFusion.MAXIMUM_WIDTH:
        found[TENSOR] = as_tensor_fusion(layer)
    return found


def by_rank(ranks: Sequence[int]) -> dict[int, Any]:
    """By rank LowRankFusion over embeddings of the whole networks' widths; 0: TensorFusion → Dense."""
    widths = list(EMBEDDINGS.values())
    layers: dict[int, Any] = {rank: low_rank_layer(widths, UNITS, rank) for rank in ranks}
    return {**layers, 0: as_tensor_fusion(layers[REFERENCE_RANK])}


def measure_modalities(
    phase: str, modalities: int, width: int, batch: int, **turns: Any
) -> list[dict[str, Any]]:
    """Rows for both fusions; `ratio` is a contender's CPU time over LowRankFusion's in the same turn."""
    rows = _fusions(by_modalities(modalities, width), LOW_RANK, phase, [width] * modalities, batch, **turns)
    return [{**row, "modalities": modalities, "width": width, "fusion": name} for name, row in rows.items()]


def measure_ranks(phase: str, batch: int, ranks: Sequence[int], **turns: Any) -> list[dict[str, Any]]:
    """Rows by rank; `ratio` is over rank 4, which must be one of `ranks`."""
    widths = list(EMBEDDINGS.values())
    rows = _fusions(by_rank(ranks), REFERENCE_RANK, phase, widths, batch, **turns)
    return [
        {**row, "fusion": LOW_RANK if rank else TENSOR, "rank": rank, "widths": " / ".join(map(str, widths))}
        for rank, row in rows.items()
    ]


def _fusions(
    layers: Mapping[Any, Any], reference: Any, phase: str, widths: Sequence[int], batch: int, **turns: Any
) -> dict[Any, dict[str, Any]]:
    random = np.random.default_rng(0)
    inputs = [random.standard_normal((batch, width), dtype="float32") for width in widths]
    make = keras_networks.gradient_step if phase == TRAINING else keras_networks.inference_step
    times = take_turns({name: make(layer, inputs) for name, layer in layers.items()}, **turns)
    return {
        name: {
            **ratio(times["cpu"], name, reference),
            "phase": phase,
            "batch": batch,
            "parameters": layer.count_params(),
            "samples_per_cpu_second": batch * 1e3 / times["cpu"][name].median(),
            "cpu_ms": times["cpu"][name].median(),
            "wall_ms": times["wall"][name].median(),
        }
        for name, layer in layers.items()
    }


def where_tensor_is_faster(table: pd.DataFrame) -> str:
    """One sentence per phase and batch: the modalities and widths at which TensorFusion → Dense took less time.

    Counted only where three quarters of the turns agree.
    """
    lines = []
    for (phase, batch), cell in table.groupby(["phase", "batch"], sort=False):
        faster = cell[(cell["fusion"] == TENSOR) & (cell["ratio_third_quartile"] < 1)]
        words = []
        for modalities, rows in faster.groupby("modalities"):
            times = dict.fromkeys(f"{1 / end:.2f}×" for end in (rows["ratio"].max(), rows["ratio"].min()))
            widths = ", ".join(map(str, sorted(rows["width"])))
            words.append(f"{modalities} modalities of width {widths} ({'–'.join(times)} as fast)")
        lines.append(f"  {phase}, batch {batch}: {'; '.join(words) or 'nowhere'}.")
    return "\n".join(["TensorFusion → Dense is the faster choice at", *lines])
