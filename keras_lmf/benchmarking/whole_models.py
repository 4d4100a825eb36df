"""Speed of the whole published networks: the reference paper's Table 4, with each contender named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from keras_lmf.benchmarking import tensorflow_steps
from keras_lmf.benchmarking.networks import LOW_RANK, TENSOR, example, published_arrays
from keras_lmf.benchmarking.turns import Step, ratio, take_turns
from keras_lmf.models import load_published

TRAINING, INFERENCE = "training", "inference"
PHASES = (TRAINING, INFERENCE)
OURS, TORCH = "keras-lmf", "PyTorch"
TF_FUNCTION, XLA, EAGER = "tf.function", "tf.function, XLA", "eager"
COMPILED = (TF_FUNCTION, XLA)
REFERENCE_RANK = 4

# Kumar & Martin, Table 4, inferences per second; machine, batch and widths are not stated there.
PUBLISHED = {(TENSOR, TRAINING): 321.67, (TENSOR, INFERENCE): 1138.33,
             (LOW_RANK, TRAINING): 1153.54, (LOW_RANK, INFERENCE): 2232.82}  # fmt: skip


@dataclass(frozen=True)
class Contender:
    """One column of the turns: whose code, which fusion, its rank (0 where there is none), how it is compiled."""

    code: str
    fusion: str
    rank: int
    compiled: str


TORCH_LOW_RANK = Contender(TORCH, LOW_RANK, REFERENCE_RANK, EAGER)
TORCH_TENSOR = Contender(TORCH, TENSOR, 0, EAGER)
TORCH_PRODUCTS = Contender(TORCH, "none: the LSTM's matrix products alone", 0, EAGER)


def reference(compiled: str) -> Contender:
    return Contender(OURS, LOW_RANK, REFERENCE_RANK, compiled)


def contenders(phase: str, batch: int, ranks: Sequence[int], against: str | None) -> list[Contender]:
    """All contenders of one phase. PyTorch's batch normalisation can't train on a single row."""
    fusions = [*((LOW_RANK, rank) for rank in ranks), (TENSOR, 0)]
    found = [Contender(OURS, *fusion, compiled) for fusion in fusions for compiled in COMPILED]
    if against and not (phase == TRAINING and batch == 1):
        found += [TORCH_LOW_RANK, TORCH_TENSOR]
        if phase == INFERENCE:
            found.append(TORCH_PRODUCTS)
    return found


def step(contender: Contender, phase: str, batch: int) -> Step:
    """One step of `batch` samples. Contenders of one fusion and rank hold the same weights, whoever's code it is."""
    inputs, labels = example(batch)
    if contender.code == TORCH:
        from keras_lmf.benchmarking import torch_networks as torch

        fusion = TENSOR if contender == TORCH_TENSOR else LOW_RANK
        network = torch.torch_network(fusion, REFERENCE_RANK, published_arrays(fusion, REFERENCE_RANK))
        if contender == TORCH_PRODUCTS:
            return torch.matrix_products_step(network, inputs)
        if phase == TRAINING:
            return torch.training_step(network, inputs, labels)
        return torch.inference_step(network, inputs)
    model = load_published(published_arrays(contender.fusion, contender.rank))
    xla = contender.compiled == XLA
    if phase == TRAINING:
        return tensorflow_steps.training_step(model, inputs, labels, xla=xla)
    return tensorflow_steps.inference_step(model, inputs, xla=xla)


def measure(
    phase: str, batch: int, ranks: Sequence[int], against: str | None, repeats: int, seconds: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the table of speeds, and rows of the ratios that matter, of one phase at one batch size.

    In the first, `ratio` is a contender's CPU time over that of low-rank fusion, rank 4, as a plain tf.function.
    """
    steps = {
        contender: step(contender, phase, batch) for contender in contenders(phase, batch, ranks, against)
    }
    times = take_turns(steps, repeats=repeats, seconds=seconds)
    cell = {"phase": phase, "batch": batch}
    speeds = []
    for contender in times["cpu"]:
        per_second = {name: batch * 1e3 / table[contender].median() for name, table in times.items()}
        speeds.append(
            {**ratio(times["cpu"], contender, reference(TF_FUNCTION)), **cell, **vars(contender)}
            | {
                "samples_per_cpu_second": per_second["cpu"],
                "samples_per_second": per_second["wall"],
                "cpu_ms": times["cpu"][contender].median(),
                "wall_ms": times["wall"][contender].median(),
            }
        )
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
