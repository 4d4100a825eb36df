"""The published networks in PyTorch, in a process of its own: PyTorch and TensorFlow never share one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
LOSSES = 5
Arrays = Mapping[str, np.ndarray]


def answers(
    folder: Path, cases: Mapping[str, tuple[Arrays, Arrays, np.ndarray | None]]
) -> dict[str, dict[str, np.ndarray]]:
    """By case what PyTorch answers.

    Args:
        folder: an empty one, for the files by which arrays travel.
        cases: weights in the published layout, inputs by modality, and labels, or None.

    Returns:
        `output` (rows, outputs), `vectors` (rows, all embeddings side by side, a 1 in front of each), both in
        inference mode, and with labels `losses`: of so many training steps, with one of the LSTM's two biases held.
    """
    for name, (weights, inputs, labels) in cases.items():
        arrays = {f"weights/{key}": value for key, value in weights.items()}
        arrays |= {f"inputs/{key}": value for key, value in inputs.items()}
        np.savez(folder / f"{name}.npz", **arrays, **({} if labels is None else {"labels": labels}))
    path = os.pathsep.join([str(BENCHMARKS), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, __file__, *(folder / f"{name}.npz" for name in cases)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return {name: dict(np.load(folder / f"{name}.answers.npz")) for name in cases}


def main() -> None:
    import torch
    from speed import torch_networks

    for path in map(Path, sys.argv[1:]):
        arrays = dict(np.load(path))
        weights, inputs = (
            {key.removeprefix(kind): value for key, value in arrays.items() if key.startswith(kind)}
            for kind in ("weights/", "inputs/")
        )
        network = torch_networks.network(weights).eval()
        tensors = [torch.tensor(inputs[name]) for name in torch_networks.MODALITIES]
        with torch.inference_mode():
            vectors = torch.cat(network.vectors(*tensors), dim=1)
        found = {"output": torch_networks.inference_step(network, inputs)(), "vectors": vectors}
        if "labels" in arrays:
            # PyTorch's LSTM has two biases where Keras has one: with both moving, their sum moves twice as far.
            network.text_subnet.rnn.bias_hh_l0.requires_grad_(False)
            step = torch_networks.training_step(network, inputs, arrays["labels"])
            found["losses"] = torch.stack([step() for _ in range(LOSSES)])
        np.savez(path.with_suffix(".answers.npz"), **{name: value.numpy() for name, value in found.items()})


if __name__ == "__main__":
    main()
