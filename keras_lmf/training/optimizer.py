"""What training minimises, and how it steps: losses, and Adam with learning rates of their own for some layers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import keras

from keras_lmf.backend import variable_index
from keras_lmf.metrics import PearsonCorrelation
from keras_lmf.models import build
from keras_lmf.models.factory import FUSION
from keras_lmf.recipe import Recipe
from keras_lmf.training.matching import matching
from keras_lmf.training.stages import Stage, freeze

SLOWER = 0.1  # a pretrained front end's learning rate, as a multiple, where the recipe says none


@keras.saving.register_keras_serializable("keras_lmf")
class LayerwiseAdam(keras.optimizers.Adam):
    """Adam whose steps are longer or shorter for the weights of some layers.

    The published LMF code trains the factors at a separate learning rate (Liu et al. 2018), and a pretrained front end
    is tuned at a low one. Keras has no parameter groups, so the rate of every step is multiplied for the variables of a
    layer; a schedule moves all rates. Weight decay, which Keras applies before the step, goes by `learning_rate` for
    all variables.

    Args:
        learning_rate: for every other variable, a number or a schedule.
        multipliers: a layer's name, as in its variables' paths → its rate as a multiple of `learning_rate`. Layers
            whose names begin with it and "_", of which a fusion of steps has many, belong to it.
        **kwargs: as `keras.optimizers.Adam`.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        multipliers: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.multipliers = dict(multipliers or {})

    def build(self, variables: list[keras.Variable]) -> None:
        # Here, because TensorFlow hands `update_step` its own variables, which have no path.
        self._multiplier = [self._multiplier_of(variable.path) for variable in variables]
        super().build(variables)

    def _multiplier_of(self, path: str) -> float:
        for layer, multiplier in self.multipliers.items():
            if any(f"{part}_".startswith(f"{layer}_") for part in path.split("/")):
                return multiplier
        return 1.0

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        multiplier = self._multiplier[variable_index(self, variable)]
        if multiplier != 1:
            learning_rate = learning_rate * multiplier
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "multipliers": self.multipliers}


def compiled(
    recipe: Recipe, steps: int, stage: Stage, model_class: type[keras.Model] | None = None
) -> keras.Model:
    """The recipe's model, ready to fit in one of its stages; an epoch has `steps`. It is a `model_class`, if given."""
    training = recipe.training
    model = build(recipe)
    distillation = training.distillation
    if distillation is not None and distillation.features:
        model = matching(model, recipe.target.name, distillation.features, model_class or keras.Model)
    elif model_class is not None:
        model = model_class(model.input, model.output, name=model.name)
    freeze(model, recipe, stage.frozen)
    rate = stage.learning_rate
    if training.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps * (stage.end - stage.start))
    options = {"weight_decay": training.weight_decay or None}
    multipliers = _multipliers(recipe)
    optimizer = (
        LayerwiseAdam(rate, multipliers, **options) if multipliers else keras.optimizers.Adam(rate, **options)
    )
    losses = {
        "cross_entropy": functools.partial(_cross_entropy, smoothing=training.label_smoothing),
        "mae": keras.losses.MeanAbsoluteError(),
        "mse": keras.losses.MeanSquaredError(),
        "huber": keras.losses.Huber(),
    }
    if recipe.target.classes:
        metrics = [keras.metrics.MeanMetricWrapper(_accuracy, name="war")]
    else:
        metrics = [
            keras.metrics.MeanAbsoluteError(name="mae"),
            PearsonCorrelation(name="pearson", dimensions=recipe.target.size),
        ]
    name = recipe.target.name
    model.compile(optimizer, loss={name: losses[training.loss]}, metrics={name: metrics})
    # Not ours: in mixed precision `compile` wraps it, and all of it must exist before a state is restored.
    model.optimizer.build(model.trainable_variables)
    return model


def _multipliers(recipe: Recipe) -> dict[str, float]:
    """Layer → its learning rate as a multiple of the others'."""
    training = recipe.training
    rates = {FUSION: training.fusion_learning_rate} if training.fusion_learning_rate else {}
    slow = training.front_end_learning_rate or SLOWER * training.learning_rate
    for modality, section in recipe.inputs.items():
        if section.front_end != section.frozen_front_end:
            rates[f"{modality}_front_end"] = slow
    return {layer: rate / training.learning_rate for layer, rate in rates.items()}


def _is_soft(labels: Any) -> bool:
    """Whether these are labels of `Batches` with soft ones: class index, then soft label."""
    return len(labels.shape) == 2 and labels.shape[-1] > 1


def _accuracy(labels: Any, logits: Any) -> Any:
    """Labels of `Batches`, (batch, classes) → (batch,): 1 where the class has the largest logit, else 0."""
    indices = labels[:, :1] if _is_soft(labels) else labels
    return keras.metrics.sparse_categorical_accuracy(indices, logits)


def _cross_entropy(labels: Any, logits: Any, smoothing: float) -> Any:
    """Labels of `Batches`, (batch, classes) → (batch,)."""
    if _is_soft(labels):
        classes = labels[:, 1:]
    elif not smoothing:
        return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    else:
        classes = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), logits.shape[-1])
    return keras.losses.categorical_crossentropy(classes, logits, from_logits=True, label_smoothing=smoothing)
