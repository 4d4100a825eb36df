"""Cut the two convolutions of Whisper tiny.en's encoder to low rank, as a backbone of the zoo.

    python examples/compress_whisper.py zoo/whisper-convolutions

The factors are those whose answers to training clips of RAVDESS, EmoDB and nEMO (KERAS_LMF_DATA) are nearest to the
whole kernels'. Channels whose answers hardly vary are then made 0. The test vectors hold what the network answers when
it is written with NumPy alone, so every load compares ours with it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from scipy.special import erf

from keras_lmf import zoo
from keras_lmf.backbones.front_ends.whisper import RANKS
from keras_lmf.backend import nested_layers
from keras_lmf.data import corpora
from keras_lmf.errors import LMFError
from keras_lmf.layers import spectral
from keras_lmf.models import low_rank_kernel
from keras_lmf.models.pretrained import published_model
from keras_lmf.publishing import publish_backbone
from keras_lmf.recipe import Recipe
from keras_lmf.zoo import Backbone, Licences

WHOLE = "whisper-tiny-en"
RECIPE = Path(__file__).parents[1] / "zoo" / "whisper-voice" / "recipe.toml"  # whose training clips are heard
CLIPS = 160
SAMPLES, STEP, SILENT_STEPS = 16000, 320, 10
# Least deviation of a channel's answers. Those below vary by little more than rounding, of which a model that
# standardises them would make features.
LEAST_DEVIATION = 2e-4
Arrays = dict[str, np.ndarray]


def patches(frames: np.ndarray, stride: int) -> np.ndarray:
    """(rows, frames, width) → (rows, frames // stride, 3 · width): each frame and its neighbours, zeros at the ends."""
    around = np.pad(frames, ((0, 0), (1, 1), (0, 0)))
    return np.concatenate([around[:, i : i + frames.shape[1] : stride] for i in range(3)], axis=-1)


def convolved(rows: np.ndarray, first: np.ndarray, second: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The answer to patches (…, 3 · width) of a kernel that is the product of two."""
    return rows @ first.reshape(-1, first.shape[-1]).astype("float64") @ second + bias


def gelu(values: np.ndarray) -> np.ndarray:
    """Exact, not by tanh."""
    return values * (1 + erf(values / np.sqrt(2))) / 2


def factors(clips: np.ndarray) -> Arrays:
    """Layer's name and number of the array → weights, for the two layers of each convolution."""
    whole = zoo.load_backbone(WHOLE, clips.shape[1:])
    layers = [whole.get_layer(f"convolution_{i}") for i in (1, 2)]
    heard = keras.Model(whole.input, [layer.input for layer in layers])
    found = {}
    for i, (layer, rank) in enumerate(zip(layers, RANKS), start=1):
        kernel, bias = layer.get_weights()
        # Padded by one on both sides. A patch of zeros is the silence after a clip, which the statistics leave out.
        rows = np.concatenate(
            [heard.predict_on_batch(clips[j : j + 32])[i - 1] for j in range(0, len(clips), 32)]
        )
        rows = patches(rows[:, 1:-1], i).reshape(-1, kernel.shape[0] * kernel.shape[1])
        rows = rows[rows.any(axis=1)]
        first, second, bias = low_rank_kernel(kernel, bias, rows, rank=rank)
        arrays = {f"convolution_{i}_narrow": [first], f"convolution_{i}_wide": [second, bias]}
        # In half of the bytes; what that loses is far below what the cut loses.
        found |= {
            name: [each.astype("float16").astype("float32") for each in part] for name, part in arrays.items()
        }
    (first,), (second, bias) = found["convolution_2_narrow"], found["convolution_2_wide"]
    still = gelu(convolved(rows, first, second, bias)).std(axis=0) < LEAST_DEVIATION
    second[:, still], bias[still] = 0, 0
    return found


def answer(weights: Mapping[str, list[np.ndarray]], clip: np.ndarray) -> np.ndarray:
    """(768,) of a clip (samples,) whose steps are all active, by NumPy in double precision."""
    padded = np.pad(clip.astype("float64"), (0, (-len(clip)) % STEP + SILENT_STEPS * STEP))
    powers = np.square(padded).reshape(-1, STEP).mean(axis=1)
    steps = -(-len(clip) // STEP)
    padded *= 10 ** (-23 / 20) / np.sqrt(powers[:steps].mean())
    around = np.pad(padded, 200)
    frames = np.lib.stride_tricks.sliding_window_view(around, 400)[: len(padded) : 160]
    power = np.abs(np.fft.rfft(frames * spectral.hann_window(400, 400))) ** 2
    mel = np.log10(np.maximum(power @ spectral.mel_filters(16000, 400, 80, 0, 8000), 1e-10))
    hidden = ((np.maximum(mel, mel.max() - 8) + 4) / 4)[None]
    for i in (1, 2):
        (first,), (second, bias) = weights[f"convolution_{i}_narrow"], weights[f"convolution_{i}_wide"]
        hidden = gelu(convolved(patches(hidden, i), first, second, bias))
    return np.concatenate([hidden[0, :steps].mean(axis=0), hidden[0, :steps].std(axis=0)])


def compress(folder: Path) -> Backbone:
    """Writes weights, test vectors and backbone.json to `folder`."""
    recipe = Recipe.read(RECIPE)
    train = corpora.load(recipe.corpus.name, None, recipe.recorded, **recipe.corpus.options)["train"]
    rows = np.linspace(0, len(train) - 1, CLIPS).astype(int)
    weights = factors(train.inputs["voice"][rows])
    model = published_model("whisper_convolutions", (SAMPLES,))
    for layer in nested_layers(model):
        if layer.name in weights:
            layer.set_weights(weights[layer.name])
    random = np.random.default_rng(0)
    pitch = random.uniform(80, 300, (2, 1)) * np.linspace(1, 1.3, SAMPLES)
    clips = np.sign(np.sin(2 * np.pi * np.cumsum(pitch, axis=1) / 16000)) * 0.05
    clips = (clips + 0.01 * random.standard_normal(clips.shape)).astype("float32")
    clips[1, 10000:] = 0
    expected = np.stack([answer(weights, clip[clip != 0]) for clip in clips]).astype("float32")
    facts = corpora.describe(recipe.corpus.name, folder, recipe.inputs)
    titles = ", ".join(map(corpora.title, recipe.corpus.names))
    return publish_backbone(
        model,
        folder,
        inputs=clips,
        expected=expected,
        summary="The two convolutions of Whisper tiny.en's encoder, cut to low rank; mean and deviation over the clip",
        source=f"{WHOLE} of this zoo: each kernel is a product of two, of rank {RANKS[0]} and {RANKS[1]}, whose "
        f"answers to {CLIPS} training clips of {titles} are nearest to the kernel's",
        licences=Licences(
            code="Apache-2.0", weights=f"{facts.weights_licence}; before: MIT (OpenAI)", data=facts.licence
        ),
        citations=(
            "Radford et al., Robust speech recognition via large-scale weak supervision, ICML 2023",
            "Chen et al., DRONE: Data-aware low-rank compression for large NLP models, NeurIPS 2021",
            facts.citation,
        ),
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        compress(Path(sys.argv[1]))
    except LMFError as error:
        sys.exit(f"{error}")
