"""The published networks at the shapes of the speed tables: their words, inputs and weights, without a framework.

Audio 5, video 20, text 20 × 300; sub-networks 32 / 32 / LSTM 128 → 64; tensor fusion with 128 units after it (Zadeh
et al. 2017), low-rank fusion straight to one output (Liu et al. 2018). Dropout, which the published code has in
training, is left out of every contender.
"""

from __future__ import annotations

import numpy as np

SHAPES = {"audio": (5,), "video": (20,), "text": (20, 300)}
EMBEDDINGS = {"audio": 32, "video": 32, "text": 64}
RECURRENT_UNITS, POST_FUSION = 128, 128
LOW_RANK, TENSOR = "low-rank", "tensor"
TRAINING, INFERENCE = "training", "inference"
OURS, TORCH = "keras-lmf", "PyTorch"
PRODUCTS = "none: the LSTM's matrix products alone"
EAGER, SCRIPT, LSTM_ALONE = "PyTorch, eager", "PyTorch, TorchScript", "PyTorch, eager, its LSTM alone"
REFERENCE_RANK = 4
TARGET = "sentiment"


def example(batch: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Standard-normal inputs by modality, (batch, …), and labels (batch, 1)."""
    random = np.random.default_rng(0)
    inputs = {
        name: random.standard_normal((batch, *shape), dtype="float32") for name, shape in SHAPES.items()
    }
    return inputs, random.standard_normal((batch, 1), dtype="float32")


def published_arrays(fusion: str, rank: int) -> dict[str, np.ndarray]:
    """Random weights of a whole network in the published layout (PyTorch's names and shapes).

    `models.load_published` makes the Keras network of them and `torch_networks.network` the PyTorch one, so all
    contenders of one fusion and rank hold the same weights, whatever process they are in.
    """
    random = np.random.default_rng(1)

    def normal(*shape: int, inputs: int) -> np.ndarray:
        return (random.standard_normal(shape) / np.sqrt(inputs)).astype("float32")

    arrays = {}

    def linear(name: str, outputs: int, inputs: int) -> None:
        arrays[f"{name}.weight"] = normal(outputs, inputs, inputs=inputs)
        arrays[f"{name}.bias"] = normal(outputs, inputs=inputs)

    for modality in ("audio", "video"):
        (width,), units = SHAPES[modality], EMBEDDINGS[modality]
        for name, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            arrays[f"{modality}_subnet.norm.{name}"] = np.full(width, value, "float32")
        for i, inputs in ((1, width), (2, units), (3, units)):
            linear(f"{modality}_subnet.linear_{i}", units, inputs)
    width, hidden = SHAPES["text"][1], RECURRENT_UNITS
    for kind, inputs in (("ih", width), ("hh", hidden)):
        arrays[f"text_subnet.rnn.weight_{kind}_l0"] = normal(4 * hidden, inputs, inputs=inputs)
        arrays[f"text_subnet.rnn.bias_{kind}_l0"] = normal(4 * hidden, inputs=inputs)
    linear("text_subnet.linear_1", EMBEDDINGS["text"], hidden)

    if fusion == LOW_RANK:
        for modality, units in EMBEDDINGS.items():
            arrays[f"{modality}_factor"] = normal(rank, units + 1, 1, inputs=units)
        arrays["fusion_weights"] = normal(1, rank, inputs=rank)
        arrays["fusion_bias"] = normal(1, 1, inputs=1)
    else:
        size = int(np.prod([units + 1 for units in EMBEDDINGS.values()]))
        for i, (outputs, inputs) in enumerate(
            ((POST_FUSION, size), (POST_FUSION, POST_FUSION), (1, POST_FUSION)), start=1
        ):
            linear(f"post_fusion_layer_{i}", outputs, inputs)
        arrays["output_range"], arrays["output_shift"] = np.float32([6]), np.float32([-3])
    return arrays
