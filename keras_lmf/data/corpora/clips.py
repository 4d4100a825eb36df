"""Your own clips: a folder of media files and a labels.csv."""

from __future__ import annotations

import hashlib
import os
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import numpy as np

from keras_lmf.data.corpora.files import LABELS, find_clips
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.npz import read_npz
from keras_lmf.data.tables import read_csv
from keras_lmf.data.validation import check_groups, check_splits, whole_number
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.files import cache_folder, write_atomically
from keras_lmf.media.sound import (
    SAMPLE_RATE,
    decode_sound,
    is_silent,
    number_of_samples,
    padded,
    require_decoder,
)
from keras_lmf.target import Target

HELD_OUT = 0.2  # of the speakers, for the test split, and as many for validation
MAX_BAD = 0.1
NEEDED = ("file", "label", "speaker")
COLUMNS = (*NEEDED, "split")
_HINT = (
    "The first line names the columns, with commas (or semicolons, or tabs) between them; a value that holds one "
    'stands in "double quotes".'
)
_SHOWN = 10
# Raised when `decode_sound` gives other numbers for the same file.
_CACHE_VERSION = 2


class Row(NamedTuple):
    """A line of labels.csv; `split` is None where the table has no such column."""

    line: int
    file: str
    label: str
    speaker: str
    split: str | None


def load(
    root: str | Path | None = None, *, seconds: float = 3.0, seed: int = 0, target: str = "emotion"
) -> Dataset:
    """The sound of the clips in `root`, as its labels.csv describes them:

        file,label,speaker
        anna/first.mp4,happy,anna
        bert/first.wav,sad,bert

    Paths are relative to `root`; backslashes, semicolons and tabs will do. Files are of up to 60 s, in any container
    that FFmpeg reads. The classes are the labels in alphabetical order: the recipe's `target.classes`.

    Modalities:
        voice: (samples,), the sound in [-1, 1], 16 kHz mono; zeros after the end. The extra `media` reads it.

    Groups are the speakers. About 60 % of them are train, 20 % valid, 20 % test, at least one each, drawn by
    `seed` and their names alone: files that come or go move nobody. A column `split` (train, valid, test), filled in
    every line, decides instead.

    A line that can't be used (an empty value; a file that is missing, damaged, without sound, silent or of more than
    60 s) is left out, and a warning names it. More than a tenth of such lines are an error.

    What is decoded is kept in the user's cache (`KERAS_LMF_HOME`); nothing is written into `root`.

    Args:
        root: the folder; None takes KERAS_LMF_DATA.
        seconds: the length to which a clip is cut or zero-padded at the end; up to 60.
        seed: ≥ 0; another seed draws other speakers for valid and test.
        target: what the labels are, the name of the model's output.

    Raises:
        LMFError: no folder or labels.csv, a wrong table (the line is named), fewer than three speakers without a
            `split`, a speaker in two splits, fewer than two labels, a label that no training clip has, more than a
            tenth of lines that can't be used, an option out of its range, or PyAV isn't installed.
    """
    samples = number_of_samples(seconds, "Corpus 'clips': seconds")
    whole_number("Corpus 'clips': seed", seed, 0)
    require_decoder()
    folder = find_clips(root)
    table = folder / LABELS
    rows = _read_table(table)
    bad = {}
    for row in rows:
        if empty := [name for name in NEEDED if not getattr(row, name)]:
            bad[row] = f"{' and '.join(empty)} empty"
    complete = [row for row in rows if row not in bad]
    _check_bad(table, bad, len(rows))
    classes = sorted({row.label for row in complete})
    if len(classes) < 2:
        raise LMFError(f"{table}: every label is {classes[0]!r}. A model needs two or more to tell apart.")
    # Before anything is decoded, which may take minutes.
    split_of = _splits(table, complete, seed)
    _check_training(table, classes, complete, split_of)
    waveforms, failed = _decoded(folder, complete, samples)
    bad = dict(sorted((bad | failed).items()))
    _check_bad(table, bad, len(rows))
    kept = [row for row in complete if row not in bad]
    _check_training(table, classes, kept, split_of)
    for split in sorted(set(split_of.values()) - {split_of[row.speaker] for row in kept}):
        raise LMFError(
            f"{table}: nothing is left of the split {split!r}. {_listed(bad, len(rows))}Mend one of them."
        )
    if bad:
        warnings.warn(f"{table}: {_listed(bad, len(rows))}They are left out.", stacklevel=4)
    return Dataset(
        name=folder.resolve().name or "clips",
        target=Target(name=target, classes=tuple(classes)),
        inputs={"voice": waveforms},
        labels=[classes.index(row.label) for row in kept],
        groups=np.array([row.speaker for row in kept]),
        ids=np.array([row.file for row in kept]),
        splits=np.array([split_of[row.speaker] for row in kept]),
    )


def _read_table(path: Path) -> list[Row]:
    """The table's rows, blanks around the values removed, all in one Unicode form (NFC), paths with slashes.

    Raises:
        LMFError: no table; a column that is missing or unknown; a line with too few or too many values;
            a file that is named twice, or lies outside the folder; a label or a speaker in two spellings that differ
            in upper and lower case alone. It names the line.
    """
    header, lines = read_csv(path, NEEDED, _HINT)
    for column in header:
        if column not in COLUMNS:
            raise LMFError(f"{path}: {unknown_name('column', column, COLUMNS, _HINT)}")
    if len(set(header)) != len(header):
        raise LMFError(f"{path}: a column is there twice: {', '.join(header)}.")
    rows = []
    first: dict[str, int] = {}
    for line, named in lines:
        file, label, speaker = (unicodedata.normalize("NFC", named[column]) for column in NEEDED)
        row = Row(line, file.replace("\\", "/"), label, speaker, named.get("split"))
        _check_inside(path, row)
        earlier = first.setdefault(str(PurePosixPath(row.file)), line)
        if row.file and earlier != line:
            raise LMFError(f"{path}, lines {earlier} and {line}: both name {row.file!r}. Keep one.")
        rows.append(row)
    if not rows:
        raise LMFError(f"{path}: no clips, only a header. Every further line is file,label,speaker.")
    for column in ("label", "speaker"):
        _check_spelling(path, column, rows)
    return rows


def _check_spelling(path: Path, column: str, rows: Sequence[Row]) -> None:
    """Anna and anna are one speaker, who must not be in two splits."""
    first: dict[str, Row] = {}
    for row in rows:
        value = getattr(row, column)
        earlier = first.setdefault(value.casefold(), row)
        if (before := getattr(earlier, column)) != value:
            raise LMFError(
                f"{path}, lines {earlier.line} and {row.line}: the {column} {before!r} is also written {value!r}. "
                "Write it in one way."
            )


def _check_inside(path: Path, row: Row) -> None:
    """Refuse a path that is absolute or goes up, as Unix and as Windows read it."""
    for place in (PurePosixPath(row.file), PureWindowsPath(row.file)):
        if place.anchor or ".." in place.parts:
            raise LMFError(
                f"{path}, line {row.line}: {row.file!r} may lie outside the folder. Put the clips into "
                f"{path.parent} and give paths relative to it, without '..'."
            )


def _decoded(folder: Path, rows: Sequence[Row], samples: int) -> tuple[np.ndarray, dict[Row, str]]:
    """(N, samples) waveforms of the rows that can be read, and why the others can't."""
    from tqdm import tqdm

    waveforms, failed = [], {}
    for row in tqdm(rows, desc="decoding", unit="clip", leave=False, delay=2, disable=None):
        # A name keeps the Unicode form of the system that gave it.
        places = [folder / unicodedata.normalize(form, row.file) for form in ("NFD", "NFC")]
        path = next(filter(os.path.exists, places), places[1])
        try:
            waveform = padded(sound := cached_sound(path), samples)
            if is_silent(sound, SAMPLE_RATE) or not waveform.any():
                raise LMFError("its sound is silent.")
            waveforms.append(waveform)
        except (LMFError, OSError) as error:
            failed[row] = str(error).removeprefix(f"{path}: ")
    return np.array(waveforms, np.float32).reshape(-1, samples), failed


def _splits(table: Path, rows: Sequence[Row], seed: int) -> dict[str, str]:
    """Speaker → split: the table's, or drawn."""
    speakers = sorted({row.speaker for row in rows})
    if rows[0].split is not None:
        names = np.array([f"line {row.line}, {row.file}" for row in rows])
        for row in rows:
            if not row.split:
                raise LMFError(
                    f"{table}, line {row.line}: the split is empty. Fill it in all lines, or in none."
                )
        try:
            splits = check_splits(np.array([row.split for row in rows]), names)
            check_groups(np.array([row.speaker for row in rows]), splits, names)
        except LMFError as error:
            raise LMFError(f"{table}: {error}") from None
        return {row.speaker: row.split for row in rows}
    if len(speakers) < 3:
        raise LMFError(
            f"{table}: {len(speakers)} speaker{'s' * (len(speakers) > 1)} ({', '.join(speakers)}). Training, "
            "validation and test need different speakers, so three at least. With two, a column 'split' of "
            "'train' and 'test' does without validation."
        )
    # By the hash of each name, so that a speaker who joins moves few others.
    drawn = sorted(speakers, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    held = max(1, round(HELD_OUT * len(speakers)))
    names = ["test"] * held + ["valid"] * held + ["train"] * (len(speakers) - 2 * held)
    return dict(zip(drawn, names))


def _check_training(
    table: Path, classes: Sequence[str], rows: Sequence[Row], split_of: dict[str, str]
) -> None:
    trained = {row.label for row in rows if split_of[row.speaker] == "train"}
    for name in classes:
        if name not in trained:
            speakers = sorted(
                {f"{row.speaker} ({split_of[row.speaker]})" for row in rows if row.label == name}
            )
            raise LMFError(
                f"{table}: no training clip has the label {name!r}. Speakers who have it: "
                f"{', '.join(speakers[:_SHOWN]) or 'none whose files can be read'}. Try another seed, give a column "
                "'split', or add clips."
            )


def _check_bad(table: Path, bad: dict[Row, str], lines: int) -> None:
    if len(bad) > MAX_BAD * lines:
        raise LMFError(
            f"{table}: {_listed(bad, lines)}That is more than {MAX_BAD:.0%}: mend or delete these lines."
        )


def _listed(bad: dict[Row, str], lines: int) -> str:
    shown = [
        f"\n  line {row.line}, {row.file or 'no file'}: {why}" for row, why in list(bad.items())[:_SHOWN]
    ]
    more = f"\n  and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    return f"{len(bad)} of {lines} clips can't be used:{''.join(shown)}{more}\n"


def cached_sound(path: Path) -> np.ndarray:
    """What `decode_sound` gives, from `KERAS_LMF_HOME/sound` or the user's cache folder where it is there already.

    A file is known by the SHA-256 of its content, so one that was moved is found and one that was changed is
    decoded again. Nothing is written beside the file. The cache may be deleted at any time; a damaged file in it
    is made again. A cache that can't be written is a warning.

    Raises:
        LMFError: as of `decode_sound`.
        OSError: the file can't be read.
    """
    if not path.is_file():  # decode_sound says what it is instead
        return decode_sound(path)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    place = cache_folder("sound") / f"{digest}-{SAMPLE_RATE}-v{_CACHE_VERSION}.npz"
    known = _cached(place)
    if known is not None:
        return known
    waveform = decode_sound(path)
    try:
        write_atomically(place, lambda temporary: np.savez(temporary, waveform=waveform))
    except LMFError as error:  # about each clip another one, so that this would be told for each
        warnings.warn(
            f"{str(error).replace(str(place), str(place.parent))} Clips are decoded again every time. "
            "KERAS_LMF_HOME names another cache.",
            stacklevel=2,
        )
    return waveform


def _cached(place: Path) -> np.ndarray | None:
    """The waveform in the cache, or None if it isn't there whole: an .npz has a checksum of what it holds."""
    try:
        waveform = read_npz(place)["waveform"]
    except (LMFError, KeyError, OSError):
        return None
    return waveform if waveform.dtype == np.float32 and waveform.ndim == 1 and len(waveform) else None
