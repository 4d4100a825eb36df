"""How large the model of a recipe will be, before anything is built: a recipe may be a stranger's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from keras_lmf.recipe import Modality, Recipe


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
    """Numbers in its kernels, width of its embedding."""
    backbone, width = modality.backbone, modality.shape[-1] if modality.shape else 1
    units = backbone.units
    match backbone.name:
        case "mlp":
            widths = [width, *units]
            return _dense(widths), widths[-1]
        case "temporal_convolution":
            widths = [width, *backbone.filters]
            return backbone.kernel_size * _dense(widths) + 2 * widths[-1] * units, units
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
