"""What every fusion layer shares: modalities bound by name, presence, masks."""

from __future__ import annotations

import abc
import functools
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.layers.base import ConfiguredLayer, Shape, Tensor, agree, is_shape


class ModalityFusion(ConfiguredLayer, abc.ABC):
    """Base of the fusion layers. A subclass implements `fuse(embeddings)` and `fused_width`.

    Inputs are a list or a dict of two or more tensors (…, d_m) with equal leading axes. A dict's insertion order
    at build (or `modalities`, when given) is the modality order; afterwards tensors are looked up by key.

    Number and widths are those of the build ever after; integers count as real numbers.

    Args:
        modalities: names in modality order, for dict inputs; two or more different ones, without "/". Default: the
            order of the dict at build.
    """

    def __init__(self, *, modalities: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.modalities = None if modalities is None else self._checked_names(modalities)
        self.supports_masking = True
        self._widths: tuple[int, ...] | None = None

    def _checked_names(self, names: Any) -> tuple[str, ...]:
        """Weights are named after them, inputs are found by them."""
        listed = tuple(names) if isinstance(names, Mapping | list | tuple) else ()
        fits = all(isinstance(name, str) and name and "/" not in name for name in listed)
        if not fits or not 2 <= len(set(listed)) == len(listed):
            raise LMFError(
                f'{self.name}: modalities are two or more different names without "/", received {names!r}.'
            )
        return listed

    @property
    def widths(self) -> tuple[int, ...]:
        """d_m of each modality."""
        if self._widths is None:
            raise LMFError(
                f"{self.name} is not built, so it has no widths and weights: call it on inputs first."
            )
        return self._widths

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
        if self._widths is not None and len(items) != len(self._widths):
            raise LMFError(
                f"{self.name} was built on {len(self._widths)} modalities, received {len(items)} {what}."
            )
        return list(items)

    def modality_index(self, modality: int | str) -> int:
        """Position of a modality given by index or name."""
        last = len(self.widths) - 1
        if isinstance(modality, str):
            if modality not in (self.modalities or ()):
                raise unknown_name(f"modality of {self.name}", modality, self.modalities or ())
            return self.modalities.index(modality)
        if not isinstance(modality, Integral) or isinstance(modality, bool) or not 0 <= modality <= last:
            raise LMFError(f"{self.name}: modality {modality!r} is outside 0 … {last}")
        return modality

    # -- Keras ------------------------------------------------------------------------------------------------
    def require_shape(self, shape: Any) -> None:
        if is_shape(shape) or not isinstance(shape, Mapping | list | tuple):
            raise LMFError(
                f"{self.name} fuses a list or a dict of two or more tensors, received one of shape {shape}"
            )
        if isinstance(shape, Mapping) and self.modalities is None and self._widths is None:
            self._checked_names(shape)
            shape = list(shape.values())
        shapes = self.bind(shape)
        fits = len(shapes) >= 2 and all(
            is_shape(part) and len(part) == len(shapes[0]) >= 2 and part[-1] and agree(part[:-1], shapes[0])
            for part in shapes
        )
        if not fits or self._widths not in (None, tuple(part[-1] for part in shapes)):
            widths = "known width" if self._widths is None else f"the widths {self._widths}"
            raise LMFError(
                f"{self.name} fuses two or more modalities (batch, …, width) with equal leading axes and {widths}, "
                f"received {len(shapes)}: {shapes}"
            )

    def build(self, input_shape: Mapping[str, Shape] | Sequence[Shape]) -> None:
        super().build(input_shape)
        if isinstance(input_shape, Mapping) and self.modalities is None:
            self.modalities = tuple(input_shape)
        self._widths = tuple(int(shape[-1]) for shape in self.bind(input_shape))

    def call(self, inputs: Any, presence: Tensor | None = None, mask: Any = None) -> Tensor:
        return self.fuse(self.present_embeddings(inputs, presence, mask))

    def present_embeddings(
        self, inputs: Any, presence: Tensor | None = None, mask: Any = None
    ) -> list[Tensor]:
        """The inputs in modality order, zero where a modality is absent or its step is masked.

        Selected with `where`, never by a product: an absent input may be NaN, and 0 × NaN is NaN.
        """
        embeddings = [ops.cast(embedding, self.compute_dtype) for embedding in self.bind(inputs)]
        masks = self.bind(mask, "masks") if mask is not None else [None] * len(embeddings)
        if presence is not None and (shape := self._shape_of(presence))[-1:] != (len(embeddings),):
            raise LMFError(
                f"{self.name}: presence needs one value per modality on its last axis, received the shape {shape} for "
                f"{len(embeddings)} modalities"
            )
        present = []
        for m, (embedding, step_mask) in enumerate(zip(embeddings, masks)):
            flags = [] if step_mask is None else [step_mask]
            if presence is not None:
                flags.append(presence[..., m])
            for flag in flags:
                axes, leading = self._shape_of(flag), tuple(embedding.shape)[:-1]
                if not axes or not agree(axes, leading):
                    raise LMFError(f"{self.name}: presence or a mask is for {axes}, an input for {leading}")
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
        self.require_shape(input_shape)
        return (*self.bind(input_shape)[0][:-1], self.fused_width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "modalities": list(self.modalities) if self.modalities else None}


def one_each(layer: keras.layers.Layer, name: str, start: Any, trainable: bool = True) -> keras.Variable:
    """A weight of the layer that starts as the numbers `start`; float32 under every policy."""
    start = np.asarray(start, "float32")
    constant = keras.initializers.Constant(start)
    return layer.add_weight(
        name=name, shape=start.shape, initializer=constant, trainable=trainable, autocast=False
    )
