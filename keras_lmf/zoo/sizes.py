"""How large the model of a recipe will be, before anything is built: a recipe may be a stranger's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from keras_lmf.recipe import Modality, Recipe
from keras_lmf.recipe.parts import (
    GE2E,
    MFCC,
    Backbone,
    LandmarkFeature,
    Landmarks,
    LandmarkStatistics,
    LogMel,
)


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
        case Landmarks(features=features):
            return 0, _landmark_features(features)
        case LandmarkStatistics(features=features, statistics=statistics):
            groups = sum(4 if word == "quarters" else 1 for word in statistics)
            return 0, groups * _landmark_features(features)
    raise AssertionError(f"the front end {modality.front_end!r} has no size here")


def _landmark_features(words: Sequence[LandmarkFeature]) -> int:
    return sum({"coordinates": 136, "velocities": 136, "distances": 15}[word] for word in words)


def _on_features(backbone: Backbone, width: int) -> tuple[int, int]:
    """Numbers in its kernels, width of its embedding."""
    units = backbone.units
    match backbone.name:
        case "mlp":
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
