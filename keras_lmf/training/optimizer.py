"""Adam with a learning rate of its own for the fusion layer."""

from __future__ import annotations

from typing import Any

import keras

from keras_lmf.backend import variable_index


@keras.saving.register_keras_serializable("keras_lmf")
class FusionAdam(keras.optimizers.Adam):
    """Adam whose fusion weights move at their own rate.

    The published LMF code trains the factors at a separate learning rate (Liu et al. 2018). Keras has no parameter
    groups, so the rate of every step is multiplied for the variables of one layer; a schedule moves both rates. Weight
    decay, which Keras applies before the step, goes by `learning_rate` for all variables.

    Args:
        learning_rate: for every other variable, a number or a schedule.
        fusion_multiplier: the fusion layer's rate as a multiple of `learning_rate`.
        fusion_layer: the fusion layer's name, as in its variables' paths.
        **kwargs: as `keras.optimizers.Adam`.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        fusion_multiplier: float = 1.0,
        fusion_layer: str = "fusion",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.fusion_multiplier = fusion_multiplier
        self.fusion_layer = fusion_layer

    def build(self, variables: list[keras.Variable]) -> None:
        # Here, because TensorFlow hands `update_step` its own variables, which have no path.
        self._is_fusion = [self.fusion_layer in variable.path.split("/") for variable in variables]
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self._is_fusion[variable_index(self, variable)]:
            learning_rate = learning_rate * self.fusion_multiplier
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "fusion_multiplier": self.fusion_multiplier,
            "fusion_layer": self.fusion_layer,
        }
