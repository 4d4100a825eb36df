"""Sinusoids that tell each step of a sequence its time."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lmf.layers.base import ConfiguredLayer, Tensor

LEAST_RATE = 1e-6


@keras.saving.register_keras_serializable("keras_lmf")
class Positions(ConfiguredLayer):
    """The sequence, with the sinusoids of its steps' times added.

    Half of the width is sin(t / 10,000^(i / (half − 1))), the other half the cosines. Vaswani et al., "Attention Is All
    You Need", NeurIPS 2017, section 3.5.

    Input: (batch, steps, width). Output: the same shape; the mask stays.

    Args:
        rate: steps in a unit of time, 1e-6 to 1e6: step j stands at j / rate.

    >>> import numpy as np
    >>> np.asarray(Positions()(np.zeros((1, 2, 2), "float32")), float).round(2).tolist()
    [[[0.0, 1.0], [0.84, 0.54]]]
    """

    ARGUMENTS = ("rate",)
    AXES = ("batch", "steps", "width")
    KNOWN = 2

    def __init__(self, rate: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.require_number(LEAST_RATE, 1 / LEAST_RATE, "rate")
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        width = inputs.shape[-1]
        half = (width + 1) // 2
        frequencies = np.exp(-np.log(1e4) * np.arange(half) / max(half - 1, 1)).astype("float32")
        times = ops.arange(ops.shape(inputs)[1], dtype="float32") / self.rate
        angles = ops.expand_dims(times, -1) * frequencies
        sinusoids = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)[:, :width]
        return inputs + ops.cast(sinusoids, inputs.dtype)
