"""Features with times, one .csd of CMU-MultimodalSDK a modality, brought to the segments of a .csd of labels."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_lmf.data.csd import Steps, open_csd, video_of
from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.target import Target

_SHOWN = 5


def means(steps: Steps, start: float, end: float, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """(parts, d) means of the features over equal parts of a stretch, and (parts,) bool, whether there are any.

    A step belongs to the part that its middle lies in. A number that isn't finite counts as 0.
    """
    middles = steps.intervals.mean(axis=1)
    inside = (middles >= start) & (middles < end)
    place = np.minimum(((middles[inside] - start) / (end - start) * parts).astype(int), parts - 1)
    counts = np.bincount(place, minlength=parts)
    sums = np.zeros((parts, steps.features.shape[1]))
    np.add.at(sums, place, np.nan_to_num(steps.features[inside], nan=0.0, posinf=0.0, neginf=0.0))
    return sums / np.maximum(counts, 1)[:, None], counts > 0


def load(
    name: str,
    *,
    labels: Path,
    modalities: Mapping[str, Path],
    target: Target,
    columns: Sequence[str],
    label: Sequence[str],
    split_of: Mapping[str, str],
    steps: int | None = None,
) -> Dataset:
    """The labelled segments as a Dataset, each with the features that lie in it.

    Groups are the videos. Segments of videos without a split, without length, and with a label outside of the range are
    left out, and a warning tells how many. A modality that has nothing in a segment is zeros: absent.

    Args:
        name: of the dataset.
        labels: the file of the labels; its intervals are the segments.
        modalities: modality → its file.
        target: numbers in a range.
        columns: what the columns of the labels are called.
        label: those of `columns` that are the label.
        split_of: video → split.
        steps: modalities are (steps, d), masked: means over so many equal parts of the segment. None: (d,), one mean.

    Raises:
        LMFError: a file that is damaged, hostile or another thing, or other columns; nothing is left.
    """
    for column in label:
        if column not in columns:
            raise unknown_name(f"label of {labels.name}", column, columns)
    ids, videos, values, left_out = [], [], [], []
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {modality: [] for modality in modalities}
    with contextlib.ExitStack() as stack:
        files = {modality: stack.enter_context(open_csd(path)) for modality, path in modalities.items()}
        widths = {modality: file.steps(file.names[0]).features.shape[1] for modality, file in files.items()}
        for segment, row, start, end in _segments(labels, columns, label):
            video = video_of(segment)
            fits = start < end and video in split_of
            if not fits or not all(target.range[0] <= value <= target.range[1] for value in row):
                left_out.append(segment)
                continue
            ids.append(segment)
            videos.append(video)
            values.append(row)
            for modality, file in files.items():
                own, parts = file.steps(segment), steps or 1
                none = np.zeros((parts, widths[modality])), np.zeros(parts, bool)
                made = none if own is None else means(own, start, end, parts)
                if made[0].shape[1] != widths[modality]:
                    raise LMFError(
                        f"{modalities[modality]}: {segment!r} has {made[0].shape[1]} features, the first entry "
                        f"{widths[modality]}."
                    )
                found[modality].append(made)
    if not ids:
        raise LMFError(f"{labels}: no segment of it can be used; {len(left_out)} are of no split or label.")
    if left_out:
        shown = ", ".join(left_out[:_SHOWN])
        warnings.warn(f"Corpus {name!r}: {len(left_out)} segments are left out ({shown} …).", stacklevel=5)
    features = {modality: np.array([row for row, _ in rows], np.float32) for modality, rows in found.items()}
    return Dataset(
        name=name,
        target=target,
        inputs={modality: rows if steps else rows[:, 0] for modality, rows in features.items()},
        masks={modality: np.array([mask for _, mask in rows]) for modality, rows in found.items()}
        if steps
        else {},
        labels=np.array(values).reshape(len(ids), *target.label_shape),
        groups=np.array(videos),
        ids=np.array(ids),
        splits=np.array([split_of[video] for video in videos]),
    )


def _segments(
    path: Path, columns: Sequence[str], label: Sequence[str]
) -> Iterator[tuple[str, list[float], float, float]]:
    """Of each labelled segment its name, label, start and end."""
    places = [columns.index(column) for column in label]
    with open_csd(path) as file:
        for name in file.names:
            rows = file.steps(name)
            if rows.features.shape[1] != len(columns):
                raise LMFError(
                    f"{path}: {name!r} has {rows.features.shape[1]} columns of labels, must be {len(columns)}: "
                    f"{', '.join(columns)}."
                )
            for number, (row, (start, end)) in enumerate(zip(rows.features, rows.intervals)):
                segment = name if name.endswith("]") else f"{name}[{number}]"
                yield segment, row[places].tolist(), float(start), float(end)
