"""What every fusion layer shares: modalities bound by name, presence, masks."""

from __future__ import annotations

import abc
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor


class ModalityFusion(ConfiguredLayer, abc.ABC):
    """Base of the fusion layers. A subclass implements `fuse(embeddings)` and `fused_width`.

    Inputs are a list or a dict of two or more tensors (…, d_m) with equal leading axes. A dict's insertion order
    at build (or `modalities`, when given) is the modality order; afterwards tensors are looked up by key.

    Args:
        modalities: names in modality order, for dict inputs. Default: the order of the dict at build.
    """

    def __init__(self, *, modalities: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.modalities = tuple(modalities) if modalities else None
        self.supports_masking = True

    # -- for subclasses ---------------------------------------------------------------------------------------
    @abc.abstractmethod
    def fuse(self, embeddings: list[Tensor]) -> Tensor:
        """The fused tensor (…, fused_width) of embeddings in modality order; absent ones are zero."""

    @property
    @abc.abstractmethod
    def fused_width(self) -> int:
        """Size of the output's last axis; known once the layer is built."""

    # -- binding ----------------------------------------------------------------------------------------------
    def bind(self, items: Mapping[str, Any] | Sequence[Any], what: str = "inputs") -> list[Any]:
        """`items` (dict or list, one per modality) as a list in modality order."""
        if isinstance(items, Mapping):
            if self.modalities is None:
                raise LMFError(f"{self.name}: {what} are a dict, but the layer was built on a list")
            for name in items:
                if name not in self.modalities:
                    raise unknown_name(f"modality in the {what} of {self.name}", name, self.modalities)
            missing = [name for name in self.modalities if name not in items]
            if missing:
                raise LMFError(
                    f"{self.name}: {what} miss {', '.join(missing)}. Received: {', '.join(items)}. "
                    f"Needed: {', '.join(self.modalities)}."
                )
            return [items[name] for name in self.modalities]
        if not isinstance(items, (list, tuple)):
            raise LMFError(f"{self.name}: {what} must be a list or a dict, received {type(items).__name__}")
        if self.modalities is not None:
            raise LMFError(
                f"{self.name}: {what} are a list, but the layer is bound to the names "
                f"{', '.join(self.modalities)}: pass a dict with these keys"
            )
        return list(items)

    def modality_index(self, modality: int | str) -> int:
        """Position of a modality given by index or name."""
        if isinstance(modality, str):
            if modality not in (self.modalities or ()):
                raise unknown_name(f"modality of {self.name}", modality, self.modalities or ())
            return self.modalities.index(modality)
        if not 0 <= modality < len(self.widths):
            raise LMFError(f"{self.name}: modality {modality} is outside 0 … {len(self.widths) - 1}")
        return modality

    # -- Keras ------------------------------------------------------------------------------------------------
    def build(self, input_shape: Mapping[str, Shape] | Sequence[Shape]) -> None:
        if isinstance(input_shape, Mapping) and self.modalities is None:
            self.modalities = tuple(input_shape)
        if not isinstance(input_shape, Mapping) and any(not isinstance(s, Sequence) for s in input_shape):
            raise LMFError(
                f"{self.name} fuses a list or a dict of two or more tensors, received one of shape {input_shape}"
            )
        shapes = [tuple(shape) for shape in self.bind(input_shape)]
        if len(shapes) < 2:
            raise LMFError(f"{self.name} fuses two or more modalities, received {len(shapes)}: {shapes}")
        for shape in shapes:
            if len(shape) < 2 or shape[-1] is None:
                raise LMFError(
                    f"{self.name} needs inputs (batch, …, width) of known width, received {shapes}"
                )
            if len(shape) != len(shapes[0]) or any(
                a is not None and b is not None and a != b for a, b in zip(shape[:-1], shapes[0][:-1])
            ):
                raise LMFError(f"{self.name} needs inputs with equal leading axes, received {shapes}")
        self.widths = tuple(int(shape[-1]) for shape in shapes)
        super().build(input_shape)

    def call(self, inputs: Any, presence: Tensor | None = None, mask: Any = None) -> Tensor:
        return self.fuse(self.present_embeddings(inputs, presence, mask))

    def present_embeddings(
        self, inputs: Any, presence: Tensor | None = None, mask: Any = None
    ) -> list[Tensor]:
        """The inputs in modality order, zero where a modality is absent or its step is masked.

        Selected with `where`, never by a product: an absent input may be NaN, and 0 × NaN is NaN.
        """
        embeddings = self.bind(inputs)
        masks = self.bind(mask, "masks") if mask is not None else [None] * len(embeddings)
        if presence is not None and presence.shape[-1] != len(embeddings):
            raise LMFError(
                f"{self.name}: presence needs one value per modality on its last axis, "
                f"received shape {tuple(presence.shape)} for {len(embeddings)} modalities"
            )
        present = []
        for m, (embedding, step_mask) in enumerate(zip(embeddings, masks)):
            flags = [] if step_mask is None else [step_mask]
            if presence is not None:
                flags.append(presence[..., m])
            for flag in flags:
                flag = ops.cast(flag, "bool")
                while len(flag.shape) < len(embedding.shape):
                    flag = ops.expand_dims(flag, -1)
                embedding = ops.where(flag, embedding, ops.zeros_like(embedding))
            present.append(embedding)
        return present

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Tensor | None:
        """A fused step is real where any modality's step is."""
        masks = self.bind(previous_mask, "masks") if previous_mask is not None else [None]
        if any(mask is None for mask in masks):
            return None
        return functools.reduce(ops.logical_or, masks)

    def compute_output_shape(self, input_shape: Mapping[str, Shape] | Sequence[Shape]) -> Shape:
        if not self.built:
            self.build(input_shape)
        return (*self.bind(input_shape)[0][:-1], self.fused_width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "modalities": list(self.modalities) if self.modalities else None}
