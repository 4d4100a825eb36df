"""Sequences: convolution and pooling that keep padding out, and stretches blotted out in training."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor


@keras.saving.register_keras_serializable("keras_lmf")
class TemporalConvolution(keras.layers.Conv1D):
    """One-dimensional convolution over time that knows masks.

    Masked steps enter as zeros, which is what lies beyond the end of a sequence anyway ("same" padding), so a
    sequence gives the same output however far it was padded. The mask is passed on unchanged.

    Input: (batch, time, channels), optional mask (batch, time). Output: (batch, time, filters).

    Args:
        filters, kernel_size, activation, …: as `keras.layers.Conv1D`; `padding` is always "same" and `strides` 1.

    >>> import numpy as np
    >>> TemporalConvolution(filters=8, kernel_size=3)(np.ones((2, 5, 4), "float32")).shape[-1]
    8
    """

    def __init__(self, filters: int, kernel_size: int, **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, strides=1, padding="same", **kwargs)
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            inputs = ops.where(ops.expand_dims(mask, -1), inputs, ops.zeros_like(inputs))
        return super().call(inputs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["strides"], config["padding"]
        return config


@keras.saving.register_keras_serializable("keras_lmf")
class StatisticsPooling(keras.layers.Layer):
    """Mean and standard deviation over the real steps of a sequence.

    Snyder et al., "X-vectors: Robust DNN embeddings for speaker recognition", ICASSP 2018, section 2.1. A sequence
    whose steps are all masked gives zeros, with zero gradient (no NaN).

    Input: (batch, time, channels), optional mask (batch, time). Output: (batch, 2 · channels): means, deviations.

    >>> import numpy as np
    >>> np.asarray(StatisticsPooling()(np.array([[[1.0], [3.0]]], "float32"))).round(2).tolist()
    [[2.0, 1.0]]
    """

    # Keeps the square root's gradient finite where all steps are equal.
    EPSILON = 1e-5

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        inputs = ops.cast(inputs, keras.backend.result_type(self.compute_dtype, "float32"))
        if mask is None:
            weights = ops.ones_like(inputs[..., :1])
        else:
            weights = ops.cast(ops.expand_dims(mask, -1), inputs.dtype)
            inputs = ops.where(ops.expand_dims(mask, -1), inputs, ops.zeros_like(inputs))
        count = ops.maximum(ops.sum(weights, axis=1), 1.0)
        mean = ops.sum(inputs, axis=1) / count
        centred = (inputs - ops.expand_dims(mean, 1)) * weights
        variance = ops.sum(ops.square(centred), axis=1) / count
        deviation = ops.sqrt(variance + self.EPSILON**2) - self.EPSILON
        return ops.cast(ops.concatenate([mean, deviation], axis=-1), self.compute_dtype)

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor | None = None) -> None:
        """Pooling ends the sequence: there is no mask after it."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], 2 * input_shape[-1])


@keras.saving.register_keras_serializable("keras_lmf")
class SpecAugment(ConfiguredLayer):
    """Sets random bands and random stretches of time to zero, anew for each clip, in training only.

    Park et al., "SpecAugment: A simple data augmentation method for automatic speech recognition", Interspeech 2019,
    section 2 (frequency and time masking, no time warping). Zero is the mean of standardised features. A mask's width
    is uniform on 0 … the largest width, its place uniform on what fits.

    Input and output: (batch, time, bands), and a mask (batch, time), which passes.

    Args:
        band_masks: how many masks over bands; 0 for none.
        band_width: largest number of bands under one mask.
        step_masks: how many masks over time; 0 for none.
        step_width: largest number of steps under one mask.
        seed: of the masks.

    >>> import numpy as np
    >>> clip = np.ones((1, 50, 40), "float32")
    >>> bool((np.asarray(SpecAugment()(clip)) == clip).all())  # not training
    True
    """

    ARGUMENTS = ("band_masks", "band_width", "step_masks", "step_width", "seed")

    def __init__(
        self,
        band_masks: int = 2,
        band_width: int = 8,
        step_masks: int = 2,
        step_width: int = 25,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.band_masks, self.band_width = band_masks, band_width
        self.step_masks, self.step_width = step_masks, step_width
        self.require_whole(0, "band_masks", "band_width", "step_masks", "step_width")
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        self.require_axes(input_shape, 3, "(batch, time, bands) of known lengths")
        for name, length in (("step_width", input_shape[1]), ("band_width", input_shape[2])):
            if getattr(self, name) > length:
                raise LMFError(
                    f"{self.name}: {name}={getattr(self, name)} is more than the {length} there are"
                )

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training:
            return inputs
        _, steps, bands = inputs.shape
        hidden_steps = self._hidden(inputs, self.step_masks, self.step_width, steps)
        hidden_bands = self._hidden(inputs, self.band_masks, self.band_width, bands)
        hidden = ops.logical_or(ops.expand_dims(hidden_steps, 2), ops.expand_dims(hidden_bands, 1))
        return ops.where(hidden, ops.zeros_like(inputs), inputs)

    def _hidden(self, inputs: Tensor, masks: int, width: int, length: int) -> Tensor:
        """(batch, length) bool: what lies under one of the masks."""
        drawn = keras.random.uniform((2, ops.shape(inputs)[0], masks, 1), seed=self.seed_generator)
        widths = ops.floor(drawn[0] * (width + 1))
        starts = ops.floor(drawn[1] * (length - widths + 1))
        index = ops.arange(length, dtype=drawn.dtype)
        return ops.any(ops.logical_and(index >= starts, index < starts + widths), axis=1)
