"""SpecAugment: bands and steps of a spectrogram blotted out in training."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor


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

    AXES = ("batch", "time", "bands")
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
        if seed is not None:
            self.require_whole(0, "seed")
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def require_shape(self, shape: Shape) -> None:
        super().require_shape(shape)
        for name, length in (("step_width", shape[1]), ("band_width", shape[2])):
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
