"""Distillation of features: a student's vectors of a batch are to lie to each other as its teachers' do."""

from __future__ import annotations

from typing import Any

import keras

from keras_lmf.models.embedding import with_embedding
from keras_lmf.target import EMBEDDING


def alignment(vectors: Any, teachers: Any) -> Any:
    """Linear centred kernel alignment of two sets of vectors of the same rows (Kornblith et al. 2019, section 3).

    With the columns centred, ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖): 1 where one is the other turned, scaled or moved, 0 where no
    column of one goes with any of the other. The widths may differ, so it needs no weights of its own.

    Args:
        vectors: X, (rows, width) tensor.
        teachers: Y, (rows, another width) tensor; a row of zeros is left out of both.

    Returns:
        Scalar in 0–1; 0 where all rows of one are equal.
    """
    there = keras.ops.cast(keras.ops.any(teachers != 0, axis=1, keepdims=True), teachers.dtype)
    count = keras.ops.maximum(keras.ops.sum(there), 1)

    def gram(values: Any) -> Any:
        values = keras.ops.cast(values, teachers.dtype) * there
        values = (values - keras.ops.sum(values, axis=0) / count) * there
        return keras.ops.matmul(values, keras.ops.transpose(values))

    # ‖YᵀX‖² = ⟨XXᵀ, YYᵀ⟩, and ‖XᵀX‖ = ‖XXᵀ‖: of a batch these are small.
    own, other = gram(vectors), gram(teachers)
    norms = [keras.ops.sqrt(keras.ops.sum(part**2) + keras.config.epsilon()) for part in (own, other)]
    return keras.ops.sum(own * other) / (norms[0] * norms[1])


class _Matching:
    """Of a model with the output "embedding": what the teachers' vectors, among the labels, add to the training loss.

    Attributes:
        features: how much 1 − `alignment` counts.
    """

    features: float

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        loss = super().compute_loss(x, _answers(y), _answers(y_pred), sample_weight, training)
        if training:
            loss = loss + self.features * (1 - alignment(y_pred[EMBEDDING], y[EMBEDDING]))
        return loss

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().compute_metrics(x, _answers(y), _answers(y_pred), sample_weight)


def _answers(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != EMBEDDING}


def matching(model: keras.Model, target: str, features: float, model_class: type[keras.Model]) -> keras.Model:
    """`model`, of class `model_class`, whose training loss has the features' part; its weights are the same ones."""
    kind = type("MatchingModel", (_Matching, model_class), {})
    made = kind(model.input, with_embedding(model, target).output, name=model.name)
    made.features = features
    return made
