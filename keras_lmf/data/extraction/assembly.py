"""What was extracted, as a dataset; and how many rows may be missing of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keras_lmf.data import splits
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.extraction.chunks import chunks, extracted
from keras_lmf.data.extraction.clip import require, scaled
from keras_lmf.data.recordings import Recording, Recordings, Refused
from keras_lmf.errors import LMFError
from keras_lmf.executors import executor
from keras_lmf.sources import RecordedInput

MAX_BAD = 0.1
_SHOWN = 10


def dataset(recordings: Recordings, inputs: Mapping[str, RecordedInput], workers: int = 1) -> Dataset:
    """The recordings as a dataset in memory with these inputs.

    Where a recording has no sound or no face, that input is zeros: absent. One that has nothing of what is asked for,
    or can't be read, is left out, and a warning names it.

    Args:
        recordings: what is labelled. Rows without a split are drawn by their group (`splits.drawn`).
        inputs: `Recipe.recorded`.
        workers: processes; several need a script with `if __name__ == "__main__":`.

    Raises:
        LMFError: more than a tenth can't be used, a split or a class of training has nothing left, an input that
            recordings can't fill, or one that is absent in all of training.
    """
    from tqdm import tqdm

    require(inputs)
    require_few(recordings.name, recordings.refused, len(recordings.rows) + len(recordings.refused))
    parts = []
    bar = tqdm(total=len(recordings.rows), desc="decoding", unit="clip", leave=False, delay=2, disable=None)
    with bar:
        for part in executor(workers).map(extracted, list(chunks(recordings, inputs))):
            parts.append(part)
            bar.update(len(part.kept) + len(part.refused))
    refused = [*recordings.refused, *(row for part in parts for row in part.refused)]
    kept = [recordings.rows[number] for part in parts for number in part.kept]
    require_usable(recordings, refused, kept)
    rows = {
        name: [recordings.rows[number] for part in parts for number in part.absent[name]] for name in inputs
    }
    require_present(absences(recordings, kept, rows), inputs)
    filled = {}
    for name in inputs:
        filled[name] = scaled(np.concatenate([part.arrays.pop(name) for part in parts]))
    return assembled(recordings, kept, filled)


def assembled(recordings: Recordings, kept: Sequence[Recording], filled: Mapping[str, np.ndarray]) -> Dataset:
    """The dataset of these rows of `recordings`, whose inputs are `filled`."""
    target = recordings.target
    drawn = splits.drawn(row.group for row in recordings.rows if row.split is None)
    if target.classes is None:
        labels = np.array([row.label for row in kept], np.float32).reshape(len(kept), *target.label_shape)
    else:
        numbers = {name: number for number, name in enumerate(target.classes)}
        labels = np.array([numbers[row.label] for row in kept])
    return Dataset(
        name=recordings.name,
        target=target,
        inputs=dict(filled),
        labels=labels,
        groups=np.array([row.group for row in kept]),
        ids=np.array([row.id for row in kept]),
        splits=np.array([row.split or drawn[row.group] for row in kept]),
    )


def require_few(name: str, refused: Sequence[Refused], total: int) -> None:
    """An LMFError where more than a tenth of so many rows can't be used."""
    if len(refused) > MAX_BAD * total:
        raise LMFError(
            f"{name}: {_listed(refused, total)}That is more than {MAX_BAD:.0%}: mend or delete these lines."
        )


def require_usable(recordings: Recordings, refused: Sequence[Refused], kept: Sequence[Recording]) -> None:
    """Warn of what can't be used; an LMFError where that is too much, or leaves a split or a class of training empty.

    Args:
        recordings: the whole table.
        refused: what can't be used, of the table or of its files.
        kept: what is left.
    """
    name, total = recordings.name, len(recordings.rows) + len(recordings.refused)
    require_few(name, refused, total)
    drawn = splits.drawn(row.group for row in recordings.rows if row.split is None)

    def of_splits(rows: Iterable[Recording]) -> set[str]:
        return {row.split or drawn[row.group] for row in rows}

    def of_training(rows: Iterable[Recording]) -> set[str]:
        return {row.label for row in rows if (row.split or drawn[row.group]) == "train"}

    lost = sorted(of_splits(recordings.rows) - of_splits(kept))
    if lost:
        raise LMFError(
            f"{name}: nothing is left of the split {lost[0]!r}. {_listed(refused, total)}Mend one of them."
        )
    if recordings.target.classes and (gone := sorted(of_training(recordings.rows) - of_training(kept))):
        raise LMFError(
            f"{name}: no training clip has the label {gone[0]!r} any more. {_listed(refused, total)}Mend one of them."
        )
    if refused:
        warnings.warn(f"{name}: {_listed(refused, total)}They are left out.", stacklevel=5)


@dataclass(frozen=True)
class Absences:
    """In how many rows each input is absent.

    Attributes:
        name: the corpus's.
        absent: input → rows.
        rows: of all there are.
        absent_in_training, training: likewise, of split "train".
    """

    name: str
    absent: Mapping[str, int]
    rows: int
    absent_in_training: Mapping[str, int]
    training: int


def absences(
    recordings: Recordings, kept: Sequence[Recording], absent: Mapping[str, Sequence[Recording]]
) -> Absences:
    """How many of the rows that are kept have nothing of an input, by the rows that haven't."""
    drawn = splits.drawn(row.group for row in recordings.rows if row.split is None)

    def training(rows: Iterable[Recording]) -> int:
        return sum((row.split or drawn[row.group]) == "train" for row in rows)

    return Absences(
        recordings.name,
        {name: len(rows) for name, rows in absent.items()},
        len(kept),
        {name: training(rows) for name, rows in absent.items()},
        training(kept),
    )


def require_present(counts: Absences, inputs: Mapping[str, RecordedInput]) -> None:
    """Warn of those of the inputs that most rows lack; an LMFError where no training row has one."""
    for name, given in inputs.items():
        what = given.source.name.replace("_", " ")
        if counts.training and counts.absent_in_training[name] == counts.training:
            raise LMFError(
                f"{counts.name}: no {what} was found in any of the {counts.training} training recordings: the input "
                f"{name!r} is absent in all of them. Take a recipe without it, or recordings that have it."
            )
    for name, given in inputs.items():
        if counts.absent[name] > counts.rows / 2:
            warnings.warn(
                f"{counts.name}: the input {name!r} is absent in {counts.absent[name]} of {counts.rows} recordings: "
                f"no {given.source.name.replace('_', ' ')} was found in them.",
                stacklevel=4,
            )


def _listed(refused: Sequence[Refused], total: int) -> str:
    shown = [f"\n  {row.where}, {row.what or 'no file'}: {row.why}" for row in refused[:_SHOWN]]
    more = f"\n  and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
    return f"{len(refused)} of {total} clips can't be used:{''.join(shown)}{more}\n"
