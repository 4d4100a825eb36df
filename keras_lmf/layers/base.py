"""What layers share: the arguments they save, the shape they keep, float32 under every policy."""

from __future__ import annotations

from typing import Any

import keras

from keras_lmf.errors import LMFError

Tensor = Any
Shape = tuple[int | None, ...]


class ConfiguredLayer(keras.layers.Layer):
    """Base of the layers here. Its output has the input's shape, unless a subclass says otherwise.

    `ARGUMENTS` are those of `__init__`, kept as attributes of the same names, that `get_config` saves.
    """

    ARGUMENTS: tuple[str, ...] = ()

    def require_whole(self, least: int, *arguments: str) -> None:
        """Refuses an argument that is no whole number, or below `least`."""
        for name in arguments:
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise LMFError(f"{self.name}: {name} must be a whole number ≥ {least}, received {value!r}")

    def require_axes(self, shape: Shape, axes: int, what: str) -> None:
        """Refuses an input that has another number of axes, or an unknown length beside the batch's."""
        if len(shape) != axes or None in shape[1:]:
            raise LMFError(f"{self.name} takes {what}, received {shape}")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in self.ARGUMENTS}}


class Float32Layer(ConfiguredLayer):
    """Base of the layers that compute in float32 under every policy and have nothing to train."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32", "trainable": False})
