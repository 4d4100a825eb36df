"""The published networks: stored outputs of the reference code, and the same architectures written in PyTorch."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from keras_lmf.errors import LMFError
from keras_lmf.models import load_published

INPUTS = {"audio": "xa", "video": "xv", "text": "xt"}


class FeatureNetwork(torch.nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(width)
        self.drop = torch.nn.Dropout(0.3)
        self.linear_1 = torch.nn.Linear(width, hidden)
        self.linear_2 = torch.nn.Linear(hidden, hidden)
        self.linear_3 = torch.nn.Linear(hidden, hidden)

    def forward(self, x):
        hidden = self.drop(self.norm(x))
        for layer in (self.linear_1, self.linear_2, self.linear_3):
            hidden = torch.relu(layer(hidden))
        return hidden


class TextNetwork(torch.nn.Module):
    def __init__(self, width, hidden, out):
        super().__init__()
        self.rnn = torch.nn.LSTM(width, hidden, batch_first=True)
        self.dropout = torch.nn.Dropout(0.3)
        self.linear_1 = torch.nn.Linear(hidden, out)

    def forward(self, x):
        _, (state, _) = self.rnn(x)
        return self.linear_1(self.dropout(state.squeeze(0)))


class Fusion(torch.nn.Module):
    """The three sub-networks, and a 1 in front of each embedding."""

    def __init__(self, widths, hidden, text_out):
        super().__init__()
        self.audio_subnet = FeatureNetwork(widths[0], hidden[0])
        self.video_subnet = FeatureNetwork(widths[1], hidden[1])
        self.text_subnet = TextNetwork(widths[2], hidden[2], text_out)

    def vectors(self, audio, video, text):
        ones = torch.ones(audio.shape[0], 1)
        parts = (self.audio_subnet(audio), self.video_subnet(video), self.text_subnet(text))
        return [torch.cat((ones, part), dim=1) for part in parts]


class LMF(Fusion):
    def __init__(self, widths, hidden, text_out, rank, outputs):
        super().__init__(widths, hidden, text_out)
        sizes = (hidden[0], hidden[1], text_out)
        for name, size in zip(INPUTS, sizes):
            setattr(self, f"{name}_factor", torch.nn.Parameter(torch.randn(rank, size + 1, outputs) * 0.5))
        self.fusion_weights = torch.nn.Parameter(torch.randn(1, rank))
        self.fusion_bias = torch.nn.Parameter(torch.randn(1, outputs))

    def forward(self, audio, video, text):
        vectors = self.vectors(audio, video, text)
        factors = (self.audio_factor, self.video_factor, self.text_factor)
        a, v, t = (torch.matmul(vector, factor) for vector, factor in zip(vectors, factors))
        product = a * v * t
        return torch.matmul(self.fusion_weights, product.permute(1, 0, 2)).squeeze(1) + self.fusion_bias


class TFN(Fusion):
    def __init__(self, widths, hidden, text_out, post, outputs):
        super().__init__(widths, hidden, text_out)
        size = (hidden[0] + 1) * (hidden[1] + 1) * (text_out + 1)
        self.post_fusion_layer_1 = torch.nn.Linear(size, post)
        self.post_fusion_layer_2 = torch.nn.Linear(post, post)
        self.post_fusion_layer_3 = torch.nn.Linear(post, outputs)
        self.output_range = torch.nn.Parameter(torch.tensor([6.0]), requires_grad=False)
        self.output_shift = torch.nn.Parameter(torch.tensor([-3.0]), requires_grad=False)

    def forward(self, audio, video, text):
        a, v, t = self.vectors(audio, video, text)
        tensor = torch.bmm(a.unsqueeze(2), v.unsqueeze(1)).view(len(a), -1, 1)
        tensor = torch.bmm(tensor, t.unsqueeze(1)).view(len(a), -1)
        hidden = torch.relu(self.post_fusion_layer_1(tensor))
        hidden = torch.relu(self.post_fusion_layer_2(hidden))
        return torch.sigmoid(self.post_fusion_layer_3(hidden)) * self.output_range + self.output_shift


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
    return trained_a_little(LMF((5, 7, 6), (4, 8, 9), 3, rank, outputs), (5, 7, 6))


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
    network = TFN((5, 7, 6), (4, 3, 9), 2, 8, outputs)
    network.output_range.fill_(scale)
    network.output_shift.fill_(shift)
    arrays, inputs, expected = trained_a_little(network, (5, 7, 6))
    output = load_published(arrays).predict(inputs, verbose=0)["sentiment"]
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


def test_the_usual_range_where_none_is_stored():
    torch.manual_seed(1)
    arrays, inputs, expected = trained_a_little(TFN((5, 7, 6), (4, 3, 9), 2, 8, 1), (5, 7, 6))
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
