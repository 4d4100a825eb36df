"""The published networks: stored outputs of the reference code, and the same architectures written in NumPy."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy_networks import batch_norm, lstm, relu, sigmoid

from keras_lmf.errors import LMFError
from keras_lmf.models import load_published

INPUTS = {"audio": "xa", "video": "xv", "text": "xt"}
WIDTHS = {"audio": 5, "video": 7, "text": 6}
Arrays = dict[str, np.ndarray]


def inputs_of(random: np.random.Generator) -> Arrays:
    shapes = {"audio": (9, 5), "video": (9, 7), "text": (9, 6, 6)}
    return {name: (2 * random.standard_normal(shape) + 1).astype("float32") for name, shape in shapes.items()}


def subnets(random: np.random.Generator, hidden: tuple[int, int, int], text_units: int) -> Arrays:
    """The three sub-networks in PyTorch's names and shapes; `hidden`: units of audio, video and the LSTM."""
    arrays: Arrays = {}

    def linear(name: str, width: int, units: int) -> None:
        arrays[f"{name}.weight"] = random.uniform(-1, 1, (units, width)) / np.sqrt(width)
        arrays[f"{name}.bias"] = random.uniform(-1, 1, units) / np.sqrt(width)

    for name, units in zip(("audio", "video"), hidden):
        for word, low, high in (
            ("weight", 0.5, 1.5),
            ("bias", -0.5, 0.5),
            ("running_mean", 0, 1),
            ("running_var", 1, 4),
        ):
            arrays[f"{name}_subnet.norm.{word}"] = random.uniform(low, high, WIDTHS[name])
        arrays[f"{name}_subnet.norm.num_batches_tracked"] = np.array(3)
        for i, width in enumerate((WIDTHS[name], units, units), 1):
            linear(f"{name}_subnet.linear_{i}", width, units)
    units = hidden[2]
    for word, shape in (
        ("weight_ih", (4 * units, WIDTHS["text"])),
        ("weight_hh", (4 * units, units)),
        ("bias_ih", (4 * units,)),
        ("bias_hh", (4 * units,)),
    ):
        arrays[f"text_subnet.rnn.{word}_l0"] = random.uniform(-1, 1, shape) / np.sqrt(units)
    linear("text_subnet.linear_1", units, text_units)
    return arrays


def dense(arrays: Arrays, name: str, x: np.ndarray) -> np.ndarray:
    return x @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]


def embeddings(arrays: Arrays, inputs: Arrays) -> list[np.ndarray]:
    """Each with a 1 in front."""
    found = []
    for name in ("audio", "video"):
        parts = (
            arrays[f"{name}_subnet.norm.{word}"] for word in ("running_mean", "running_var", "weight", "bias")
        )
        x = batch_norm(inputs[name], *parts, epsilon=1e-5)
        for i in (1, 2, 3):
            x = relu(dense(arrays, f"{name}_subnet.linear_{i}", x))
        found.append(x)
    at = "text_subnet.rnn."
    bias = arrays[f"{at}bias_ih_l0"] + arrays[f"{at}bias_hh_l0"]
    states = lstm(inputs["text"], arrays[f"{at}weight_ih_l0"], arrays[f"{at}weight_hh_l0"], bias)
    found.append(dense(arrays, "text_subnet.linear_1", states[:, -1]))
    return [np.concatenate([np.ones((len(x), 1)), x], axis=1) for x in found]


def low_rank(arrays: Arrays, inputs: Arrays) -> np.ndarray:
    """Σ_r w_r ∏_m ([1; h_m] F_m[r]) + b."""
    a, v, t = (
        np.einsum("bi,rio->bro", x, arrays[f"{name}_factor"])
        for name, x in zip(WIDTHS, embeddings(arrays, inputs))
    )
    return np.einsum("r,bro->bo", arrays["fusion_weights"][0], a * v * t) + arrays["fusion_bias"]


def tensor(arrays: Arrays, inputs: Arrays) -> np.ndarray:
    """vec([1; a] ⊗ [1; v] ⊗ [1; t]) → 2 × (linear → ReLU) → linear → sigmoid · range + shift."""
    x = np.einsum("bi,bj,bk->bijk", *embeddings(arrays, inputs)).reshape(len(inputs["audio"]), -1)
    x = relu(dense(arrays, "post_fusion_layer_1", x))
    x = relu(dense(arrays, "post_fusion_layer_2", x))
    x = sigmoid(dense(arrays, "post_fusion_layer_3", x))
    return x * arrays.get("output_range", 6.0) + arrays.get("output_shift", -3.0)


def answered(
    random: np.random.Generator, arrays: Arrays, network: Callable[[Arrays, Arrays], np.ndarray]
) -> tuple[Arrays, Arrays, np.ndarray]:
    inputs = inputs_of(random)
    expected = network(arrays, inputs)
    return {name: np.float32(array) for name, array in arrays.items()}, inputs, expected


def lmf(rank: int = 3, outputs: int = 1) -> tuple[Arrays, Arrays, np.ndarray]:
    random = np.random.default_rng(4)
    arrays = subnets(random, (4, 8, 9), 3)
    for name, size in zip(WIDTHS, (5, 9, 4)):
        arrays[f"{name}_factor"] = 0.5 * random.standard_normal((rank, size, outputs))
    arrays["fusion_weights"] = random.standard_normal((1, rank))
    arrays["fusion_bias"] = random.standard_normal((1, outputs))
    return answered(random, arrays, low_rank)


def tfn(outputs: int, **given: np.ndarray) -> tuple[Arrays, Arrays, np.ndarray]:
    random = np.random.default_rng(5)
    arrays = subnets(random, (4, 3, 9), 2) | given
    for i, (width, units) in enumerate(((5 * 4 * 3, 8), (8, 8), (8, outputs)), 1):
        arrays[f"post_fusion_layer_{i}.weight"] = 2 * random.standard_normal((units, width)) / np.sqrt(width)
        arrays[f"post_fusion_layer_{i}.bias"] = random.uniform(-1, 1, units) / np.sqrt(width)
    return answered(random, arrays, tensor)


@pytest.mark.parametrize("name", ["lmf", "tfn"])
def test_reference_outputs(name):
    root = os.environ.get("KERAS_LMF_DATA")
    if not root:
        pytest.skip("KERAS_LMF_DATA is not set")
    with np.load(Path(root, "reference", f"{name}_parity.npz")) as arrays:
        model = load_published(arrays)
        inputs = {modality: arrays[key] for modality, key in INPUTS.items()}
        output = model.predict(inputs, verbose=0)
        assert list(output) == ["sentiment"]
        assert np.abs(output["sentiment"] - arrays["y"]).max() <= 1e-5


@pytest.mark.parametrize(("rank", "outputs"), [(1, 1), (4, 2), (7, 4)])
def test_low_rank_networks_of_any_rank_and_width(rank, outputs):
    arrays, inputs, expected = lmf(rank, outputs)
    model = load_published(arrays, target="emotion")
    output = model.predict(inputs, verbose=0)["emotion"]
    assert output.shape == (9, outputs)
    assert np.ptp(expected) > 0.05
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("outputs", "scale", "shift"), [(1, 6.0, -3.0), (3, 2.0, -1.0)])
def test_tensor_networks_of_any_width_and_range(outputs, scale, shift):
    ends = {"output_range": np.array([scale]), "output_shift": np.array([shift])}
    arrays, inputs, expected = tfn(outputs, **ends)
    output = load_published(arrays).predict(inputs, verbose=0)["sentiment"]
    assert np.ptp(expected) > 0.05
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


def test_the_usual_range_where_none_is_stored():
    arrays, inputs, expected = tfn(1)
    output = load_published(arrays).predict(inputs, verbose=0)["sentiment"]
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


def test_any_number_of_steps_and_the_names():
    arrays, inputs, _ = lmf()
    model = load_published(arrays)
    assert {name: tensor.shape[1:] for name, tensor in model.input.items()} == {
        "audio": (5,),
        "video": (7,),
        "text": (None, 6),
    }
    assert model.predict({**inputs, "text": inputs["text"][:, :2]}, verbose=0)["sentiment"].shape == (9, 1)


def test_missing_arrays_are_named():
    arrays, *_ = lmf()
    del arrays["text_subnet.rnn.bias_hh_l0"], arrays["video_subnet.norm.running_var"]
    with pytest.raises(
        LMFError, match=r"misses 2 arrays: video_subnet.norm.running_var, text_subnet.rnn.bias_hh_l0"
    ):
        load_published(arrays)


def test_another_network_is_refused():
    with pytest.raises(LMFError, match=r"neither.*audio_factor.*post_fusion_layer_1.*Received: weird"):
        load_published({"weird": np.zeros(3)})


@pytest.mark.parametrize(
    ("name", "shape", "named"),
    [
        ("audio_subnet.linear_1.weight", (), "audio_subnet.linear_1.weight"),
        ("audio_subnet.linear_2.weight", (4, 5), "audio_subnet.linear_2"),
        ("video_subnet.norm.weight", (3,), "video_subnet.norm"),
        ("text_subnet.rnn.weight_ih_l0", (36,), "text_subnet.rnn.weight_ih_l0"),
        ("text_subnet.rnn.weight_hh_l0", (36, 8), "text_subnet.rnn"),
        ("text_subnet.rnn.bias_ih_l0", (20,), "bias_ih_l0"),
        ("text_subnet.rnn.bias_ih_l0", (1,), "bias_ih_l0"),
        ("audio_factor", (5, 1), "audio_factor"),
        ("audio_factor", (3, 6, 1), "factor audio"),
        ("video_factor", (2, 9, 1), "factor video"),
        ("text_factor", (4, 1), "factor text"),
        ("fusion_weights", (1, 4), "rank_weights"),
        ("fusion_bias", (1, 2), "bias"),
    ],
)
def test_a_wrong_shape_is_an_error_that_names_the_array(name, shape, named):
    arrays, *_ = lmf()
    arrays[name] = np.zeros(shape, "float32")
    with pytest.raises(LMFError, match=named):
        load_published(arrays)
