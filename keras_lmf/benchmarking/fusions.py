"""Speed of the fusion alone, by number of modalities, width and batch: where tensor fusion is the faster choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from keras_lmf.benchmarking.networks import EMBEDDINGS, LOW_RANK, TENSOR, as_tensor_fusion, low_rank_layer
from keras_lmf.benchmarking.tensorflow_steps import gradient_step, inference_step
from keras_lmf.benchmarking.turns import Step, ratio, take_turns
from keras_lmf.benchmarking.whole_models import TRAINING
from keras_lmf.layers import TensorFusion

MODALITIES = (2, 3, 4, 5)
WIDTHS = (2, 4, 8, 16, 32)
UNITS, RANK = 64, 4


def contenders(modalities: int, width: int) -> dict[str, Any]:
    """LowRankFusion, and TensorFusion → Dense of the same function while the product is within its limit."""
    layer = low_rank_layer([width] * modalities, UNITS, RANK)
    found: dict[str, Any] = {LOW_RANK: layer}
    if (width + 1) ** modalities <= TensorFusion.MAXIMUM_WIDTH:
        found[TENSOR] = as_tensor_fusion(layer)
    return found


def measure(
    phase: str, modalities: int, width: int, batch: int, repeats: int, seconds: float
) -> list[dict[str, Any]]:
    """Rows for both fusions; `ratio` is a contender's CPU time over LowRankFusion's in the same turn.

    Training is here the forward pass and the gradients of all weights and inputs.
    """
    layers = contenders(modalities, width)
    rows = _measured(layers, LOW_RANK, phase, [width] * modalities, batch, repeats, seconds)
    return [{**row, "modalities": modalities, "width": width, "fusion": name} for name, row in rows.items()]


def rank_contenders(ranks: Sequence[int]) -> dict[int, Any]:
    """By rank LowRankFusion over embeddings of the whole networks' widths; 0: TensorFusion → Dense."""
    widths = list(EMBEDDINGS.values())
    layers: dict[int, Any] = {rank: low_rank_layer(widths, UNITS, rank) for rank in ranks}
    return {**layers, 0: as_tensor_fusion(layers[RANK])}


def measure_ranks(
    phase: str, batch: int, ranks: Sequence[int], repeats: int, seconds: float
) -> list[dict[str, Any]]:
    """Rows by rank, as `measure`; `ratio` is over rank 4, which must be one of `ranks`."""
    widths = list(EMBEDDINGS.values())
    rows = _measured(rank_contenders(ranks), RANK, phase, widths, batch, repeats, seconds)
    return [
        {**row, "fusion": LOW_RANK if rank else TENSOR, "rank": rank, "widths": " / ".join(map(str, widths))}
        for rank, row in rows.items()
    ]


def _measured(
    layers: Mapping[Any, Any],
    reference: Any,
    phase: str,
    widths: Sequence[int],
    batch: int,
    repeats: int,
    seconds: float,
) -> dict[Any, dict[str, Any]]:
    random = np.random.default_rng(0)
    inputs = [random.standard_normal((batch, width), dtype="float32") for width in widths]
    make_step = gradient_step if phase == TRAINING else inference_step
    steps: dict[Any, Step] = {name: make_step(layer, inputs) for name, layer in layers.items()}
    times = take_turns(steps, repeats=repeats, seconds=seconds)
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
        words = [
            f"{modalities} modalities of width {_list(rows['width'])} ({_range(1 / rows['ratio'])} as fast)"
            for modalities, rows in faster.groupby("modalities")
        ]
        lines.append(f"{phase}, batch {batch}: {'; '.join(words) or 'nowhere'}.")
    return "TensorFusion → Dense is the faster choice at\n" + "\n".join(f"  {line}" for line in lines)


def _list(values: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(values)))


def _range(values: pd.Series) -> str:
    ends = list(dict.fromkeys(f"{value:.2f}×" for value in (values.min(), values.max())))
    return "–".join(ends)
