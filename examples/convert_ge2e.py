"""Convert the published weights of the GE2E speaker encoder to a backbone of the zoo.

    pip download --no-deps Resemblyzer==0.1.4 && unzip Resemblyzer-0.1.4*.whl   # Apache-2.0
    python examples/convert_ge2e.py resemblyzer/pretrained.pt zoo/ge2e

Needs PyTorch beside keras-lmf: its restricted reader takes tensors from the file and runs none of its code. The test
vectors hold what PyTorch's own LSTM answers, so every load compares ours with the original.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # PyTorch and TensorFlow can't share a process

import numpy as np
import torch

from keras_lmf.errors import LMFError
from keras_lmf.files import sha256
from keras_lmf.models.pretrained import published_model
from keras_lmf.publishing import publish_backbone
from keras_lmf.zoo import Backbone, Licences

SAMPLES = 25600  # 1.6 s, the windows of its own training
UNITS = 256


class Encoder(torch.nn.Module):
    """The original network, from mel spectrogram (batch, frames, 40) to all taps (batch, 3 · 768 + 256)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(40, UNITS, 3, batch_first=True)
        self.linear = torch.nn.Linear(UNITS, UNITS)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        taps, hidden = [], mel
        for i in range(3):  # layer by layer, for their states
            layer = torch.nn.LSTM(hidden.shape[-1], UNITS, batch_first=True)
            layer.load_state_dict(
                {
                    name.replace(f"_l{i}", "_l0"): value
                    for name, value in self.lstm.state_dict().items()
                    if name.endswith(f"_l{i}")
                }
            )
            hidden, _ = layer(hidden)
            changes = hidden.diff(dim=1).abs().mean(1)
            taps.append(torch.cat([hidden.mean(1), hidden.std(1, unbiased=False), changes], -1))
        speaker = torch.relu(self.linear(self.lstm(mel)[1][0][-1]))
        return torch.cat([*taps, speaker / speaker.norm(dim=1, keepdim=True)], -1)


def read(path: Path) -> Encoder:
    """The encoder with the file's tensors; a file of anything else is an LMFError."""
    encoder = Encoder()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        encoder.load_state_dict({name: state[name] for name in encoder.state_dict()})
    except Exception as error:  # PyTorch raises all kinds on a damaged or hostile file
        raise LMFError(f"{path} does not hold the GE2E encoder's weights: {error}") from error
    return encoder.eval()


def convert(path: Path, folder: Path) -> Backbone:
    """Writes weights, test vectors and backbone.json to `folder`."""
    encoder, model = read(path), published_model("ge2e", (SAMPLES,))
    state = {name: tensor.numpy() for name, tensor in encoder.state_dict().items()}
    front_end = model.layers[-1]
    for i in range(3):
        # Both stack the gates as input, forget, cell, output. PyTorch has two biases, which add up.
        kernels = [state[f"lstm.weight_{part}_l{i}"].T for part in ("ih", "hh")]
        bias = state[f"lstm.bias_ih_l{i}"] + state[f"lstm.bias_hh_l{i}"]
        front_end.get_layer(f"lstm_{i + 1}").set_weights([*kernels, bias])
    front_end.get_layer("linear").set_weights([state["linear.weight"].T, state["linear.bias"]])

    random = np.random.default_rng(0)
    pitch = random.uniform(80, 300, (4, 1)) * np.linspace(1, random.uniform(0.7, 1.4), SAMPLES)
    waveform = np.sign(np.sin(2 * np.pi * np.cumsum(pitch, axis=1) / 16000)) * 0.05
    waveform = (waveform + 0.01 * random.standard_normal(waveform.shape)).astype("float32")
    mel = front_end.get_layer("spectrum")(front_end.get_layer("level")(waveform))
    with torch.no_grad():
        expected = encoder(torch.from_numpy(np.array(mel))).numpy()
    return publish_backbone(
        model,
        folder,
        inputs=waveform,
        expected=expected,
        summary="GE2E speaker encoder: mel spectrogram, three LSTMs of 256 units, dense layer; LSTMs can be tapped",
        source=f"Resemblyzer (https://github.com/resemble-ai/Resemblyzer), pretrained.pt, sha256 {sha256(path)}",
        licences=Licences(
            code="Apache-2.0",
            weights="Apache-2.0 (Resemblyzer)",
            data="LibriSpeech-other (CC BY 4.0), VoxCeleb1 and VoxCeleb2 (research), as Resemblyzer says",
        ),
        citations=(
            "Wan et al., Generalized end-to-end loss for speaker verification, ICASSP 2018",
            "Jemine, Resemblyzer, 2019",
        ),
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except LMFError as error:
        sys.exit(f"{error}")
