"""Which modalities a model is asked with: every subset of them, the others taken away as zeros."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping

import numpy as np

MOST = 6  # modalities of which every subset is tried: 63


def subsets(modalities: Iterable[str]) -> list[tuple[str, ...]]:
    """All 2^M − 1 with something in them, smaller ones first, all of them last; of more than `MOST` modalities those of
    one, those that lack one, and all."""
    names = tuple(modalities)
    sizes = range(1, len(names) + 1) if len(names) <= MOST else (1, len(names) - 1, len(names))
    return [subset for size in sizes for subset in itertools.combinations(names, size)]


def only(inputs: Mapping[str, np.ndarray], kept: Collection[str]) -> dict[str, np.ndarray]:
    """The inputs, with zeros for the modalities that are not kept."""
    return {name: values if name in kept else np.zeros_like(values) for name, values in inputs.items()}


def presence(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Modality → (N,) bool: whether any number of the row is not zero."""
    return {name: values.reshape(len(values), -1).any(axis=1) for name, values in inputs.items()}
