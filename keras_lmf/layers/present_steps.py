"""The steps of a modality that may be absent."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor, agree, is_shape


@keras.saving.register_keras_serializable("keras_lmf")
class PresentSteps(ConfiguredLayer):
    """A sequence whose steps are all masked where its modality is absent.

    Input: a list of the sequence (batch, steps, width), optionally masked, and of `ModalityPresence`'s answer
    (batch, M). Output: the sequence, with zeros where the modality is absent, and its mask.

    Args:
        modality: the modality's place in the presence, from 0 on.
    """

    ARGUMENTS = ("modality",)

    def __init__(self, modality: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.modality = modality
        self.require_whole(0, "modality")
        self.supports_masking = True

    def require_shape(self, shape: Any) -> None:
        fits = isinstance(shape, list | tuple) and len(shape) == 2 and all(is_shape(part) for part in shape)
        fits = fits and len(shape[0]) == 3 and len(shape[1]) == 2 and agree(shape[1][:1], shape[0])
        if not fits or not (shape[1][1] or 0) > self.modality:
            raise LMFError(
                f"{self.name} takes a list of a sequence (batch, steps, width) and a presence (batch, modalities) with "
                f"modality {self.modality} among them, received the shapes {shape}."
            )

    def call(self, inputs: list[Tensor]) -> Tensor:
        sequence, presence = inputs
        there = ops.reshape(presence[:, self.modality] > 0, (-1, 1, 1))
        return ops.where(there, sequence, ops.zeros_like(sequence))

    def compute_mask(
        self, inputs: list[Tensor], previous_mask: list[Tensor | None] | None = None
    ) -> Tensor | None:
        sequence, presence = inputs
        known = previous_mask[0] if previous_mask else None
        if known is None and isinstance(sequence, keras.KerasTensor):
            # A sub-model's mask is not known before it runs. Keras would write this half of the mask into the graph.
            return None
        there = ops.logical_and(presence[:, self.modality, None] > 0, ops.ones_like(sequence[:, :, 0]) > 0)
        return there if known is None else ops.logical_and(there, known)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        self.require_shape(input_shape)
        return tuple(input_shape[0])
