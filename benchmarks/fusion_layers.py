"""Speed of LowRankFusion against a per-rank loop of the paper's formula and against tensor fusion.

    KERAS_BACKEND=tensorflow python benchmarks/fusion_layers.py --csv fusion_layers_tensorflow.csv

One step is the forward pass and the gradients of all weights and inputs, compiled where the backend compiles
(tf.function, jax.jit; PyTorch is eager). All contenders hold the same weights and are checked to compute the
same function. They take turns within one process, so what else the machine does hits them alike. The time is CPU
time on one thread (waiting threads spin, which would count as work), or wall time after synchronising on a GPU.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import pandas as pd
from keras import ops
from measurements import CSV, write_csv
from speed.keras_networks import as_tensor_fusion, gradient_step, low_rank_layer
from speed.turns import Step, one_thread, ratio, take_turns

WIDTHS, UNITS, RANK = (32, 32, 64), 64, 4
PER_RANK_BATCHES, TENSOR_BATCHES = (1, 8, 32), (32, 256)
LOW_RANK, PER_RANK, TENSOR = "LowRankFusion", "per-rank loop", "TensorFusion → Dense"


class PerRankLoop(keras.layers.Layer):
    """Liu et al. 2018, equations 6–8, read aloud: for each rank, the product over modalities of [1; h_m] F_m[r]."""

    def build(self, input_shape: Sequence[tuple[int, ...]]) -> None:
        self.factors = [self.add_weight(shape=(RANK, shape[-1] + 1, UNITS)) for shape in input_shape]
        self.rank_weights = self.add_weight(shape=(RANK,))
        self.bias = self.add_weight(shape=(UNITS,))

    def call(self, inputs: Sequence[Any]) -> Any:
        ones = ops.ones_like(inputs[0][:, :1])
        vectors = [ops.concatenate([ones, h], axis=-1) for h in inputs]
        fused = self.bias
        for r in range(RANK):
            product = self.rank_weights[r]
            for vector, factor in zip(vectors, self.factors):
                product = product * ops.matmul(vector, factor[r])
            fused = fused + product
        return fused


def contenders(inputs: list[Any], other: str) -> dict[str, keras.Model]:
    """LowRankFusion and `other`, holding the same random weights."""
    fusion = low_rank_layer(WIDTHS, UNITS, RANK)
    if other == PER_RANK:
        rival = PerRankLoop()
        rival(inputs)
        factors = [ops.convert_to_numpy(fusion.factor(m)) for m in range(len(WIDTHS))]
        rival.set_weights([*factors, *map(ops.convert_to_numpy, (fusion.rank_weights, fusion.bias))])
    else:
        rival = as_tensor_fusion(fusion)
    np.testing.assert_allclose(
        ops.convert_to_numpy(fusion(inputs)), ops.convert_to_numpy(rival(inputs)), rtol=1e-3, atol=1e-4
    )
    return {LOW_RANK: fusion, other: rival}


# -- one compiled step, and what else differs per backend ---------------------------------------------------
def jax_step(layer: Any, inputs: list[Any]) -> Step:
    import jax

    def loss(weights: list[Any], inputs: list[Any]) -> Any:
        return ops.sum(ops.square(layer.stateless_call(weights, [], inputs)[0]))

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1)))
    weights = [weight.value for weight in layer.trainable_variables]
    return lambda: gradients(weights, inputs)


def torch_step(layer: Any, inputs: list[Any]) -> Step:
    import torch

    leaves = [h.detach().requires_grad_() for h in inputs]
    weights = [weight.value for weight in layer.trainable_variables]
    return lambda: torch.autograd.grad(layer(leaves).square().sum(), [*weights, *leaves])


def tensorflow_synchronise(_: Any) -> None:
    import tensorflow as tf

    tf.test.experimental.sync_devices()


def jax_synchronise(result: Any) -> None:
    import jax

    jax.block_until_ready(result)


def torch_synchronise(_: Any) -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


BACKENDS = {
    "tensorflow": (gradient_step, tensorflow_synchronise),
    "jax": (jax_step, jax_synchronise),
    "torch": (torch_step, torch_synchronise),
}


# -- measurement --------------------------------------------------------------------------------------------
def measure(batch: int, other: str, repeats: int, seconds: float) -> list[dict[str, Any]]:
    """Rows for LowRankFusion and `other` at one batch size.

    Args:
        repeats: turns that each contender takes.
        seconds: length of one turn; the number of steps in it is fixed beforehand.
    """
    make_step, synchronise = BACKENDS[keras.backend.backend()]
    random = np.random.default_rng(0)
    inputs = [ops.convert_to_tensor(random.standard_normal((batch, d)), "float32") for d in WIDTHS]
    steps = {what: make_step(layer, inputs) for what, layer in contenders(inputs, other).items()}
    times = take_turns(steps, repeats=repeats, seconds=seconds, synchronise=synchronise)
    table = times["wall" if on_gpu() else "cpu"]
    return [
        {"batch": batch, "what": what, "median_ms": table[what].median(), **ratio(table, what, LOW_RANK)}
        for what in table
    ]


def device() -> str:
    return str(ops.zeros(1).device).lower()


def on_gpu() -> bool:
    return "gpu" in device() or "cuda" in device()


def machine() -> dict[str, str]:
    backend = keras.backend.backend()
    version = importlib.import_module(backend).__version__
    return {
        "backend": backend,
        "device": device() if on_gpu() else f"cpu {platform.machine()}, one thread",
        "versions": f"keras {keras.__version__}, {backend} {version}, python {platform.python_version()}",
    }


@click.command()
@click.option("--repeats", default=31, show_default=True, type=click.IntRange(1), help="Turns each.")
@click.option(
    "--seconds", default=0.05, show_default=True, type=click.FloatRange(0), help="Length of a turn."
)
@CSV
def main(repeats: int, seconds: float, csv: Path | None) -> None:
    """Time forward + gradient of LowRankFusion against a per-rank loop and a TensorFusion head.

    `ratio` is a contender's time over LowRankFusion's in the same turn: median and quartiles over the turns.
    """
    one_thread(keras.backend.backend())
    cases = [(batch, PER_RANK) for batch in PER_RANK_BATCHES] + [(batch, TENSOR) for batch in TENSOR_BATCHES]
    rows = [row for batch, other in cases for row in measure(batch, other, repeats, seconds)]
    table = pd.DataFrame([{**machine(), **row} for row in rows])
    click.echo(table.to_string(index=False, float_format="{:.3f}".format))
    write_csv(table, csv)


if __name__ == "__main__":
    main()
