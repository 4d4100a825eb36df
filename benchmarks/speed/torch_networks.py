"""The published networks written from their equations in PyTorch, in the published names and shapes.

TFN: Zadeh et al. 2017, sections 4.1–4.2; LMF: Liu et al. 2018, equations 6–8. The names and shapes of the weights are
those that `models.load_published` reads.

`python -m speed.torch_networks PHASE BATCH` takes the turns of the PyTorch contenders, on one thread: `conversation`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from speed.published import (
    INFERENCE,
    LOW_RANK,
    PRODUCTS,
    REFERENCE_RANK,
    TENSOR,
    TRAINING,
    example,
    published_arrays,
)
from speed.turns import Step, timed

MODALITIES = ("audio", "video", "text")


class FeatureNetwork(torch.nn.Module):
    """Batch normalisation → 3 × (linear → ReLU)."""

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(width)
        self.linear_1 = torch.nn.Linear(width, units)
        self.linear_2 = torch.nn.Linear(units, units)
        self.linear_3 = torch.nn.Linear(units, units)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(features)
        for layer in (self.linear_1, self.linear_2, self.linear_3):
            hidden = torch.relu(layer(hidden))
        return hidden


class TextNetwork(torch.nn.Module):
    """LSTM → last hidden state → linear."""

    def __init__(self, width: int, hidden: int, units: int) -> None:
        super().__init__()
        self.rnn = torch.nn.LSTM(width, hidden, batch_first=True)
        self.linear_1 = torch.nn.Linear(hidden, units)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        _, (state, _) = self.rnn(features)
        return self.linear_1(state.squeeze(0))


class FusionNetwork(torch.nn.Module):
    """The three sub-networks, and a 1 in front of each embedding.

    Args:
        widths: of the audio, video and text features.
        hidden: units of the audio and video sub-networks and of the LSTM.
        text_units: of the text embedding.
    """

    def __init__(self, widths: Sequence[int], hidden: Sequence[int], text_units: int) -> None:
        super().__init__()
        self.audio_subnet = FeatureNetwork(widths[0], hidden[0])
        self.video_subnet = FeatureNetwork(widths[1], hidden[1])
        self.text_subnet = TextNetwork(widths[2], hidden[2], text_units)
        self.sizes = (hidden[0] + 1, hidden[1] + 1, text_units + 1)

    def vectors(self, audio: torch.Tensor, video: torch.Tensor, text: torch.Tensor) -> list[torch.Tensor]:
        ones = torch.ones(audio.shape[0], 1)
        parts = (self.audio_subnet(audio), self.video_subnet(video), self.text_subnet(text))
        return [torch.cat((ones, part), dim=1) for part in parts]


class LowRankNetwork(FusionNetwork):
    """Σ_r w_r ∏_m ([1; h_m] F_m[r]) + b."""

    def __init__(
        self, widths: Sequence[int], hidden: Sequence[int], text_units: int, rank: int, outputs: int
    ) -> None:
        super().__init__(widths, hidden, text_units)
        for name, size in zip(MODALITIES, self.sizes):
            setattr(self, f"{name}_factor", torch.nn.Parameter(torch.randn(rank, size, outputs) * 0.5))
        self.fusion_weights = torch.nn.Parameter(torch.randn(1, rank))
        self.fusion_bias = torch.nn.Parameter(torch.randn(1, outputs))

    def forward(self, audio: torch.Tensor, video: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        vectors = self.vectors(audio, video, text)
        factors = (self.audio_factor, self.video_factor, self.text_factor)
        a, v, t = (torch.matmul(vector, factor) for vector, factor in zip(vectors, factors))
        product = (a * v * t).permute(1, 0, 2)
        return torch.matmul(self.fusion_weights, product).squeeze(1) + self.fusion_bias


class TensorNetwork(FusionNetwork):
    """vec([1; a] ⊗ [1; v] ⊗ [1; t]) → 2 × (linear → ReLU) → linear → sigmoid · range + shift."""

    def __init__(
        self, widths: Sequence[int], hidden: Sequence[int], text_units: int, post_fusion: int, outputs: int
    ) -> None:
        super().__init__(widths, hidden, text_units)
        self.post_fusion_layer_1 = torch.nn.Linear(int(np.prod(self.sizes)), post_fusion)
        self.post_fusion_layer_2 = torch.nn.Linear(post_fusion, post_fusion)
        self.post_fusion_layer_3 = torch.nn.Linear(post_fusion, outputs)
        self.output_range = torch.nn.Parameter(torch.tensor([6.0]), requires_grad=False)
        self.output_shift = torch.nn.Parameter(torch.tensor([-3.0]), requires_grad=False)

    def forward(self, audio: torch.Tensor, video: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        a, v, t = self.vectors(audio, video, text)
        tensor = torch.bmm(a.unsqueeze(2), v.unsqueeze(1)).view(len(a), -1, 1)
        tensor = torch.bmm(tensor, t.unsqueeze(1)).view(len(a), -1)
        hidden = torch.relu(self.post_fusion_layer_1(tensor))
        hidden = torch.relu(self.post_fusion_layer_2(hidden))
        return torch.sigmoid(self.post_fusion_layer_3(hidden)) * self.output_range + self.output_shift


def network(arrays: Mapping[str, np.ndarray]) -> FusionNetwork:
    """A network of the sizes of `arrays`, published weights, that holds them."""
    width = {name: len(arrays[f"{name}_subnet.norm.weight"]) for name in MODALITIES[:2]}
    hidden = [len(arrays[f"{name}_subnet.linear_1.weight"]) for name in MODALITIES[:2]]
    text_units, text_hidden = arrays["text_subnet.linear_1.weight"].shape
    sizes = (
        [*width.values(), arrays["text_subnet.rnn.weight_ih_l0"].shape[1]],
        [*hidden, text_hidden],
        text_units,
    )
    if "fusion_weights" in arrays:
        rank, _, outputs = arrays["audio_factor"].shape
        found: FusionNetwork = LowRankNetwork(*sizes, rank, outputs)
    else:
        outputs, post_fusion = arrays["post_fusion_layer_3.weight"].shape
        found = TensorNetwork(*sizes, post_fusion, outputs)
    weights = {name: torch.tensor(value) for name, value in arrays.items()}
    # Its own values for what the arrays don't hold: the number of batches seen, which no equation reads.
    found.load_state_dict({**found.state_dict(), **weights})
    return found


def training_step(network: FusionNetwork, inputs: Mapping[str, np.ndarray], labels: np.ndarray) -> Step:
    """Mean absolute error, gradients, Adam update; eager."""
    tensors = [torch.tensor(inputs[name]) for name in MODALITIES]
    expected = torch.tensor(labels)
    optimizer = torch.optim.Adam((p for p in network.parameters() if p.requires_grad), lr=1e-3)
    network.train()

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (network(*tensors) - expected).abs().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def inference_step(network: FusionNetwork, inputs: Mapping[str, np.ndarray]) -> Step:
    """The outputs (batch, 1), in inference mode."""
    tensors = [torch.tensor(inputs[name]) for name in MODALITIES]
    network.eval()

    @torch.inference_mode()
    def step() -> torch.Tensor:
        return network(*tensors)

    return step


def matrix_products_step(network: FusionNetwork, inputs: Mapping[str, np.ndarray]) -> Step:
    """The LSTM's matrix products alone, nothing else: what no float32 implementation of it can do without."""
    text = torch.tensor(inputs["text"])
    steps, width = text.shape[1:]
    rows = text.reshape(-1, width)
    into = network.text_subnet.rnn.weight_ih_l0.detach().T.contiguous()
    across = network.text_subnet.rnn.weight_hh_l0.detach().T.contiguous()
    state = torch.randn(len(text), len(across))

    @torch.inference_mode()
    def step() -> torch.Tensor:
        gates = torch.mm(rows, into)
        for _ in range(steps):
            torch.mm(state, across)
        return gates

    return step


def step(fusion: str, phase: str, batch: int) -> Step:
    """One step of `batch` samples of the network of this fusion, or of its matrix products alone."""
    inputs, labels = example(batch)
    found = network(published_arrays(TENSOR if fusion == TENSOR else LOW_RANK, REFERENCE_RANK))
    if fusion == PRODUCTS:
        return matrix_products_step(found, inputs)
    return training_step(found, inputs, labels) if phase == TRAINING else inference_step(found, inputs)


def main(phase: str, batch: str) -> None:
    """Answer [fusion, number of steps] with their milliseconds by each clock, line by line."""
    torch.set_num_threads(1)
    fusions = [LOW_RANK, TENSOR, *([PRODUCTS] if phase == INFERENCE else [])]
    turns = {fusion: timed(step(fusion, phase, int(batch))) for fusion in fusions}
    print(json.dumps(fusions), flush=True)
    for line in sys.stdin:
        fusion, count = json.loads(line)
        print(json.dumps(turns[fusion](count)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
