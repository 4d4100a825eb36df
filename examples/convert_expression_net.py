"""Convert the published weights of face-api's expression network to a backbone of the zoo.

    npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-1.7.15.tgz   # MIT
    python examples/convert_expression_net.py package/model zoo/face-api-expression

Or those of a run that went on from them (a recipe with the front end `expression_net`, `fine_tuned`, and an `mlp` of no
layers behind it), whose answers become the tap "logits":

    python examples/convert_expression_net.py runs/expression-ferplus-face zoo/expression-ferplus

The published folder holds a list of arrays (JSON) and their bytes, in uint8 with a scale and a least value for each
array. Needs PyTorch beside keras-lmf: the test vectors hold what the original architecture answers there, so every load
compares ours with it.
"""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import NamedTuple

os.environ["KERAS_BACKEND"] = "torch"  # PyTorch and TensorFlow can't share a process

import keras
import numpy as np
import torch
from torch.nn import functional

import keras_lmf as klmf
from keras_lmf.backbones.front_ends.expression_net import EMOTIONS, MEANS, SIDE, TAPS, WIDTHS
from keras_lmf.backbones.sequence import STANDARDIZATION
from keras_lmf.backend import nested_layers
from keras_lmf.data import corpora
from keras_lmf.errors import LMFError
from keras_lmf.files import sha256
from keras_lmf.locate import RECIPE
from keras_lmf.models.pretrained import published_model
from keras_lmf.publishing import publish_backbone
from keras_lmf.recipe import Recipe
from keras_lmf.zoo import Backbone, Licences

SHAPE = (2, SIDE, SIDE, 3)
LIST, BYTES = "face_expression_model-weights_manifest.json", "face_expression_model.bin"
LARGEST = 2**20  # bytes of either

LICENCE = "MIT (Vladimir Mandic's face-api; Vincent Mühler's face-api.js)"
CITATION = "Mühler, face-api.js: JavaScript face recognition API, 2018"
OURS = {"disgusted": "disgust"}  # their word → the one of our vocabulary

Arrays = dict[str, np.ndarray]


class Source(NamedTuple):
    """What the backbone's card says of its weights."""

    text: str
    weights: str
    data: str
    citations: tuple[str, ...] = ()
    learnt: str = ""


def read(folder: Path) -> tuple[Arrays, Source]:
    """Arrays in float32 by their published names, and where they come from; of anything else an LMFError."""
    for path in (folder / LIST, folder / BYTES):
        if not path.is_file() or path.stat().st_size > LARGEST:
            raise LMFError(f"{path} is missing, or no such file of face-api.")
    try:
        listed = json.loads((folder / LIST).read_text(encoding="utf-8"))[0]["weights"]
        data, offset, arrays = (folder / BYTES).read_bytes(), 0, {}
        for item in listed:
            count, stored = math.prod(item["shape"]), item.get("quantization")
            kind = np.dtype(np.uint8 if stored else np.float32)
            values = np.frombuffer(data, kind, count, offset).reshape(item["shape"])
            offset += count * kind.itemsize
            if stored:
                values = values * np.float32(stored["scale"]) + np.float32(stored["min"])
            arrays[item["name"]] = values.astype(np.float32)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise LMFError(f"{folder} does not hold the expression network's weights: {error!r}") from error
    source = Source(
        text="@vladmandic/face-api 1.7.15 (https://github.com/vladmandic/face-api), face_expression_model, from "
        f"https://github.com/justadudewhohacks/face-api.js, sha256 {sha256(folder / BYTES)}",
        weights=LICENCE,
        data="not documented; its author names public datasets and pictures collected from the web",
    )
    return arrays, source


def read_run(folder: Path) -> tuple[Arrays, Source]:
    """The same of a run's folder, and where they come from."""
    recipe = Recipe.read(folder / RECIPE)
    modality, section = next(iter(recipe.inputs.items()))
    words = {"front_end": section.front_end and section.front_end.name, "taps": ("block_4",), "units": ()}
    found = words | {"taps": getattr(section.front_end, "taps", None), "units": section.backbone.units}
    if len(recipe.inputs) != 1 or found != words | {"front_end": "expression_net"}:
        raise LMFError(
            f"{folder / RECIPE} must have one input, an expression_net of block_4 and an mlp of no layers."
        )
    model, arrays = klmf.load(folder), {}
    for layer in nested_layers(model.get_layer(f"{modality}_front_end")):
        if layer.name.startswith("block_"):
            arrays |= dict(zip(names_of(layer.name), layer.get_weights(), strict=True))
    # The answer is linear in standardised features: in the features themselves, too.
    scale = next(layer for layer in nested_layers(model) if layer.name == STANDARDIZATION)
    mean, deviation = (np.asarray(part).reshape(-1) for part in (scale.adapt_mean, scale.adapt_variance**0.5))
    kernel, bias = model.get_layer(recipe.target.name).get_weights()
    kernel = kernel / np.maximum(deviation, keras.config.epsilon())[:, None]
    order = [recipe.target.classes.index(OURS.get(word, word)) for word in EMOTIONS]
    arrays["fc/weights"], arrays["fc/bias"] = kernel[:, order], (bias - mean @ kernel)[order]
    facts = corpora.describe(recipe.corpus.name, folder, recipe.inputs)
    source = Source(
        text=f"a training from the weights of face-api-expression, recipe {recipe.fingerprint}",
        weights=f"{facts.weights_licence}; before: {LICENCE}",
        data=facts.licence,
        citations=(facts.citation,),
        learnt=f", learnt on {corpora.title(recipe.corpus.name)}",
    )
    return arrays, source


def names_of(layer: str) -> list[str]:
    """The published names of one of our layers' weights, in the order in which Keras holds them."""
    if layer == "logits":
        return ["fc/weights", "fc/bias"]
    block, convolution = int(layer.split("_")[1]) - 1, layer[-1]
    words = ("filters",) if layer == "block_1_convolution_0" else ("depthwise_filter", "pointwise_filter")
    return [f"dense{block}/conv{convolution}/{word}" for word in (*words, "bias")]


class Original:
    """The published network in PyTorch, in double precision: pictures (rows, 112, 112, 3) in [0, 255] → every tap."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = {name: torch.from_numpy(array).double() for name, array in arrays.items()}

    def _convolution(self, x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        # "same" as in TensorFlow: of an even picture, a stride of 2 pads the end alone.
        x = functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        if (whole := self._arrays.get(f"{name}/filters")) is not None:
            x = functional.conv2d(x, whole.permute(3, 2, 0, 1), stride=stride)
        else:
            kernel = self._arrays[f"{name}/depthwise_filter"].permute(2, 3, 0, 1)
            x = functional.conv2d(x, kernel, stride=stride, groups=x.shape[1])
            x = functional.conv2d(x, self._arrays[f"{name}/pointwise_filter"].permute(3, 2, 0, 1))
        return x + self._arrays[f"{name}/bias"][:, None, None]

    def taps(self, pictures: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(pictures).double().permute(0, 3, 1, 2)
        x = (x - torch.tensor(MEANS).double()[:, None, None]) / 255
        found = []
        for block in range(len(WIDTHS)):
            one = torch.relu(self._convolution(x, f"dense{block}/conv0", 2))
            two = self._convolution(one, f"dense{block}/conv1", 1)
            three = self._convolution(torch.relu(one + two), f"dense{block}/conv2", 1)
            four = self._convolution(torch.relu(one + two + three), f"dense{block}/conv3", 1)
            x = torch.relu(one + two + three + four)
            found.append(x.mean(dim=(2, 3)))
        found.append(found[-1] @ self._arrays["fc/weights"] + self._arrays["fc/bias"])
        return torch.cat(found, dim=1).numpy().astype("float32")


def pictures(rows: int) -> np.ndarray:
    """(rows, frames, 112, 112, 3) levels 0 … 255: blurred noise; the last clip's last frame is black."""
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.uniform(1, 255, (rows * SHAPE[0], 3, 9, 9)))
    fine = functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic", align_corners=True)
    levels = fine.permute(0, 2, 3, 1).numpy().round().clip(1, 255).reshape(rows, *SHAPE)
    levels[-1, -1] = 0
    return levels


def convert(folder: Path, target: Path) -> Backbone:
    """Writes weights, test vectors and backbone.json to `target`."""
    arrays, source = read_run(folder) if (folder / RECIPE).is_file() else read(folder)
    model = published_model("expression_net", SHAPE)
    network = model.layers[-1].get_layer("network")
    try:
        for layer in network.layers:
            if layer.weights:
                layer.set_weights([arrays[name] for name in names_of(layer.name)])
    except (KeyError, ValueError) as error:
        raise LMFError(f"{folder} holds other weights than the expression network's: {error}") from error

    levels = pictures(rows=2)
    expected = Original(arrays).taps(levels.reshape(-1, *SHAPE[1:])).reshape(len(levels), SHAPE[0], -1)
    expected[-1, -1] = 0
    return publish_backbone(
        model,
        target,
        inputs=(levels / 255).astype("float32"),
        expected=expected,
        summary=f"The expression network of face-api{source.learnt}, of faces of 112 × 112 pixels: four blocks of "
        f"separable convolutions; {', '.join(TAPS)} can be tapped",
        source=source.text,
        licences=Licences(code="Apache-2.0", weights=source.weights, data=source.data),
        citations=(*source.citations, CITATION),
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except LMFError as error:
        sys.exit(f"{error}")
