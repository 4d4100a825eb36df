"""Every clip at the same level."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_lmf.layers.base import Float32Layer, Tensor


@keras.saving.register_keras_serializable("keras_lmf")
class LevelNormalization(Float32Layer):
    """Scales each waveform so that the root mean square of its samples that are not zero is `level`.

    So padding does not count, and a clip of zeros stays one. Always computed in float32. What grows beyond [-1, 1] is
    not clipped.

    Input and output: (batch, samples).

    Args:
        level: in decibels relative to full scale (an RMS of 1), -200 to 0.

    >>> import numpy as np
    >>> clip = np.array([[0.5, -0.5, 0.0, 0.0]], "float32")
    >>> np.asarray(LevelNormalization(level=-20)(clip)).astype(float).round(3).tolist()
    [[0.1, -0.1, 0.0, 0.0]]
    """

    ARGUMENTS = ("level",)
    AXES = ("batch", "samples")
    KNOWN = 2
    NUMBERS = ("float", "bfloat")  # integers would not be in [-1, 1]
    LEAST = 1e-10  # mean square: what is quieter than -100 dB stays quieter than `level`

    def __init__(self, level: float = -30.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.level = level
        self.require_number(-200, 0, "level")

    def call(self, inputs: Tensor) -> Tensor:
        inputs = ops.cast(inputs, "float32")
        count = ops.sum(ops.cast(ops.not_equal(inputs, 0), "float32"), axis=-1, keepdims=True)
        power = ops.sum(ops.square(inputs), axis=-1, keepdims=True) / ops.maximum(count, 1.0)
        return inputs * ops.rsqrt(ops.maximum(power, self.LEAST)) * 10 ** (self.level / 20)
