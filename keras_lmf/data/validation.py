"""Checks of a Dataset's arrays.

Each returns the array in its final dtype, or raises an LMFError that names the field by its key in the .npz
layout, the first bad row and that row's id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.lazy import Array, LazyArray
from keras_lmf.target import Target

SPLITS = ("train", "valid", "test")


def whole_number(what: str, value: object, least: int, most: int | None = None) -> None:
    """Raise an LMFError, in which `what` names the setting, unless `value` is a whole number from `least` on."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        allowed = f"≥ {least}" if most is None else f"{least} … {most}"
        raise LMFError(f"{what} must be a whole number {allowed}, received {value!r}.")


def check_ids(values: object) -> np.ndarray:
    """(N,) different, non-empty strings, N ≥ 1."""
    ids = _strings("id", values)
    if not len(ids):
        raise LMFError("id: no rows. A dataset needs at least one sample.")
    first: dict[str, int] = {}
    for row, name in enumerate(ids.tolist()):
        if (earlier := first.setdefault(name, row)) != row:
            raise LMFError(f"id: rows {earlier} and {row} are both {name!r}. Every sample needs its own id.")
    return ids


def check_splits(values: object, ids: np.ndarray) -> np.ndarray:
    """(N,) strings, each one of `SPLITS`."""
    splits = _same_length("split", _strings("split", values), ids)
    unknown = ~np.isin(splits, SPLITS)
    if unknown.any():
        received = splits[np.argmax(unknown)]
        raise LMFError(f"split, {_rows(unknown, ids)}: {unknown_name('split', received, SPLITS)}")
    return splits


def check_groups(values: object, splits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(N,) strings; no group may have rows in two splits, or the test figures would measure memory."""
    groups = _same_length("group", _strings("group", values), ids)
    home: dict[str, int] = {}
    for row, group in enumerate(groups.tolist()):
        first = home.setdefault(group, row)
        if splits[first] != splits[row]:
            raise LMFError(
                f"group: {group!r} is in two splits, {str(splits[first])!r} (row {first}, id "
                f"{str(ids[first])!r}) and {str(splits[row])!r} (row {row}, id {str(ids[row])!r}). "
                "Put all samples of a speaker into one split."
            )
    return groups


def check_corpora(values: object, ids: np.ndarray) -> np.ndarray:
    """(N,) strings, the corpus of each row."""
    return _same_length("corpus", _strings("corpus", values), ids)


def check_soft_labels(values: object, target: Target, ids: np.ndarray) -> np.ndarray:
    """(N, classes) float32 ≥ 0; each row adds up to 1, within 1e-4."""
    if not target.classes:
        raise LMFError(f"soft_label: target {target.name!r} has a range; soft labels are for classes.")
    soft = _same_length("soft_label", _numbers("soft_label", values), ids)
    if soft.shape != (len(ids), target.size):
        raise LMFError(
            f"soft_label: shape {soft.shape}, must be (N, {target.size}), a share of each class "
            f"({', '.join(target.classes)})."
        )
    sums = soft.sum(axis=1, dtype=np.float64)
    bad = ~((soft >= 0).all(axis=1) & (np.abs(sums - 1) <= 1e-4))
    if bad.any():
        row = soft[np.argmax(bad)].tolist()
        raise LMFError(
            f"soft_label, {_rows(bad, ids)}: received {row}, must be numbers ≥ 0 that add up to 1. "
            "Divide votes by their sum."
        )
    return soft.astype(np.float32)


def check_modality_names(inputs: Mapping[str, object], masks: Mapping[str, object]) -> None:
    """Names that serve as Keras input names and .npz keys; every mask belongs to a modality."""
    if not inputs:
        raise LMFError("input: no modality. A dataset needs at least one, for example input/audio.")
    for name in inputs:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise LMFError(
                f"input: modality name {name!r} must be a letter followed by letters, digits or '_'."
            )
    for name in masks:
        if name not in inputs:
            raise unknown_name("modality in mask", name, inputs)


def check_mask(modality: str, values: object, steps: object, ids: np.ndarray) -> np.ndarray:
    """(N, T) booleans for a modality of shape (N, T, …, d)."""
    field, mask, shape = f"mask/{modality}", np.asarray(values), np.shape(steps)
    if mask.dtype != bool:
        raise LMFError(f"{field}: dtype {mask.dtype}, must be bool (True at a real step).")
    if len(shape) < 3:
        raise LMFError(
            f"{field}: input/{modality} has shape {shape}; only sequences (N, T, …, d) have a mask."
        )
    _same_length(field, mask, ids)
    if mask.shape != shape[:2]:
        raise LMFError(
            f"{field}: shape {mask.shape}, must be {shape[:2]} as input/{modality} has shape {shape}."
        )
    return mask.copy()


def check_features(modality: str, values: object, mask: np.ndarray | None, ids: np.ndarray) -> Array:
    """A finite float32 copy (N, …, d), every masked step set to zero; a lazy array as it is, its numbers unread."""
    field = f"input/{modality}"
    received = values if isinstance(values, LazyArray) else _numbers(field, values)
    if received.ndim < 2 or 0 in received.shape[1:]:
        raise LMFError(f"{field}: shape {received.shape}, must be (N, …, d) with at least one feature.")
    _same_length(field, received, ids)
    if isinstance(received, LazyArray):
        return received
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is reported below
        features = received.astype(np.float32)
    if mask is not None:
        features[~mask] = 0.0
    bad = ~np.isfinite(features)
    if bad.any():
        row, *place = _first(bad)
        raise LMFError(
            f"{field}, {_rows(bad, ids)}: value {received[row, *place]} at index {tuple(place)}; "
            "features must be finite float32 numbers. Drop the row, fill the value, or mask the step."
        )
    return features


def check_labels(values: object, target: Target, ids: np.ndarray) -> np.ndarray:
    """(N,) int64 class indices of `target`, or (N, *target.label_shape) float32 values within its range."""
    labels = _numbers("label", values)
    if labels.ndim == 0 or labels.shape[1:] != target.label_shape:
        allowed = "(N,), one label" if target.dimensions is None else f"(N, {target.size}), the dimensions"
        raise LMFError(f"label: shape {labels.shape}, must be {allowed} a row.")
    _same_length("label", labels, ids)
    if target.classes:
        allowed = f"a class index 0 … {target.size - 1} ({', '.join(target.classes)})"
        final = labels.astype(np.float64)
        good = np.isin(final, np.arange(target.size))
    else:
        low, high = target.range  # compared in float32, the labels' own precision
        allowed = f"{target.name} in [{low:g}, {high:g}]"
        with np.errstate(over="ignore"):
            final = labels.astype(np.float32)
        good = (final >= low) & (final <= high)
    if not good.all():
        row, *column = _first(~good)
        where = f", dimension {target.dimensions[column[0]]!r}" if column else ""
        received = labels[row, *column]
        raise LMFError(f"label, {_rows(~good, ids)}{where}: received {received}, must be {allowed}.")
    return final.astype(np.int64 if target.classes else np.float32)


def _array(field: str, values: object) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:  # a ragged list
        raise LMFError(f"{field}: not a rectangular array ({error}).") from None


def _numbers(field: str, values: object) -> np.ndarray:
    array = _array(field, values)
    if array.dtype.kind not in "biuf":
        raise LMFError(f"{field}: dtype {array.dtype}, must be a real numeric one, for example float32.")
    return array


def _strings(field: str, values: object) -> np.ndarray:
    array = _array(field, values)
    if array.dtype.kind != "U" or array.ndim != 1:
        raise LMFError(
            f"{field}: dtype {array.dtype}, shape {array.shape}; must be (N,) strings (array.astype(str))."
        )
    if (array == "").any():
        raise LMFError(f"{field}, row {int(np.argmax(array == ''))}: empty. Every row needs a value.")
    return array.copy()


def _same_length(field: str, array: Array, ids: np.ndarray) -> Array:
    rows = len(array) if array.ndim else 0
    if rows != len(ids):
        raise LMFError(f"{field}: {rows} rows, must be {len(ids)} as 'id' has.")
    return array


def _first(bad: np.ndarray) -> list[int]:
    """The indices of the first true element."""
    return [int(index) for index in np.unravel_index(np.argmax(bad), bad.shape)]


def _rows(bad: np.ndarray, ids: np.ndarray) -> str:
    rows = bad.reshape(len(bad), -1).any(axis=1)
    row, others = int(np.argmax(rows)), int(rows.sum()) - 1
    more = f", and {others} more row{'s' * (others > 1)}" if others else ""
    return f"row {row} (id {str(ids[row])!r}{more})"
