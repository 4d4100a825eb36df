"""FER+ (Barsoum et al. 2016): the pictures of FER2013 with the votes of ten people for each, as soft labels.

`published/ferplus.toml` says what it is. It is pictures, no recordings, so all of its layouts are read here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_lmf.data.corpora.fer2013 import enlarged
from keras_lmf.data.corpora.fer_pictures import SIDE, USAGES, read_pixels, table_rows
from keras_lmf.data.corpora.files import find, is_there
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.npz import read_npz
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.media.pictures import grey_picture
from keras_lmf.target import Target

# As the columns of the votes are called → as corpora here call them. The last two are for no emotion.
WORDS = {
    "neutral": "neutral",
    "happiness": "happy",
    "surprise": "surprised",
    "sadness": "sad",
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fearful",
    "contempt": "contempt",
}
COLUMNS = (*WORDS, "unknown", "NF")
NAME = "Image name"
CLASSES = {
    "seven": ("angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised"),
    "eight": ("angry", "contempt", "disgust", "fearful", "happy", "neutral", "sad", "surprised"),
}
RATERS = 10
HELD_OUT = 10  # of the groups of Training, each tenth validates where PublicTest tests
# Layout → the corpus's folder and the file in it that tells it; the first that is there is read.
LAYOUTS = {
    "arrays": ("ferplus", "ferplus.npz"),
    "csv": ("ferplus", "fer2013new.csv"),
    "fer2013": ("fer2013", "fer2013new.csv"),
}
MAX_STRIP_BYTES = 2**22


class _Faces(NamedTuple):
    """Of N pictures (N, 48, 48) uint8, (N, 10) votes, and N words each."""

    images: np.ndarray
    votes: np.ndarray
    usages: np.ndarray
    groups: np.ndarray
    ids: np.ndarray


def load(
    root: str | Path | None = None,
    *,
    side: int = SIDE,
    classes: str = "seven",
    least: int = 1,
    test: str = "PublicTest",
) -> Dataset:
    """One picture of a face and what ten people saw in it, in the first of these layouts that is there:

    - `<root>/ferplus/ferplus.npz` and `pictures/*.webp`, arrays of ours; the extra `face` reads them. They have no
      PrivateTest, no near copies between the parts, and numbers of pictures that are (nearly) the same for groups.
    - `<root>/ferplus/fer2013new.csv` (or `<root>/fer2013/fer2013new.csv`) beside FER2013's `fer2013.csv`. Groups are
      pictures of the same bytes. One that is in a split to test or validate is left out of those that are trained on. A
      name that FER+ gives twice has the row's number after it.

    Modalities:
        face: (side, side, 1), grey, 0 to 1.

    `soft_labels` are the shares of the votes for the classes; other votes (unknown, no face, of "seven" contempt) don't
    count. `labels` are the classes of most votes; of equal ones the first in FER+'s order, which is that of `WORDS`.

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        side: pixels to which the images, 48 × 48, are resized, interpolated linearly; 48 to 256.
        classes: "seven", the basic emotions; "eight", with contempt.
        least: pictures with fewer votes for the classes are left out; 1 … 10.
        test: "PublicTest": it tests, a tenth of the groups of Training validates, PrivateTest is left out.
            "PrivateTest", as in the challenge: it tests, PublicTest validates, all of Training trains.

    Raises:
        LMFError: an option out of its range; a file that is missing, damaged or of another layout, with its line.
    """
    whole_number("Corpus 'ferplus': side", side, SIDE, 256)
    whole_number("Corpus 'ferplus': least", least, 1, RATERS)
    if classes not in CLASSES:
        raise unknown_name("ferplus classes", classes, CLASSES)
    if test not in USAGES[1:]:
        raise unknown_name("ferplus test", test, USAGES[1:])
    faces = _arrays(root) if layout(root) == "arrays" else _tables(root)
    names = CLASSES[classes]
    columns = [number for number, word in enumerate(WORDS.values()) if word in names]
    ours = [names.index(list(WORDS.values())[number]) for number in columns]
    kept = faces.votes[:, columns].astype(np.float64)
    splits = _splits(faces, test)
    rows = np.flatnonzero((kept.sum(axis=1) >= least) & (splits != ""))
    if not (splits[rows] == "test").any():
        raise LMFError(f"Corpus 'ferplus': there are no pictures of {test} here. Take another test.")
    soft = np.zeros((len(rows), len(names)))
    soft[:, ours] = kept[rows] / kept[rows].sum(axis=1, keepdims=True)
    return Dataset(
        name="ferplus",
        target=Target(name="emotion", classes=names),
        inputs={"face": enlarged(faces.images[rows].astype(np.float32) / 255, side)[..., None]},
        labels=np.array(ours)[kept[rows].argmax(axis=1)],
        groups=faces.groups[rows],
        ids=faces.ids[rows],
        splits=splits[rows],
        soft_labels=soft,
    )


def layout(root: str | Path | None = None) -> str:
    """Which of `LAYOUTS` is there; "arrays" where none is."""
    return next((name for name, (corpus, file) in LAYOUTS.items() if is_there(corpus, file, root)), "arrays")


def _splits(faces: _Faces, test: str) -> np.ndarray:
    """Of each row its split; "" where it is left out: of no use here, or the copy of one that is held out."""
    usages, groups = faces.usages, faces.groups
    if test == "PrivateTest":
        splits = np.select([usages == test, usages == "PublicTest"], ["test", "valid"], "train")
    else:
        drawn = {
            group: hashlib.sha256(group.encode()).digest()[0] % HELD_OUT == 0
            for group in set(groups.tolist())
        }
        validates = np.array([drawn[group] for group in groups.tolist()])
        splits = np.select(
            [usages == test, usages == "PrivateTest", validates], ["test", "", "valid"], "train"
        )
    for held, others in (("test", ("train", "valid")), ("valid", ("train",))):
        copies = np.isin(groups, groups[splits == held]) & np.isin(splits, others)
        splits = np.where(copies, "", splits)
    return splits


def _arrays(root: str | Path | None) -> _Faces:
    path = find("ferplus", "ferplus.npz", root)
    arrays = read_npz(path, ("usage", "votes", "vote_names", "group", "number"))
    rows = len(arrays["usage"])
    if tuple(arrays["vote_names"].tolist()) != COLUMNS or arrays["votes"].shape != (rows, len(COLUMNS)):
        raise LMFError(f"{path}: the votes must be (N, {len(COLUMNS)}), for {', '.join(COLUMNS)}.")
    strips = sorted(find("ferplus", "pictures", root).glob("*.webp"))
    read = [grey_picture(strip, MAX_STRIP_BYTES) for strip in strips]
    for strip, picture in zip(strips, read):
        if picture.shape[1] != SIDE or picture.shape[0] % SIDE:
            raise LMFError(
                f"{strip}: shape {picture.shape}, must be pictures of {SIDE} × {SIDE} in a column."
            )
    images = np.concatenate(read).reshape(-1, SIDE, SIDE) if read else np.zeros((0, SIDE, SIDE), np.uint8)
    if len(images) != rows:
        raise LMFError(
            f"{path}: {rows} rows, but {len(images)} pictures in {path.parent / 'pictures'}. Copy them again."
        )
    groups = np.array([f"picture_{group}" for group in arrays["group"]])
    ids = np.array([f"fer{number:07d}" for number in arrays["number"]])
    return _Faces(images, arrays["votes"], arrays["usage"], groups, ids)


def _tables(root: str | Path | None) -> _Faces:
    path = find(*LAYOUTS[layout(root)], root)
    pictures = read_pixels(path.with_name("fer2013.csv"))
    votes, ids, seen = [], [], set()
    for row, (line, values) in enumerate(table_rows(path, ("Usage", NAME, *COLUMNS))):
        given = [values[column].strip() for column in COLUMNS]
        if not all(vote.isdecimal() and int(vote) <= RATERS for vote in given):
            raise LMFError(
                f"{path}, line {line}: votes are whole numbers from 0 to {RATERS}, received {given}."
            )
        if row < len(pictures.usages) and values["Usage"].strip() != pictures.usages[row]:
            raise LMFError(
                f"{path}, line {line}: {values['Usage'].strip()!r}, but the same row of fer2013.csv is "
                f"{str(pictures.usages[row])!r}. The tables must have the same rows in the same order."
            )
        votes.append([int(vote) for vote in given])
        name = Path(values[NAME].strip()).stem
        ids.append(name if name and name not in seen else f"{name}_{row}")
        seen.add(name)
    if len(votes) != len(pictures.ids):
        raise LMFError(
            f"{path}: {len(votes)} rows, but fer2013.csv has {len(pictures.ids)}. They must be the same pictures."
        )
    groups = np.array([hashlib.sha256(image.tobytes()).hexdigest()[:16] for image in pictures.images])
    return _Faces(pictures.images, np.array(votes), pictures.usages, groups, np.array(ids))
