"""A Split as batches for `fit`, in an order that depends on seed and epoch alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import keras
import numpy as np

from keras_lmf.data.dataset import Split
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.target import EMBEDDING


class Batches(keras.utils.PyDataset):
    """Batches of `split` for one call of `fit`, `evaluate` or `predict`.

    A batch is `(inputs, labels)` or, with class weights, `(inputs, labels, weights)`. `inputs` is modality ->
    (B, …, d) float32; `labels` is target name -> (B,) int32 class indices or (B, size) float32 values; of a split
    with soft labels (B, 1 + classes) float32, the class index and then the soft label, which one array must carry; of a
    split with embeddings they stand beside it as "embedding", (B, width) float32;
    `weights` is target name -> (B,) float32. The last batch may be smaller.

    Pass `shuffle=False` to `fit`: its default draws the batches' order from Python's global random state.

        batches = Batches(data["train"], 32, seed=7, first_epoch=4)
        model.fit(batches, initial_epoch=4, epochs=10, shuffle=False)

    Args:
        split: the samples.
        batch_size: samples in a batch, ≥ 1.
        seed: of the order, see `epoch_order`; None keeps the split's.
        first_epoch: the `initial_epoch` of `fit`.
        class_weights: class name -> weight of its samples' loss; every class that the split holds needs one.
        part: the rows of a batch → those of them that this process reads; None: all.
        of: "rows": an epoch is each row once. "corpora": batches hold equally many rows of each corpus of the split.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        seed: int | None = None,
        first_epoch: int = 0,
        class_weights: Mapping[str, float] | None = None,
        of: Literal["rows", "corpora"] = "rows",
        part: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        super().__init__()
        whole_number("Batches: batch_size", batch_size, 1)
        whole_number("Batches: first_epoch", first_epoch, 0)
        if seed is not None:
            whole_number("Batches: seed", seed, 0)
        if of not in (words := ("rows", "corpora")):
            raise unknown_name("word for Batches: of", of, words)
        self.split = split
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = first_epoch
        self._part = part
        self._corpora = split.corpora if of == "corpora" else None
        self._in_fit = False
        self._order = self._epoch_order()
        self._weights = None if class_weights is None else _sample_weights(split, class_weights)

    @property
    def rows(self) -> int:
        """Of an epoch."""
        return len(self._order)

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __getitem__(self, index: int) -> tuple:
        rows = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        if self._part is not None:
            rows = self._part(rows)
        split, name = self.split, self.split.target.name
        inputs = {modality: values[rows] for modality, values in split.inputs.items()}
        labels = split.labels[rows]
        if split.soft_labels is not None:
            labels = np.column_stack([labels, split.soft_labels[rows]]).astype(np.float32)
        else:
            labels = labels.astype(np.int32) if split.target.classes else labels.reshape(len(rows), -1)
        labels = {name: labels}
        if split.embeddings is not None:
            labels[EMBEDDING] = split.embeddings[rows]
        if self._weights is None:
            return inputs, labels
        return inputs, labels, {name: self._weights[rows]}

    def on_epoch_end(self) -> None:
        """Go on to the next epoch's order. Keras calls this, and once more before the first epoch."""
        # Every backend's `fit` resets its EpochIterator first, and that reset ends an epoch that never was.
        if self._in_fit:
            self.epoch += 1
            self._order = self._epoch_order()
        self._in_fit = True

    def _epoch_order(self) -> np.ndarray:
        return epoch_order(len(self.split), self.seed, self.epoch, self._corpora)


def epoch_order(rows: int, seed: int | None, epoch: int, corpora: np.ndarray | None) -> np.ndarray:
    """The rows of an epoch, in order: a function of its arguments alone; no global random state is touched.

    Without `corpora` each row comes once. With them the corpora take turns, row by row, so that any batch holds equally
    many rows of each, or one more of some. The largest has each row once; the others begin anew, in another order, as
    often as it takes.

    Args:
        rows: how many there are.
        seed: epoch e draws from `numpy.random.default_rng((seed, e))`; None: in their own order.
        epoch: its number, from 0.
        corpora: (rows,) the corpus of each.
    """
    random = np.random.default_rng((seed, epoch)) if seed is not None else None

    def passes(own: np.ndarray, length: int) -> np.ndarray:
        times = range(-(-length // len(own)))
        return np.concatenate([random.permutation(own) if random else own for _ in times])[:length]

    if corpora is None:
        return passes(np.arange(rows), rows)
    parts = [np.flatnonzero(corpora == name) for name in np.unique(corpora)]
    longest = max(map(len, parts))
    return np.column_stack([passes(own, longest) for own in parts]).ravel()


def balanced_class_weights(split: Split) -> dict[str, float]:
    """Class name -> n / (k · count) over the k classes that occur: each gets the same say in the loss."""
    _require_classes(split)
    indices, counts = np.unique(split.labels, return_counts=True)
    weights = len(split) / (len(indices) * counts)
    return {split.target.classes[index]: float(weight) for index, weight in zip(indices, weights)}


def _sample_weights(split: Split, class_weights: Mapping[str, float]) -> np.ndarray:
    _require_classes(split)
    classes = split.target.classes
    for name, weight in class_weights.items():
        if name not in classes:
            raise unknown_name("class in class_weights", name, classes)
        if not (np.isfinite(weight) and weight >= 0):
            raise LMFError(f"class_weights[{name!r}] must be a finite number ≥ 0, received {weight!r}.")
    for index in np.unique(split.labels):
        if classes[index] not in class_weights:
            raise LMFError(
                f"class_weights has no weight for {classes[index]!r}, which the {split.name} split holds."
            )
    return np.array([class_weights.get(name, 0.0) for name in classes], np.float32)[split.labels]


def _require_classes(split: Split) -> None:
    if not split.target.classes:
        raise LMFError(
            f"Class weights need a target with classes; {split.target.name!r} is a regression target."
        )
