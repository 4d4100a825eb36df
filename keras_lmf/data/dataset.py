"""A corpus: named arrays, masks, labels, groups and splits, and their one .npz layout."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from keras_lmf.data import validation
from keras_lmf.data.npz import read_npz
from keras_lmf.errors import LMFError, invalid, unknown_name
from keras_lmf.files import write_atomically
from keras_lmf.lazy import Array, LazyArray, blocks, moments, taken
from keras_lmf.target import Target

CONSTANT = 1e-7  # as a deviation: Keras's Normalization divides by no less


@dataclass(frozen=True, eq=False)
class Split:
    """The rows of one split.

    Attributes:
        name: "train", "valid" or "test".
        inputs: modality -> (N, …, d) float32, in memory or lazy; masked steps are all-zero rows.
        masks: modality -> (N, T) bool, True at a real step; only for sequences that have a mask.
        labels: (N,) int64 class indices, or (N, *target.label_shape) float32 values.
        groups: (N,) str, the speaker (or video) of each sample.
        ids: (N,) str, all different.
        target: what the labels mean.
        corpora: (N,) str, the corpus that each row comes from; None: all from one.
        soft_labels: (N, classes) float32, each row adds up to 1; None: the labels are all there is.
        embeddings: (N, width) float32, vectors of teachers that a training matches, zeros of a row without; None: none.
    """

    name: str
    inputs: dict[str, Array]
    masks: dict[str, np.ndarray]
    labels: np.ndarray
    groups: np.ndarray
    ids: np.ndarray
    target: Target
    corpora: np.ndarray | None = None
    soft_labels: np.ndarray | None = None
    embeddings: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> Split:
        """These rows, by index or by a bool array; a row may come several times, and then so does its id."""
        return dataclasses.replace(self, **_taken(self, rows, COLUMNS))


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A corpus of N samples; `dataset["train"]`, `["valid"]` and `["test"]` are its splits.

    Construction copies and checks everything; a mistake is an LMFError that names field, row and id.

    Args:
        name: the corpus's name.
        target: what the labels mean.
        inputs: modality -> (N, …, d) finite real numbers, kept as float32, in modality order. Those that are
            larger than memory are `data.shards.Shards`, which are neither copied nor read here.
        labels: (N,) class indices in [0, number of classes), or values within the target's range: (N,), or
            (N, number of dimensions) for a target with dimensions.
        groups: (N,) str, the speaker (or video) of each sample. A group has rows in one split only.
        ids: (N,) str, all different.
        splits: (N,) str, each "train", "valid" or "test".
        masks: modality -> (N, T) bool for (N, T, …, d) sequences, True at a real step. A masked step is set
            to zero and may hold anything before that. A model derives its mask as "any feature non-zero", so
            a real step whose features are all zero is legal here and counts as absent there.
        corpora: (N,) str, the corpus that each row comes from, where several are joined in one dataset.
        soft_labels: (N, classes) ≥ 0, each row adds up to 1: shares of votes for the classes, say. A training with
            cross-entropy aims at these; `labels` are what is measured. Only for a target with classes.
        embeddings: (N, width) float32, what a training makes of its teachers (`Split`); no part of the .npz layout.
    """

    name: str
    target: Target
    inputs: dict[str, Array]
    labels: np.ndarray
    groups: np.ndarray
    ids: np.ndarray
    splits: np.ndarray
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    corpora: np.ndarray | None = None
    soft_labels: np.ndarray | None = None
    embeddings: np.ndarray | None = None

    def __post_init__(self) -> None:
        validation.check_modality_names(self.inputs, self.masks)
        ids = validation.check_ids(self.ids)
        splits = validation.check_splits(self.splits, ids)
        masks = {
            name: validation.check_mask(name, m, self.inputs[name], ids) for name, m in self.masks.items()
        }
        checked = {
            "ids": ids,
            "splits": splits,
            "groups": validation.check_groups(self.groups, splits, ids),
            "labels": validation.check_labels(self.labels, self.target, ids),
            "masks": masks,
            "inputs": {n: validation.check_features(n, x, masks.get(n), ids) for n, x in self.inputs.items()},
        }
        if self.corpora is not None:
            checked["corpora"] = validation.check_corpora(self.corpora, ids)
        if self.soft_labels is not None:
            checked["soft_labels"] = validation.check_soft_labels(self.soft_labels, self.target, ids)
        for attribute, value in checked.items():
            object.__setattr__(self, attribute, value)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits that have rows."""
        return tuple(name for name in validation.SPLITS if (self.splits == name).any())

    def __getitem__(self, name: str) -> Split:
        """The rows of split `name`, in the dataset's order. An unknown or empty split is an LMFError."""
        if name not in validation.SPLITS:
            raise unknown_name("split", name, validation.SPLITS)
        rows = np.flatnonzero(self.splits == name)
        if not len(rows):
            raise LMFError(f"Dataset {self.name!r} has no rows in split {name!r}.")
        return Split(name=name, target=self.target, **_taken(self, rows, COLUMNS))

    def take(self, rows: np.ndarray) -> Dataset:
        """The dataset of these rows alone, by index or by a bool array."""
        return dataclasses.replace(self, **_taken(self, rows, (*COLUMNS, "splits")))

    def select(self, modalities: Sequence[str]) -> Dataset:
        """The same samples with only these modalities, in this order."""
        for modality in modalities:
            self._require_modality(modality)
        if len(set(modalities)) != len(modalities):
            raise LMFError(f"select: every modality once, received {list(modalities)}.")
        return dataclasses.replace(
            self,
            inputs={modality: self.inputs[modality] for modality in modalities},
            masks={modality: self.masks[modality] for modality in modalities if modality in self.masks},
        )

    def with_validation_in_training(self) -> Dataset:
        """The same samples with the "valid" split counted as "train": for a last fit with all settings chosen."""
        return dataclasses.replace(self, splits=np.where(self.splits == "valid", "train", self.splits))

    def steps(self, modality: str) -> np.ndarray:
        """(n, d) float64: the rows of the train split, of a sequence its unmasked steps, one below the other."""
        return np.concatenate(list(self._blocks_of_steps(modality)))

    def statistics(self, modality: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance, two (d,) float64 arrays, of `steps`.

        Where a feature's deviation in train is `CONSTANT` or less, in its own unit, it is taken for constant and its
        variance given as 1: to divide by it would mostly make a feature of rounding errors, which differ from one
        engine to the next.
        """
        mean, variance = moments(functools.partial(self._blocks_of_steps, modality))
        return mean, np.where(variance <= CONSTANT**2, 1.0, variance)

    def _blocks_of_steps(self, modality: str) -> Iterator[np.ndarray]:
        """What `steps` gives, in pieces."""
        self._require_modality(modality)
        train = self.select([modality])["train"]
        mask = train.masks.get(modality)
        if mask is not None and not mask.any():
            raise LMFError(
                f"mask/{modality}: every step of the train split is masked; there is nothing to measure."
            )
        for rows, block in blocks(train.inputs[modality]):
            steps = block if mask is None else block[mask[rows]]
            yield steps.reshape(-1, steps.shape[-1]).astype(np.float64)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of target, modality names in order, and all arrays. It does not depend on `name`."""
        digest = hashlib.sha256()
        for key, array in self._layout().items():
            if isinstance(array, LazyArray):
                data = array.digest.encode()
            elif array.dtype.kind == "U":  # the width of a string dtype is no content
                data = json.dumps(array.tolist()).encode()
            else:
                data = array.astype(array.dtype.newbyteorder("<")).tobytes()
            digest.update(f"{key} {array.dtype.kind} {array.shape} {len(data)}\n".encode() + data)
        return digest.hexdigest()

    def save(self, path: str | Path) -> Path:
        """Write the dataset to `path`, which ends in .npz, in this layout:

        | key | array |
        |---|---|
        | `input/<modality>` | (N, …, d) float32, one key per modality, in modality order |
        | `mask/<modality>` | (N, T) bool, True at a real step; only for modalities that have a mask |
        | `label` | (N,) int64 class indices, or float32 values: (N,) or, with `dimensions`, (N, K) |
        | `group`, `id`, `split` | (N,) fixed-width strings |
        | `corpus` | (N,) fixed-width strings; only where several corpora are joined |
        | `soft_label` | (N, classes) float32 ≥ 0, each row adds up to 1; only where there are any |
        | `target` | one string, JSON: `name` and either `classes` (names in index order) or `range`; with |
        | | `range`, where the label holds K numbers, `dimensions` (names of its columns) |

        The dataset's name is the file's name without ".npz". Lazy inputs are read into memory.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise LMFError(f"{path}: a dataset is saved as .npz, received {path.suffix or 'no suffix'!r}.")
        return write_atomically(path, lambda temporary: np.savez_compressed(temporary, **self._layout()))

    @classmethod
    def load(cls, path: str | Path) -> Dataset:
        """Read a file in the layout of `save`. Nothing is unpickled; every error names the file."""
        needed = ("label", "group", "id", "split", "target")
        columns = (*needed, "corpus", "soft_label")
        arrays = read_npz(path, needed)
        parts: dict[str, dict[str, np.ndarray]] = {"input": {}, "mask": {}}
        for key, array in arrays.items():
            kind, slash, modality = key.partition("/")
            if slash and kind in parts:
                parts[kind][modality] = array
            elif key not in columns:
                allowed = (*columns, *(f"{part}/{modality or '<modality>'}" for part in parts))
                raise LMFError(f"{path}: {unknown_name('key', key, allowed)}")
        try:
            return cls(
                name=Path(path).stem,
                target=_read_target(arrays["target"]),
                inputs=parts["input"],
                labels=arrays["label"],
                groups=arrays["group"],
                ids=arrays["id"],
                splits=arrays["split"],
                masks=parts["mask"],
                corpora=arrays.get("corpus"),
                soft_labels=arrays.get("soft_label"),
            )
        except LMFError as error:
            raise LMFError(f"{path}: {error}") from None

    def summary(self) -> str:
        """What the dataset holds, as a few lines to print."""
        target, classes = self.target, self.target.classes
        kind = f"{target.size} classes" if classes else f"range [{target.range[0]:g}, {target.range[1]:g}]"
        if target.dimensions:
            kind += f", {target.size} dimensions"
        lines = [f"{self.name}: {len(self)} samples, target {target.name!r}, {kind}"]
        for modality, values in self.inputs.items():
            mask = ", masked" if modality in self.masks else ""
            lines.append(f"  {modality:<18} {' × '.join(map(str, values.shape[1:]))}{mask}")
        if self.corpora is not None:
            names, counts = np.unique(self.corpora, return_counts=True)
            lines.append("  corpora: " + ", ".join(f"{name} {count}" for name, count in zip(names, counts)))
        for name in self.split_names:
            rows = self.splits == name
            labels, groups = self.labels[rows], len(np.unique(self.groups[rows]))
            if classes:
                counts = np.bincount(labels, minlength=len(classes))
                about = ", ".join(f"{label} {count}" for label, count in zip(classes, counts))
            else:
                about = f"mean {labels.mean():.3f}, standard deviation {labels.std():.3f}"
            lines.append(f"  {name:<6}{rows.sum():>6} samples, {groups} groups: {about}")
        return "\n".join(lines)

    __repr__ = summary

    def _require_modality(self, modality: str) -> None:
        if modality not in self.inputs:
            raise unknown_name("modality", modality, self.inputs)

    def _layout(self) -> dict[str, Array]:
        return {
            **{f"input/{modality}": values for modality, values in self.inputs.items()},
            **{f"mask/{modality}": mask for modality, mask in self.masks.items()},
            "label": self.labels,
            "group": self.groups,
            "id": self.ids,
            "split": self.splits,
            **({} if self.corpora is None else {"corpus": self.corpora}),
            **({} if self.soft_labels is None else {"soft_label": self.soft_labels}),
            "target": np.array(self.target.model_dump_json()),
        }


# What a split and a dataset hold of each row beside inputs and masks.
COLUMNS = ("labels", "groups", "ids", "corpora", "soft_labels", "embeddings")


def _taken(part: Split | Dataset, rows: np.ndarray, columns: Sequence[str]) -> dict[str, Any]:
    """The fields of `part` that have a value for each row, for these rows alone."""
    values = {column: getattr(part, column) for column in columns}
    return {
        "inputs": {modality: taken(array, rows) for modality, array in part.inputs.items()},
        "masks": {modality: mask[rows] for modality, mask in part.masks.items()},
        **{column: None if value is None else value[rows] for column, value in values.items()},
    }


def _read_target(array: np.ndarray) -> Target:
    if array.ndim or array.dtype.kind != "U":
        raise LMFError(f"target: dtype {array.dtype}, shape {array.shape}; must be one string of JSON.")
    try:
        return Target.model_validate_json(array.item())
    except ValidationError as error:
        raise LMFError(f"{invalid(error, Target, 'target')} Received {array.item()[:200]!r}.") from None
