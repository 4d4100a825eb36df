"""What PyTorch writes and answers, for tests that run on TensorFlow: one process can't hold both.

`python pytorch_worker.py TASK FOLDER` runs a function of this file, which leaves what it found in `FOLDER`.
"""

from __future__ import annotations

import importlib.util
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import torch
from bombs import Bomb
from one_framework import keep_apart

import keras_lmf as klmf
from keras_lmf.errors import LMFError

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except LMFError as error:
        return str(error)
    return "not refused"


def ge2e(folder: Path) -> dict[str, np.ndarray]:
    """random.pt, the backbone `random` that the example makes of it, and what PyTorch answers."""
    torch.manual_seed(3)
    lstm, linear = torch.nn.LSTM(40, 256, 3, batch_first=True), torch.nn.Linear(256, 256)
    state = {f"lstm.{name}": value for name, value in lstm.state_dict().items()}
    state |= {f"linear.{name}": value for name, value in linear.state_dict().items()}
    # The published file holds more, which is left where it is.
    state |= {"similarity_weight": torch.ones(1), "similarity_bias": torch.zeros(1)}
    torch.save({"step": 7, "model_state": state}, folder / "random.pt")
    backbone = example("convert_ge2e").convert(folder / "random.pt", folder / "random")

    model = klmf.zoo.load_backbone(folder / "random")
    waveform = (np.random.default_rng(5).standard_normal((2, 25600)) * 0.1).astype("float32")
    with torch.no_grad():
        mel = model.get_layer("spectrum")(model.get_layer("level")(waveform))
        outputs, (last, _) = lstm(mel)
        speaker = torch.relu(linear(last[-1])).numpy()
    numbers = sum(
        value.numel() for name, value in state.items() if "similarity" not in name and "bias_hh" not in name
    )
    return {
        "waveform": waveform,
        "mean": outputs.mean(1).numpy(),
        "speaker": speaker / np.linalg.norm(speaker, axis=1, keepdims=True),
        "parameters": np.array([backbone.parameters, numbers]),
        "source": np.array(backbone.source),
    }


def ge2e_refusals(folder: Path) -> dict[str, np.ndarray]:
    """What the example says of hostile.pt, of files of other tensors, and of none."""
    convert = example("convert_ge2e").convert
    torch.save({"model_state": Bomb(folder / "canary")}, folder / "hostile.pt")
    torch.load(folder / "hostile.pt", weights_only=False)
    touched = (folder / "canary").exists()
    (folder / "canary").unlink()
    others = (
        {"model_state": {"lstm.weight_ih_l0": torch.zeros(1024, 40)}},
        {"model_state": {name: torch.zeros(3) for name in torch.nn.LSTM(40, 256, 3).state_dict()}},
        [torch.zeros(3)],
    )
    files = ["hostile.pt", "none.pt"]
    for i, content in enumerate(others):
        torch.save(content, folder / f"other_{i}.pt")
        files.append(f"other_{i}.pt")
    messages = [refusal(lambda file=file: convert(folder / file, folder / "made")) for file in files]
    return {"touched": np.array(touched), "files": np.array(files), "messages": np.array(messages)}


def whisper(folder: Path) -> dict[str, np.ndarray]:
    """The backbone `random` of random.bin, how far PyTorch answers from it, and what is said of spoilt files."""
    module, drawn = example("convert_whisper"), np.random.default_rng(6)
    arrays = {f"decoder/{i}": np.zeros(3, "<f4") for i in range(2)}  # the published file holds more
    for name, shape in module.shapes().items():
        middle = 1.0 if name.endswith("gamma") else 0.0
        arrays[f"encoder/{name}"] = drawn.normal(middle, 0.05, shape).astype("<f2")
        if name.endswith("self_attention/linear_0/bias"):
            arrays[f"encoder/{name}"][384:768] = 0

    def content(version: int = 6, **changes: np.ndarray) -> bytes:
        def text(word: str) -> bytes:
            return struct.pack("<H", len(word) + 1) + word.encode() + b"\0"

        parts = [struct.pack("<I", version), text("WhisperSpec"), struct.pack("<II", 3, len(arrays))]
        for name, array in (arrays | changes).items():
            kind = {"f": 0, "e": 4}[array.dtype.char]
            parts.append(text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape))
            parts.append(struct.pack("<BI", kind, array.nbytes) + array.tobytes())
        return b"".join([*parts, struct.pack("<I", 0)])

    (folder / "random.bin").write_bytes(content())
    backbone = module.convert(folder / "random.bin", folder / "random")
    waveform = 0.1 * drawn.standard_normal(16000).astype("float32")
    ours = klmf.zoo.load_backbone(folder / "random")(waveform[None])[0].numpy()
    scaled = waveform * 10 ** (-23 / 20) / np.sqrt(np.mean(np.square(waveform)))
    theirs = module.original(module.read(folder / "random.bin"), scaled.astype("float32"))

    bias = "encoder/conv1/bias"
    spoilt = {
        "short.bin": content()[:-100_000],
        "old.bin": content(version=5),
        "shape.bin": content(**{bias: np.zeros(80, "<f2")}),
        "type.bin": content(**{bias: np.zeros(384, "<f4")}),
        "text.bin": b"no weights",
    }
    for file, stored in spoilt.items():
        (folder / file).write_bytes(stored)
    files = [*spoilt, "none.bin"]
    return {
        "difference": np.abs(ours - theirs).max(),
        "source": np.array(backbone.source),
        "files": np.array(files),
        "messages": np.array(
            [refusal(lambda file=file: module.convert(folder / file, folder / "made")) for file in files]
        ),
    }


def mini_xception(folder: Path) -> dict[str, np.ndarray]:
    """The original's taps of pictures.npy with the weights of the shipped front end."""
    module, published = example("convert_mini_xception"), klmf.zoo.load_backbone("mini-xception")
    arrays = {
        f"{layer}/{word}": array
        for ours, layer in module.LAYERS.items()
        for word, array in zip(module.words(layer), published.get_layer(ours).get_weights(), strict=True)
    }
    return {"taps": module.Original(arrays).taps(np.load(folder / "pictures.npy"))}


def mini_xception_files(folder: Path) -> dict[str, np.ndarray]:
    """The backbone `random` of random.hdf5, and what the example says of files that are spoilt."""
    module, published = example("convert_mini_xception"), klmf.zoo.load_backbone("mini-xception")
    random = np.random.default_rng(8)
    arrays = {}
    for ours, layer in module.LAYERS.items():
        for word, weight in zip(module.words(layer), published.get_layer(ours).weights, strict=True):
            positive = "variance" in word or word == "gamma"
            drawn = (
                random.uniform(0.5, 1.5, weight.shape) if positive else random.normal(0, 0.1, weight.shape)
            )
            arrays[f"{layer}/{word}"] = drawn.astype("float32")

    def write(name: str) -> None:
        with h5py.File(folder / name, "w") as file:
            file.attrs["model_config"] = "never read"
            for name, array in arrays.items():
                layer, word = name.split("/")
                file[f"model_weights/{layer}/{layer}_1/{word}:0"] = array

    write("random.hdf5")
    backbone = module.convert(folder / "random.hdf5", folder / "random")
    bias = arrays["conv2d_7/bias"]
    arrays["conv2d_7/bias"] = np.zeros(8, "float32")
    write("other.hdf5")
    (folder / "text.hdf5").write_text("no HDF5")
    messages = [
        refusal(lambda file=file: module.convert(folder / file, folder / "made"))
        for file in ("other.hdf5", "text.hdf5")
    ]
    numbers = sum(array.size for array in arrays.values()) - 1  # of other.hdf5, which has one more
    return {
        "parameters": np.array([backbone.parameters, numbers]),
        "bias": bias,
        "messages": np.array(messages),
    }


def expression_net_files(folder: Path) -> dict[str, np.ndarray]:
    """The backbone `random` of a folder of drawn arrays, and what the example says of folders that are spoilt."""
    module, published = example("convert_expression_net"), klmf.zoo.load_backbone("face-api-expression")
    drawn, listed, stored = np.random.default_rng(9), [], b""
    for layer in published.get_layer("network").layers:
        shapes = {weight.path.split("/")[-1]: tuple(weight.shape) for weight in layer.weights}
        words = {"kernel": "weights" if layer.name == "logits" else "filters", "bias": "bias"}
        words |= {"depthwise_kernel": "depthwise_filter", "pointwise_kernel": "pointwise_filter"}
        for own, shape in shapes.items():
            place = "fc" if layer.name == "logits" else f"dense{int(layer.name[6]) - 1}/conv{layer.name[-1]}"
            item = {"name": f"{place}/{words[own]}", "shape": shape, "dtype": "float32"}
            if own == "bias":
                stored += drawn.normal(0, 0.1, shape).astype("<f4").tobytes()
            else:
                item["quantization"] = {"dtype": "uint8", "scale": 0.002, "min": -0.25}
                stored += drawn.integers(0, 256, shape, np.uint8).tobytes()
            listed.append(item)

    def made(name: str, text: str, content: bytes) -> Path:
        (folder / name).mkdir()
        (folder / name / module.LIST).write_text(text, encoding="utf-8")
        (folder / name / module.BYTES).write_bytes(content)
        return folder / name

    text = json.dumps([{"weights": listed}])
    backbone = module.convert(made("whole", text, stored), folder / "random")
    spoilt = [
        made("short", text, stored[:-8]),
        made("text", "no JSON", stored),
        made("other", text.replace("fc/bias", "fc/other"), stored),
        folder / "none",
    ]
    messages = [refusal(lambda path=path: module.convert(path, folder / "made")) for path in spoilt]
    return {
        "bias": np.frombuffer(stored[-28:], "<f4"),
        "parameters": np.array(backbone.parameters),
        "messages": np.array(messages),
    }


if __name__ == "__main__":
    keep_apart()
    task, target = sys.argv[1], Path(sys.argv[2])
    np.savez(target / f"{task}.npz", **globals()[task](target))
