"""How large the model of a recipe will be, before anything is built: a recipe may be a stranger's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice, pairwise

from keras_lmf.recipe import Modality, Recipe
from keras_lmf.recipe.applications import NETWORKS
from keras_lmf.recipe.front_ends import (
    GE2E,
    MFCC,
    Application,
    LandmarkFeature,
    Landmarks,
    LandmarkStatistics,
    LogMel,
    MiniXception,
)
from keras_lmf.recipe.parts import Backbone

I3D = (12_272_704, 1024)  # numbers in its kernels before the embedding, width of its pooled features
XCEPTION = (8, 16, 32, 64, 128)  # filters of mini-Xception's stem and blocks
LANDMARKS = {"coordinates": 136, "velocities": 136, "distances": 15}  # widths of their features


def kernel_numbers(recipe: Recipe) -> int:
    """The numbers in all kernels of the recipe's model: its weights without biases and statistics."""
    backbones = [_backbone(modality) for modality in recipe.inputs.values()]
    total, widths = sum(numbers for numbers, _ in backbones), [width for _, width in backbones]
    fused = sum(widths)
    if len(widths) > 1 and recipe.fusion.name == "low_rank":
        total += recipe.fusion.rank * recipe.fusion.units * fused
        fused = recipe.fusion.units
    elif len(widths) > 1 and recipe.fusion.name == "tensor":
        fused = math.prod(width + 1 for width in widths)
    return total + _dense([fused, *recipe.head.units, recipe.target.size])


def _backbone(modality: Modality) -> tuple[int, int]:
    """Numbers in the kernels of its front end and backbone, width of its embedding."""
    before, width = _front_end(modality)
    numbers, embedding = _on_features(modality.backbone, width)
    return before + numbers, embedding


def _front_end(modality: Modality) -> tuple[int, int]:
    """Numbers in its kernels, width of the features (of one step, where there are steps)."""
    match modality.front_end:
        case None:
            return 0, modality.shape[-1] if modality.shape else 1
        case LogMel(bands=bands):
            return 0, bands
        case MFCC(coefficients=coefficients):
            return 0, coefficients
        case GE2E(layers=layers):
            lstms = [40, *[256] * min(max(layers), 3)]
            numbers = sum(4 * (before + 256) * 256 for before in lstms[:-1])
            return numbers + (256 * 256 if 4 in layers else 0), sum(
                256 if tap == 4 else 3 * 256 for tap in layers
            )
        case MiniXception(taps=taps):
            return _mini_xception(taps)
        case Application(network=network):
            return NETWORKS[network]
        case Landmarks(features=features):
            return 0, _landmark_features(features)
        case LandmarkStatistics(features=features, statistics=statistics):
            groups = sum(4 if word == "quarters" else 1 for word in statistics)
            return 0, groups * _landmark_features(features)
    raise AssertionError(f"the front end {modality.front_end!r} has no size here")


def _landmark_features(words: Sequence[LandmarkFeature]) -> int:
    return sum(LANDMARKS[word] for word in words)


def _mini_xception(taps: Sequence[str]) -> tuple[int, int]:
    highest = 4 if "logits" in taps else max(int(tap[-1]) for tap in taps)
    numbers = 9 * (1 + XCEPTION[0]) * XCEPTION[0]
    for before, filters in islice(pairwise(XCEPTION), highest):
        # The shortcut, and two separable convolutions: of each map by itself, then of all maps.
        numbers += before * filters + 9 * (before + filters) + (before + filters) * filters
    if "logits" in taps:
        numbers += 9 * XCEPTION[-1] * 7
    return numbers, sum(7 if tap == "logits" else XCEPTION[int(tap[-1])] for tap in taps)


def _on_features(backbone: Backbone, width: int) -> tuple[int, int]:
    """Numbers in its kernels, width of its embedding."""
    units = getattr(backbone, "units", 0)
    match backbone.name:
        case "mlp" | "average_pooling":
            widths = [width, *units]
            return _dense(widths), widths[-1]
        case "temporal_convolution":
            widths = [width, *backbone.filters]
            return backbone.kernel_size * _dense(widths) + 2 * widths[-1] * units, units
        case "spectrogram_cnn" | "spectrogram_crnn":
            convolutions = 9 * _dense([1, *backbone.filters])
            pooled = -(-width >> len(backbone.filters)) * (backbone.filters or (1,))[-1]
            if backbone.name == "spectrogram_cnn":
                return convolutions + 2 * pooled * units, units
            return convolutions + 6 * (pooled + units) * units, 4 * units
        case "image_cnn":
            filters = [backbone.filters[0], *backbone.filters]
            kernels = 9 * width * filters[0] + sum(9 * (a + b) * b for a, b in pairwise(filters))
            shortcuts = sum(a * b for a, b in pairwise(filters) if a != b)
            return kernels + shortcuts, filters[-1]
        case "cnn_2plus1d":
            spatial = 9 * _dense([width, *backbone.filters])
            temporal = 3 * sum(filters**2 for filters in backbone.filters)
            return spatial + temporal + 2 * backbone.filters[-1] * units, units
        case "i3d":
            return I3D[0] + I3D[1] * units, units
        case "published_feature":
            return _dense([width, units, units, units]), units
        case "published_text":
            hidden = backbone.hidden_units
            return 4 * (width + hidden) * hidden + hidden * units, units
        case "bilstm":
            return 8 * (width + units) * units, 4 * units
        case "lstm":
            return 4 * (width + units) * units, units
        case "gru":
            return 3 * (width + units) * units, units
    raise AssertionError(f"the backbone {backbone.name!r} has no size here")


def _dense(widths: Sequence[int]) -> int:
    return sum(before * after for before, after in pairwise(widths))
