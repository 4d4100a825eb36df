"""The published networks: stored outputs of the reference code, and the same architectures written in PyTorch."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from keras_lmf.benchmarking.torch_networks import LowRankNetwork, TensorNetwork
from keras_lmf.errors import LMFError
from keras_lmf.models import load_published

INPUTS = {"audio": "xa", "video": "xv", "text": "xt"}


def trained_a_little(network, widths, steps=6):
    """The network in evaluation mode after a few batch-norm updates, with inputs and its outputs."""
    generator = torch.Generator().manual_seed(4)

    def batch():
        shapes = ((9, widths[0]), (9, widths[1]), (9, steps, widths[2]))
        return [torch.randn(*shape, generator=generator) * 2 + 1 for shape in shapes]

    with torch.no_grad():
        for _ in range(3):
            network(*batch())
        network.eval()
        inputs = batch()
        expected = network(*inputs).numpy()
    arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return arrays, {name: tensor.numpy() for name, tensor in zip(INPUTS, inputs)}, expected


def lmf(rank=3, outputs=1):
    torch.manual_seed(0)
    return trained_a_little(LowRankNetwork((5, 7, 6), (4, 8, 9), 3, rank, outputs), (5, 7, 6))


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
    torch.manual_seed(1)
    network = TensorNetwork((5, 7, 6), (4, 3, 9), 2, 8, outputs)
    network.output_range.fill_(scale)
    network.output_shift.fill_(shift)
    arrays, inputs, expected = trained_a_little(network, (5, 7, 6))
    output = load_published(arrays).predict(inputs, verbose=0)["sentiment"]
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


def test_the_usual_range_where_none_is_stored():
    torch.manual_seed(1)
    arrays, inputs, expected = trained_a_little(TensorNetwork((5, 7, 6), (4, 3, 9), 2, 8, 1), (5, 7, 6))
    arrays = {name: array for name, array in arrays.items() if not name.startswith("output_")}
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
