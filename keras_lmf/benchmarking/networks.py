"""The published networks at the shapes of the speed tables, and their heads.

Audio 5, video 20, text 20 × 300; sub-networks 32 / 32 / LSTM 128 → 64; tensor fusion with 128 units after it (Zadeh
et al. 2017), low-rank fusion straight to one output (Liu et al. 2018). Dropout, which the published code has in
training, is left out of every contender.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_lmf.layers import LowRankFusion, TensorFusion

SHAPES = {"audio": (5,), "video": (20,), "text": (20, 300)}
EMBEDDINGS = {"audio": 32, "video": 32, "text": 64}
RECURRENT_UNITS, POST_FUSION = 128, 128
LOW_RANK, TENSOR = "low-rank", "tensor"
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

    `models.load_published` makes the Keras network of them and `load_state_dict` the PyTorch one, so all contenders
    of one fusion and rank hold the same weights.
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


def head(fusion: str, rank: int) -> keras.Model:
    """A published network without its sub-networks: embeddings {modality: (batch, units)} → {target: (batch, 1)}."""
    inputs = {name: keras.Input((units,), name=name) for name, units in EMBEDDINGS.items()}
    if fusion == LOW_RANK:
        return keras.Model(inputs, {TARGET: LowRankFusion(1, rank, seed=0, name=TARGET)(inputs)})
    hidden = TensorFusion(name="fusion")(inputs)
    for i in (1, 2):
        hidden = keras.layers.Dense(POST_FUSION, activation="relu", name=f"post_fusion_layer_{i}")(hidden)
    hidden = keras.layers.Dense(1, activation="sigmoid", name="post_fusion_layer_3")(hidden)
    return keras.Model(inputs, {TARGET: keras.layers.Rescaling(6.0, -3.0, name=TARGET)(hidden)})


def low_rank_layer(widths: Sequence[int], units: int, rank: int) -> LowRankFusion:
    """A built LowRankFusion over a list of embeddings of these widths, no bias of which is zero."""
    layer = LowRankFusion(units, rank, seed=0)
    layer.build([(None, width) for width in widths])
    layer.bias.assign(np.random.default_rng(1).standard_normal(units))
    return layer


def as_tensor_fusion(layer: LowRankFusion) -> keras.Model:
    """TensorFusion → Dense that computes the function of `layer`, a LowRankFusion over a list.

    Liu et al. 2018, equation 5: the dense kernel is W[i, j, …, o] = Σ_r w_r F_1[r, i, o] F_2[r, j, o] ….

    Raises:
        LMFError: the product of the widths is above TensorFusion's limit.
    """
    inputs = [keras.Input((width,)) for width in layer.widths]
    model = keras.Model(inputs, keras.layers.Dense(layer.units)(TensorFusion()(inputs)))
    # (rank, products so far, units), one modality after the other.
    product = ops.convert_to_numpy(layer.rank_weights)[:, None, None]
    for m in range(len(layer.widths)):
        factor = ops.convert_to_numpy(layer.factor(m))
        product = (product[:, :, None] * factor[:, None]).reshape(layer.rank, -1, layer.units)
    model.set_weights([product.sum(axis=0), ops.convert_to_numpy(layer.bias)])
    return model
