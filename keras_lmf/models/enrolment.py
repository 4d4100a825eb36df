"""Speaker enrolment: the centre of a model's standardisation moves towards the mean of one speaker's clips."""

from __future__ import annotations

import keras
import numpy as np

from keras_lmf.backbones.sequence import STANDARDIZATION
from keras_lmf.backend import layer_calls
from keras_lmf.models.factory import front_ends_of
from keras_lmf.models.standardization import fitted_layers, refresh_standardization

PRIOR_CLIPS = 3  # the training speakers' mean weighs as much as so many clips


def shrinkage(clips: int) -> float:
    """How far the centre moves from the training mean (0) to the mean of so many clips (1): clips / (clips + 3).

    >>> shrinkage(1), shrinkage(9)
    (0.25, 0.75)
    """
    return clips / (clips + PRIOR_CLIPS)


def centres(model: keras.Model, modality: str) -> list[np.ndarray]:
    """What is subtracted from the modality's features, (width,) for each backbone that standardises them."""
    layers = fitted_layers(model, modality, STANDARDIZATION)
    return [keras.ops.convert_to_numpy(layer.adapt_mean) for layer in layers]


def enrol(model: keras.Model, modality: str, mean: np.ndarray, clips: int) -> None:
    """Moves each of `centres` by `shrinkage(clips)` · (`mean` − itself), in place; the variance stays.

    Args:
        model: of `build` or `fusion_model`.
        modality: a name of its inputs.
        mean: (width,), of the features of the speaker's clips.
        clips: how many.
    """
    layers = fitted_layers(model, modality, STANDARDIZATION)
    for layer, centre in zip(layers, centres(model, modality)):
        layer.adapt_mean.assign(centre + shrinkage(clips) * (mean - centre))
    refresh_standardization(model)


def with_features(model: keras.Model, modality: str, target: str) -> keras.Model | None:
    """`model` that gives [features of the modality's front end, logits of `target`]; None where no speaker can be
    enrolled: it has no such front end, or doesn't standardise the features."""
    front_end = front_ends_of(model).get(modality)
    if front_end is None or not centres(model, modality):
        return None
    raw = model.input[modality]
    ((features,),) = [outputs for inputs, outputs in layer_calls(front_end) if inputs[0] is raw]
    return keras.Model(model.input, [features, model.output[target]])
