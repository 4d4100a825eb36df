"""What is fitted to the training split before a training begins, and does not train: it travels in the model's weights.

A standardisation of features, and a projection onto fewer numbers than they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_lmf.backbones.projections import PRINCIPAL_COMPONENTS, TRUNCATED_SVD
from keras_lmf.backbones.sequence import STANDARDIZATION
from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.lazy import Array, LazyArray, hash_of
from keras_lmf.models import fitted_layers, set_standardization


def centered_apart(data: Dataset, modalities: Iterable[str]) -> Dataset:
    """`data`, where each corpus's features are moved by one vector: their mean over its unmasked steps in "train" is
    then the mean of all corpora's means. So a room or a microphone, which is a corpus's, tells no emotion.

    Steps of zeros are absent and stay so. A corpus without training rows is not moved.

    Args:
        data: of several corpora; of one it stays as it is.
        modalities: those that are moved, features (N, d) or (N, steps, d).
    """
    if data.corpora is None:
        return data
    inputs = dict(data.inputs)
    names, corpus = np.unique(data.corpora, return_inverse=True)
    for modality in modalities:
        means = {}
        for i in np.unique(corpus[data.splits == "train"]):
            own = data.take((corpus == i) & (data.splits == "train"))
            means[i], _ = own.statistics(modality)
        common = np.mean(list(means.values()), axis=0)
        shifts = np.array([common - means.get(i, common) for i in range(len(names))], np.float32)
        inputs[modality] = _moved(data.inputs[modality], corpus, shifts)
    return dataclasses.replace(data, inputs=inputs)


class _Moved:
    """Rows of an array, each moved by its corpus's shift."""

    def __init__(self, array: Array, corpus: np.ndarray, shifts: np.ndarray) -> None:
        self.shape, self._array, self._corpus, self._shifts = array.shape, array, corpus, shifts

    def __getitem__(self, rows: Any) -> np.ndarray:
        values, shifts = self._array[rows], self._shifts[self._corpus[rows]]
        shifts = shifts.reshape(len(values), *[1] * (values.ndim - 2), -1)
        return np.where((values != 0).any(axis=-1, keepdims=True), values + shifts, 0)


def _moved(array: Array, corpus: np.ndarray, shifts: np.ndarray) -> Array:
    moved = _Moved(array, corpus, shifts)
    if not isinstance(array, LazyArray):
        return moved[np.arange(len(array))]
    return LazyArray([moved], hash_of(array.digest, corpus.astype("<i8").tobytes(), shifts.tobytes()))


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
