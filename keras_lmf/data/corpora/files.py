"""Where the corpora lie: an argument or the environment variable KERAS_LMF_DATA, never a built-in path."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_lmf.data.validation import SPLITS
from keras_lmf.errors import LMFError
from keras_lmf.media.suffixes import MEDIA_FILES, PICTURE_FILES

LABELS = "labels.csv"  # what makes a folder one of clips: corpora.clips


def find(corpus: str, file: str, root: str | Path | None) -> Path:
    """The existing file or folder `<root>/<corpus>/<file>`; or `<root>/<file>`, of a root of the corpus's name.

    Without `root`, KERAS_LMF_DATA is read at the call.
    """
    folder = base_folder(corpus, f"the folder that holds {corpus}/{file}", root)
    path = next((place / file for place in _places(corpus, folder) if (place / file).exists()), None)
    if path is None:
        origin = "root" if root is not None else "KERAS_LMF_DATA"
        raise LMFError(
            f"Corpus {corpus!r}: {folder / corpus / file} does not exist. "
            f"{origin} must be the folder that holds {corpus}/{file}."
            + (f" It is a folder of clips ({LABELS}), the corpus 'clips'." if is_clips(folder) else "")
        )
    return path


def is_there(corpus: str, file: str, root: str | Path | None) -> bool:
    """Whether `find` would find it."""
    folder = root_or_default(root)
    return folder is not None and any((place / file).exists() for place in _places(corpus, folder))


def _places(corpus: str, folder: Path) -> tuple[Path, ...]:
    return (folder / corpus, *([folder] if folder.name == corpus else []))


def find_clips(root: str | Path | None) -> Path:
    """The existing folder `root` of clips. Without `root`, KERAS_LMF_DATA is read at the call."""
    folder = _folder("clips", "where are your clips?", f"the folder that holds them and {LABELS}", root)
    if not is_clips(folder) and not class_files(folder):
        raise LMFError(
            f"Corpus 'clips': {folder / LABELS} does not exist. It is a table with the columns file, label, "
            "speaker, and perhaps split, start and end. Or put the clips into folders named by class: happy/, sad/."
        )
    return folder


def base_folder(corpus: str, wanted: str, root: str | Path | None) -> Path:
    """`root`, or what KERAS_LMF_DATA says at the call; `wanted` tells in the error what either must be."""
    return _folder(corpus, "where is the data?", wanted, root)


class ClassFile(NamedTuple):
    """A media file or picture, relative to its folder of classes; `split` is None where no folder says it."""

    path: Path
    label: str
    split: str | None


def class_files(folder: Path) -> list[ClassFile]:
    """The media files and pictures of a folder of folders named by class, hidden ones apart: happy/first.mp4. Where all
    folders are of train, valid and test, the classes are in these: train/happy/first.mp4.

    Raises:
        LMFError: a file in a folder that is neither.
    """
    places = [place for place in sorted(folder.iterdir()) if place.is_dir()] if folder.is_dir() else []
    paths = [
        path.relative_to(folder)
        for place in places
        for path in sorted(place.rglob("*"))
        if MEDIA_FILES.fullmatch(path.suffix) or PICTURE_FILES.fullmatch(path.suffix)
    ]
    paths = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
    split = all(path.parts[0] in SPLITS for path in paths)
    for path in paths:
        if len(path.parts) != (3 if split else 2):
            raise LMFError(
                f"{folder}: {path.as_posix()!r} is not where a folder of classes holds its files: class/file "
                f"(happy/first.mp4), or split/class/file where all folders are of {', '.join(SPLITS)} "
                f"(train/happy/first.mp4). Move it, or write a {LABELS}."
            )
    return [
        ClassFile(path, unicodedata.normalize("NFC", path.parts[-2]), path.parts[0] if split else None)
        for path in paths
    ]


def _folder(corpus: str, question: str, wanted: str, root: str | Path | None) -> Path:
    folder = root_or_default(root)
    if folder is None:
        raise LMFError(
            f"Corpus {corpus!r}: {question} Pass root=… (or --data), or run `export KERAS_LMF_DATA=…`, "
            f"either with {wanted}."
        )
    return folder


def root_or_default(root: str | Path | None) -> Path | None:
    """`root`, or what KERAS_LMF_DATA says at the call; None: neither is given."""
    folder = root if root is not None else os.environ.get("KERAS_LMF_DATA")
    return Path(folder) if folder else None


def is_clips(folder: str | Path) -> bool:
    """Whether it is a folder of clips."""
    return (Path(folder) / LABELS).is_file()


def find_named(
    corpus: str, folder: str, root: str | Path | None, like: str, name: re.Pattern, count: int
) -> tuple[list[Path], list[re.Match]]:
    """The files in `<root>/<corpus>/<folder>` of one suffix, and the matches of their stems, each of which must match.

    Args:
        corpus, folder, root: as of `find`.
        like: an example of a file's name.
        name: what each stem must match.
        count: how many files there must be.
    """
    place, suffix = find(corpus, folder, root), Path(like).suffix
    paths = sorted(place.glob(f"*{suffix}"))
    matches = [name.fullmatch(path.stem) for path in paths]
    for path, match in zip(paths, matches):
        if not match:
            raise LMFError(f"{path}: no file of {corpus} has this name ({like}, …). Move it elsewhere.")
    if len(paths) != count:
        raise LMFError(f"{place}: {len(paths)} files ({suffix}), {corpus} has {count}. Copy it again.")
    return paths, matches


def fold_splits(folds: np.ndarray, fold: int, count: int) -> np.ndarray:
    """Of each row: "test" in the `fold` of `count`, "valid" in the next one (0 follows the last), else "train"."""
    return np.select([folds == fold, folds == (fold + 1) % count], ["test", "valid"], "train")
