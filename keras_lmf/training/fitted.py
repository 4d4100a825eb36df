"""What is fitted to the training split before a training begins, and does not train: it travels in the model's weights.

A standardisation of features, and a projection onto fewer numbers than they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_lmf.backbones.projections import PRINCIPAL_COMPONENTS, TRUNCATED_SVD
from keras_lmf.backbones.sequence import STANDARDIZATION
from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.models import fitted_layers, set_standardization


def fit_on_train(model: keras.Model, data: Dataset, modalities: Iterable[str]) -> None:
    """Fits those layers of each modality's backbone to its unmasked steps in "train".

    Args:
        model: of `fusion_model`.
        data: with the model's modalities.
        modalities: those that are fitted; others were copied with what was fitted to other data.

    Raises:
        LMFError: fewer steps than a projection has components.
    """
    for modality in modalities:
        # Frames, of which there are many numbers, have nothing that is fitted.
        if fitted_layers(model, modality, STANDARDIZATION):
            mean, variance = data.statistics(modality)
            set_standardization(model, {modality: (mean, variance)})
        for layer in fitted_layers(model, modality, PRINCIPAL_COMPONENTS):
            from sklearn.decomposition import PCA  # here, as it takes a second

            steps = (data.steps(modality) - mean) / np.sqrt(variance)
            _project(layer, PCA, steps, modality, svd_solver="full")  # the others draw at random
        for layer in fitted_layers(model, modality, TRUNCATED_SVD):
            from sklearn.decomposition import TruncatedSVD

            _project(layer, TruncatedSVD, data.steps(modality), modality, n_iter=10, random_state=0)


def _project(
    layer: keras.layers.Dense, method: Any, steps: np.ndarray, modality: str, **options: Any
) -> None:
    """The layer gives the method's components of a step, each brought to mean 0 and variance 1 over `steps`."""
    if len(steps) < layer.units:
        raise LMFError(
            f"inputs.{modality}.backbone: {layer.units} components need as many steps in the training split, received "
            f"{len(steps)}."
        )
    directions = method(layer.units, **options).fit(steps).components_.T
    scores = steps @ directions
    # Directions in which nothing varies, as of features that depend on each other, stay at 0.
    deviations = np.where(scores.std(axis=0) > 1e-6 * scores.std(), scores.std(axis=0), np.inf)
    layer.kernel.assign(directions / deviations)
    layer.bias.assign(-scores.mean(axis=0) / deviations)
