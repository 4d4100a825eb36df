"""Fusion layers: what all share (modalities bound by name, presence, masks), concatenation and outer product."""

from __future__ import annotations

import abc
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
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


@keras.saving.register_keras_serializable("keras_lmf")
class EarlyFusion(ModalityFusion):
    """Concatenates the modalities; the baseline that tensor and low-rank fusion are measured against.

    Input: list or dict of M ≥ 2 tensors (…, d_m). Output: (…, Σ d_m), modality after modality.
    Call arguments: `presence` (…, M) or (batch, M), non-zero where a modality is there; an absent one is zeros.

    >>> import numpy as np
    >>> EarlyFusion()([np.ones((2, 3), "float32"), np.ones((2, 4), "float32")]).shape[-1]
    7
    """

    @property
    def fused_width(self) -> int:
        return sum(self.widths)

    def fuse(self, embeddings: list[Tensor]) -> Tensor:
        return ops.concatenate(embeddings, axis=-1)


@keras.saving.register_keras_serializable("keras_lmf")
class TensorFusion(ModalityFusion):
    """Outer product of the modalities, each with a constant in front.

        z = vec([1; h_1] ⊗ … ⊗ [1; h_M])

    The constant comes first in each vector and the first modality varies slowest, so z holds a constant, every
    modality, and every product among them. Zadeh et al., "Tensor Fusion Network for Multimodal Sentiment
    Analysis", EMNLP 2017, section 4.2.

    Input: list or dict of M ≥ 2 tensors (…, d_m) with equal leading axes. Output: (…, ∏ (d_m + 1)).
    Call arguments: `presence` (…, M) or (batch, M), non-zero where a modality is there; of an absent one only
    the constant stays. Masked steps count as absent; the output's mask is the union of the input masks.

    The product is float32 under mixed precision; the output is in the policy's type, so float16 overflows where a
    product of embeddings exceeds 65,504.

    Raises:
        LMFError: at build, when the product has more than `MAXIMUM_WIDTH` entries.

    >>> import numpy as np
    >>> audio, video = np.array([[2.0, 3.0]], "float32"), np.array([[5.0]], "float32")
    >>> np.asarray(TensorFusion()([audio, video])).tolist()
    [[1.0, 5.0, 2.0, 10.0, 3.0, 15.0]]
    """

    MAXIMUM_WIDTH = 2**20

    @property
    def fused_width(self) -> int:
        return math.prod(width + 1 for width in self.widths)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.fused_width > self.MAXIMUM_WIDTH:
            units, rank = 64, 4
            parameters = rank * units * sum(width + 1 for width in self.widths) + rank + units
            raise LMFError(
                f"{self.name}: the outer product of widths {list(self.widths)} has {self.fused_width:,} entries, "
                f"more than {self.MAXIMUM_WIDTH:,}. LowRankFusion(units={units}, rank={rank}) fuses the same "
                f"inputs with {parameters:,} parameters and without forming the product."
            )

    def fuse(self, embeddings: list[Tensor]) -> Tensor:
        precision = keras.backend.result_type(self.compute_dtype, "float32")
        embeddings = [ops.cast(embedding, precision) for embedding in embeddings]
        leading = ops.shape(embeddings[0])[:-1]
        ones = ops.ones_like(embeddings[0][..., :1])
        product = ones
        width = 1
        for embedding in embeddings:
            vector = ops.concatenate([ones, embedding], axis=-1)
            product = ops.expand_dims(product, -1) * ops.expand_dims(vector, -2)
            width *= int(vector.shape[-1])
            product = ops.reshape(product, (*leading, width))
        return ops.cast(product, self.compute_dtype)


@keras.saving.register_keras_serializable("keras_lmf")
class ModalityPresence(ConfiguredLayer):
    """A modality is there when any of its numbers is not zero: the `presence` that fusion layers take.

    In training, each modality that is there is taken away with probability `dropout`; of a sample that would lose all
    of them, none is. So one model learns to answer from every subset (modality dropout: Neverova et al., "ModDrop",
    2016).

    Input: a list of M tensors (batch, …), M ≥ 2. Output: (batch, M), 1 where the modality is there, else 0.

    Args:
        dropout: 0 to below 1.
        seed: of the dropout.

    >>> import numpy as np
    >>> voice, face = np.ones((1, 3), "float32"), np.zeros((1, 5), "float32")
    >>> np.asarray(ModalityPresence()([voice, face])).tolist()
    [[1.0, 0.0]]
    """

    ARGUMENTS = ("dropout", "seed")

    def __init__(self, dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= dropout < 1:
            raise LMFError(f"{self.name}: dropout must be 0 to below 1, received {dropout!r}")
        self.dropout = dropout
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Sequence[Tensor], training: bool = False) -> Tensor:
        flags = [ops.any(ops.not_equal(x, 0), axis=tuple(range(1, len(x.shape)))) for x in inputs]
        presence = ops.cast(ops.stack(flags, axis=-1), self.compute_dtype)
        if not training or not self.dropout:
            return presence
        drawn = keras.random.uniform(ops.shape(presence), seed=self.seed_generator)
        kept = ops.where(drawn < self.dropout, ops.zeros_like(presence), presence)
        return ops.where(ops.any(kept > 0, axis=-1, keepdims=True), kept, presence)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return (input_shape[0][0], len(input_shape))
