"""Clips as vectors: what a model makes its answer of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_lmf.files import write_atomically
from keras_lmf.recognition.opened import Opened
from keras_lmf.recognition.summary import Seen
from keras_lmf.recognition.windows import Window


@dataclass(frozen=True, eq=False)
class Embedding:
    """Of one clip of N windows, W numbers each: the input of the layer that gives the logits.

    Attributes:
        clip: (W,) float32, the mean over the windows, weighted by the seconds that each one holds, as the clip's
            probabilities are.
        windows: (N, W) float32; NaN where a window holds nothing to judge by (silence).
        starts: (N,) float64, seconds.
        ends: (N,) float64, seconds; of a photo, which takes no time, 0.
    """

    clip: np.ndarray
    windows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


class Vectors:
    """What is kept of a clip's windows; `name` is the clip's in errors."""

    def __init__(self, model: Opened, name: str) -> None:
        self._windows = Seen(model, name)
        self._vectors: list[np.ndarray] = []

    def add(self, windows: Sequence[Window], there: Mapping[str, np.ndarray], vectors: np.ndarray) -> None:
        """The next windows, with what `judgement.embed` gives of them."""
        self._windows.add(windows, there)
        self._vectors.append(vectors)

    def embedding(self) -> Embedding:
        """Of all windows.

        Raises:
            LMFError: no window has what the model needs.
        """
        vectors = np.concatenate(self._vectors)
        clip = self._windows.mean(vectors).astype(np.float32)
        return Embedding(clip, vectors.astype(np.float32), *self._windows.bounds.T)


def save(path: Path, embeddings: Mapping[str, Embedding], width: int) -> Path:
    """Write the vectors of C clips, by name, with N windows in all, into one .npz, whole or not at all.

    Its arrays: `clip` (C,) names; `clip_vector` (C, W) float32; `window_clip` (N,) int64, the row of each window's
    clip; `window_start` and `window_end` (N,) float64, seconds in that clip; `window_vector` (N, W) float32, NaN where
    a window holds nothing to judge by. None of them is pickled: `numpy.load(path)` reads them.
    """
    found = list(embeddings.values())
    counts = [len(each.starts) for each in found]
    arrays = {
        "clip": np.array(list(embeddings), dtype=str),
        "clip_vector": np.stack([np.zeros(width, np.float32), *(each.clip for each in found)])[1:],
        "window_clip": np.repeat(np.arange(len(found)), counts),
        "window_start": np.concatenate([np.zeros(0), *(each.starts for each in found)]),
        "window_end": np.concatenate([np.zeros(0), *(each.ends for each in found)]),
        "window_vector": np.concatenate(
            [np.zeros((0, width), np.float32), *(each.windows for each in found)]
        ),
    }
    return write_atomically(path, lambda temporary: np.savez_compressed(temporary, **arrays))
