"""Time alignment: a fast sequence at the pace of a slow one, by averaging."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor
from keras_lmf.layers.positions import LEAST_RATE


@keras.saving.register_keras_serializable("keras_lmf")
class TimeAlignment(ConfiguredLayer):
    """The mean of the real steps in each unit of time.

    Step t of the output is the mean of what lies in [t, t + 1), where step j of the input lasts from j / rate to
    (j + 1) / rate; a step across a border counts by its share on each side. An output's step without a real one is
    zero and masked. So modalities of different rates meet at the slowest before a fusion at each step.

    Input: (batch, steps, width), optional mask (batch, steps). Output: (batch, `steps`, width), and its mask.

    Args:
        steps: of the output, ≥ 1.
        rate: steps of the input in the time of one of the output, 1e-6 to 1e6.

    >>> import numpy as np
    >>> np.asarray(TimeAlignment(2, rate=2.0)(np.array([[[1.0], [3.0], [5.0], [7.0]]]))).ravel().tolist()
    [2.0, 6.0]
    """

    ARGUMENTS = ("steps", "rate")
    AXES = ("batch", "steps", "width")

    def __init__(self, steps: int, *, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps, self.rate = steps, rate
        self.require_whole(1, "steps")
        self.require_number(LEAST_RATE, 1 / LEAST_RATE, "rate")
        self.supports_masking = True

    def _shares(self, inputs: Tensor) -> Tensor:
        """(input's steps, output's steps): how much of each lies in each."""
        starts, edges = np.arange(inputs.shape[1])[:, None] / self.rate, np.arange(self.steps)
        shares = np.minimum(starts + 1 / self.rate, edges + 1) - np.maximum(starts, edges)
        return ops.convert_to_tensor(np.maximum(shares, 0), inputs.dtype)

    def _counts(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        """(batch or 1, steps): how much of each output's step is real."""
        there = ops.ones_like(inputs[:1, :, 0]) if mask is None else ops.cast(mask, inputs.dtype)
        return ops.matmul(there, self._shares(inputs))

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            inputs = ops.where(ops.expand_dims(mask, -1), inputs, ops.zeros_like(inputs))
        sums = ops.matmul(ops.transpose(inputs, (0, 2, 1)), self._shares(inputs))
        counts = ops.expand_dims(self._counts(inputs, mask), -1)
        # Below this lies rounding: no share of a real step is so small.
        return ops.transpose(sums, (0, 2, 1)) / ops.maximum(counts, 1e-4)

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor | None = None) -> Tensor | None:
        return None if previous_mask is None else self._counts(inputs, previous_mask) > 1e-4

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.require_shape(input_shape)
        return (input_shape[0], self.steps, input_shape[2])
