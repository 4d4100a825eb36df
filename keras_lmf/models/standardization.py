"""The standardisation of features in a model: its statistics, which travel in the weights, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_lmf.backbones.sequence import STANDARDIZATION
from keras_lmf.backend import layer_calls, nested_layers
from keras_lmf.errors import unknown_name


def set_standardization(model: keras.Model, statistics: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Gives the model's feature standardisation its statistics, which then travel in its weights.

    Args:
        model: a model of `fusion_model`.
        statistics: modality → (mean, variance), each (width,), of the unmasked steps of the training split.
            Modalities whose backbone has no standardisation are passed over.
    """
    for modality, (mean, variance) in statistics.items():
        for layer in fitted_layers(model, modality, STANDARDIZATION):
            layer.adapt_mean.assign(mean)
            layer.adapt_variance.assign(variance)
    refresh_standardization(model)


def refresh_standardization(model: keras.Model) -> keras.Model:
    """`model`, working with the statistics that are in its weights: after `set_weights`, it still has those of before.

    (`load_weights` does this by itself.)
    """
    for layer in nested_layers(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    # A function that was compiled before holds the old statistics as constants.
    model.train_function = model.test_function = model.predict_function = None
    return model


def fitted_layers(model: keras.Model, modality: str, name: str) -> list[keras.layers.Layer]:
    """The layers of a name in the sub-models that the modality's input enters, a front end and what follows it among
    them: of those that are fitted to the training split before the training begins.
    """
    if modality not in model.input:
        raise unknown_name("modality", modality, model.input)
    return _entered(model, model.input[modality], name)


def _entered(model: keras.Model, entry: Any, name: str) -> list[keras.layers.Layer]:
    reached, layers = [entry], []
    for part in model.layers:
        if not isinstance(part, keras.Model):
            continue
        for inputs, outputs in layer_calls(part):
            for own, tensor in zip(part.inputs, inputs):
                if any(tensor is one for one in reached):
                    layers += [layer for layer in part.layers if layer.name == name]
                    layers += _entered(part, own, name)
                    reached += outputs
    return layers
