"""What layers share: the arguments they save, the inputs they take, the shape they keep, float32 under every policy."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from keras_lmf.errors import LMFError

Tensor = Any
Shape = tuple[int | None, ...]


class ConfiguredLayer(keras.layers.Layer):
    """Base of the layers here. Its output has the input's shape, unless a subclass says otherwise.

    `ARGUMENTS` are those of `__init__`, kept as attributes of the same names, that `get_config` saves. `AXES` are those
    of the input; from `KNOWN` on their lengths must be known, and a layer with weights keeps them. `NUMBERS` begin the
    names of the dtypes that it takes.

    Inputs are checked at each call: Keras looks at those of the first one alone, when it builds the layer.
    """

    ARGUMENTS: tuple[str, ...] = ()
    AXES: tuple[str, ...] = ()
    KNOWN = 1
    NUMBERS: tuple[str, ...] = ("float", "bfloat", "int", "uint", "bool")
    _lengths: Shape = ()  # from `KNOWN` on, once it is built

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self.require_inputs(inputs)
        for other in keras.tree.flatten((args, kwargs)):  # presence and masks
            if hasattr(other, "dtype"):
                self._shape_of(other)
        return super().__call__(inputs, *args, **kwargs)

    def require_inputs(self, inputs: Any) -> None:
        """Refuses what is no tensor of such numbers, or of a shape that the layer can't take."""
        self.require_shape(keras.tree.map_structure(self._shape_of, inputs))

    def _shape_of(self, tensor: Any) -> Shape:
        try:
            received = keras.backend.standardize_dtype(tensor.dtype)
        except (AttributeError, ValueError):  # no tensor, or one of what Keras doesn't know
            received = f"'{type(tensor).__name__}'"
        if not received.startswith(self.NUMBERS):
            raise LMFError(f"{self.name} takes tensors of {', '.join(self.NUMBERS)}, received {received}.")
        return tuple(tensor.shape)

    def require_shape(self, shape: Any) -> None:
        """Refuses a shape that the layer can't take: at build, at each call, and when an output's is asked for."""
        if not self.AXES:
            return
        fits = is_shape(shape) and len(shape) == len(self.AXES) and all(shape[self.KNOWN :])
        if not fits or (self.built and self.weights and self._lengths != tuple(shape[self.KNOWN :])):
            known = " and ".join(self.AXES[self.KNOWN :])
            raise LMFError(
                f"{self.name} takes one tensor ({', '.join(self.AXES)}){known and f' of known {known}'}"
                f"{(self.built and f', built on {self._lengths}') or ''}, received the shape {shape}."
            )

    def require_whole(self, least: int, *arguments: str, most: int = 2**31 - 1) -> None:
        """Refuses an argument that is no whole number from `least` to `most`."""
        allowed = f"≥ {least}" if most == 2**31 - 1 else f"{least} … {most}"
        for name in arguments:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise LMFError(f"{self.name}: {name} must be a whole number {allowed}, received {value!r}")

    def require_number(self, least: float, most: float, *arguments: str) -> None:
        """Refuses an argument that is no number from `least` to `most`."""
        for name in arguments:
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
                raise LMFError(f"{self.name}: {name} must be {least:g} to {most:g}, received {value!r}")

    def checked_numbers(
        self, name: str, values: Any, least: float, most: float = math.inf, axes: int = 1
    ) -> Any:
        """An argument that is a list of finite numbers from `least` to `most`, or None.

        Of two axes it is a list of such lists, where a number is a list of one.
        """
        if values is None:
            return None
        try:
            found = np.asarray(values, float)
        except (TypeError, ValueError):
            found = np.array(math.nan)
        if found.ndim == 1 and axes == 2:
            found = found[:, None]
        if (
            found.ndim != axes
            or not np.isfinite(found).all()
            or not ((found >= least) & (found <= most)).all()
        ):
            to = "" if most == math.inf else f" and at most {most:g}"
            rows = "numbers" if axes == 1 else "rows of equally many numbers"
            raise LMFError(
                f"{self.name}: {name} must be {rows} of at least {least:g}{to}, received {values!r}"
            )
        return found.tolist()

    def build(self, input_shape: Any) -> None:
        self.require_shape(input_shape)
        self._lengths = tuple(input_shape[self.KNOWN :]) if self.AXES else ()
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.require_shape(input_shape)
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in self.ARGUMENTS}}


def is_shape(value: Any) -> bool:
    """Whether it is the shape of one tensor, not a list or dict of shapes."""
    return isinstance(value, tuple | list) and all(n is None or isinstance(n, int) for n in value)


def agree(shape: Shape, longer: Shape) -> bool:
    """Whether `longer` begins with `shape`; an unknown length may be any."""
    return len(shape) <= len(longer) and all(a is None or b is None or a == b for a, b in zip(shape, longer))


class Float32Layer(ConfiguredLayer):
    """Base of the layers that compute in float32 under every policy and have nothing to train."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32", "trainable": False})

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["trainable"]
        return config
