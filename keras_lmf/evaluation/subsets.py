"""Which modalities a model is asked with: every subset of them, the others taken away as zeros."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from keras_lmf.lazy import Array, blocks

MOST = 6  # modalities of which every subset is tried: 63


def subsets(modalities: Iterable[str]) -> list[tuple[str, ...]]:
    """All 2^M − 1 with something in them, smaller ones first, all of them last; of more than `MOST` modalities those of
    one, those that lack one, and all."""
    names = tuple(modalities)
    sizes = range(1, len(names) + 1) if len(names) <= MOST else (1, len(names) - 1, len(names))
    return [subset for size in sizes for subset in itertools.combinations(names, size)]


def only(inputs: Mapping[str, Array], kept: Collection[str]) -> dict[str, Array]:
    """The inputs, with zeros for the modalities that are not kept."""
    return {
        name: values if name in kept else np.broadcast_to(values.dtype.type(0), values.shape)
        for name, values in inputs.items()
    }


def presence(inputs: Mapping[str, Array]) -> dict[str, np.ndarray]:
    """Modality → (N,) bool: whether any number of the row is not zero."""
    return {
        name: np.concatenate([block.reshape(len(block), -1).any(axis=1) for _, block in blocks(values)])
        for name, values in inputs.items()
    }
