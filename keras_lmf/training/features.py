"""Training behind front ends: they never change, so their features are made once, before the first epoch."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from keras_lmf.data.augmentation import Augmentation, augmented
from keras_lmf.data.dataset import COLUMNS, Dataset, Split
from keras_lmf.data.shards import Shards, write_rows
from keras_lmf.lazy import Array, LazyArray, blocks, hash_of, joined
from keras_lmf.models.start import Source
from keras_lmf.recipe import Recipe
from keras_lmf.training.distillation import taught

# Keeps the features of a modality and a split.
Write = Callable[[Iterator[np.ndarray], str, Split], Array]
ROWS, NUMBERS = 32, 2**21  # at most, of a batch: rows, and samples or pixels
SAMPLE = 2048  # rows whose features say how large features are


@dataclasses.dataclass(frozen=True)
class _Work:
    """What `_cached` makes features of; equal where the features will be."""

    key: str
    make: Callable[[], Dataset] = dataclasses.field(compare=False)


@functools.lru_cache(maxsize=1)
def _cached(work: _Work) -> Dataset:
    return work.make()


def features(
    recipe: Recipe,
    data: Dataset,
    models: Mapping[str, keras.Model],
    folder: Path,
    teachers: Sequence[Source] = (),
) -> Dataset:
    """`data` with the front ends' features in place of waveforms and frames, the training split augmented before, and
    with the teachers' answers among its labels.

    Only "train" and "valid", which a training reads. A step whose features are all zero is masked. The last answer in
    memory is kept, for trainings that differ in their seed. Features of lazy inputs are lazy: they are written to
    `folder`.
    """
    words = {"augmentation", "distillation"} if teachers else {"augmentation"}
    parts = {"inputs": {name: {"front_end"} for name in models}, "training": words}
    precision = f"{keras.backend.backend()} {keras.config.dtype_policy().name}"
    key = f"{recipe.model_dump_json(include=parts)} {data.fingerprint} {precision}"
    key = " ".join([key, *(teacher.sha256 for teacher in teachers)])
    write = functools.partial(_written, folder=folder, key=key)
    if any(isinstance(data.inputs[name], LazyArray) for name in models):
        return _features(recipe, data, models, teachers, write)
    return _cached(_Work(key, lambda: _features(recipe, data, models, teachers, write)))


def split_features(split: Split, models: Mapping[str, keras.Model], title: str) -> Split:
    """`split` with the front ends' features, in memory, in place of waveforms and frames."""
    return _transformed(split, models, title, lambda made, *_: np.concatenate(list(made)))


def train_features(data: Dataset, models: Mapping[str, keras.Model], title: str) -> Dataset:
    """The training split of `data` with the front ends' features, in memory, in place of waveforms and frames.

    Of a long one, `SAMPLE` rows at equal distances.
    """
    rows = np.flatnonzero(data.splits == "train")
    train = data.take(rows[np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).round().astype(int)])
    split = split_features(train["train"], models, title)
    return dataclasses.replace(train, inputs=dict(split.inputs), masks=dict(split.masks))


def _written(arrays: Iterator[np.ndarray], modality: str, split: Split, folder: Path, key: str) -> Shards:
    place = f"{modality}-{split.name}"
    return write_rows(folder / f"{place}.npy", arrays, len(split), hash_of(key, place))


def _features(
    recipe: Recipe,
    data: Dataset,
    models: Mapping[str, keras.Model],
    teachers: Sequence[Source],
    write: Write,
) -> Dataset:
    splits = {name: data[name] for name in data.split_names if name != "test"}
    if recipe.training.augmentation:
        (modality,) = [name for name, section in recipe.inputs.items() if section.media == "waveform"]
        rate = recipe.inputs[modality].rate
        settings = recipe.training.augmentation.model_dump()
        if settings["noise_db"] == "none":
            settings["noise_db"] = None
        augmentation = Augmentation(**settings, sample_rate=rate)
        splits["train"] = augmented(splits["train"], augmentation, modality=modality)
    if teachers:
        splits = taught(splits, recipe, teachers)
    parts = [_transformed(split, models, recipe.name, write) for split in splits.values()]

    return Dataset(
        name=data.name,
        target=data.target,
        splits=np.repeat(list(splits), [len(part) for part in parts]),
        inputs={name: joined([part.inputs[name] for part in parts]) for name in data.inputs},
        masks={name: np.concatenate([part.masks[name] for part in parts]) for name in parts[0].masks},
        **{
            column: np.concatenate([getattr(part, column) for part in parts])
            for column in COLUMNS
            if getattr(parts[0], column) is not None
        },
    )


def _transformed(split: Split, models: Mapping[str, keras.Model], title: str, write: Write) -> Split:
    inputs, masks = dict(split.inputs), dict(split.masks)
    for modality, model in models.items():
        raw = inputs[modality]
        lazy = isinstance(raw, LazyArray)
        first, place = (np.arange(len(raw)), slice(None)) if lazy else _different(raw)
        rows = max(1, min(ROWS, NUMBERS // math.prod(raw.shape[1:])))
        starts = tqdm(
            range(0, len(first), rows),
            desc=f"{title}: features of {modality}, {split.name}",
            disable=None,
        )
        made = (model.predict_on_batch(raw[first[start : start + rows]]) for start in starts)
        found = inputs[modality] = write(made, modality, split) if lazy else np.concatenate(list(made))[place]
        if found.ndim == 3:
            masks[modality] = np.concatenate([(block != 0).any(axis=-1) for _, block in blocks(found)])
        else:
            masks.pop(modality, None)
    return dataclasses.replace(split, inputs=inputs, masks=masks)


def _different(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each different row stands first (n,), and which of them each row is (N,).

    A voice stands beside several faces, a picture beside several voices: each is seen by its front end once.
    """
    numbers: dict[bytes, int] = {}
    place = [numbers.setdefault(hashlib.sha256(row.tobytes()).digest(), len(numbers)) for row in rows]
    return np.unique(place, return_index=True)[1], np.array(place)
