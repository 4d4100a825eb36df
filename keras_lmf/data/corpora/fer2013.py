"""FER2013 (Goodfellow et al. 2013): faces found by image search, 48 × 48 grey pixels, 7 emotions.

`published/fer2013.toml` says what it is. It is pictures, no recordings, so all of its layouts are read here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from keras_lmf.data.corpora.fer_pictures import SIDE, Pictures, read_folders, read_pixels
from keras_lmf.data.corpora.files import find, is_there
from keras_lmf.data.corpora.vocabulary import meanings
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.npz import read_npz
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import LMFError
from keras_lmf.target import Target

CLASSES = ("angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
FILES = ("train.npz", "validation.npz")
# Layout → the file or folder that tells it; the first that is there is read.
LAYOUTS = {
    "arrays": FILES[0],
    "csv": "fer2013.csv",
    "challenge": "icml_face_data.csv",
    "folders": "train/angry",
}
SPLITS = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
HELD_OUT = 10  # of the training pictures without a validation split, each tenth validates


def load(root: str | Path | None = None, *, side: int = SIDE) -> Dataset:
    """One picture of a face, from `<root>/fer2013`, in the first of these layouts that is there:

    - `train.npz` and `validation.npz`, arrays of ours: 15310 and 3508 images. The file "validation" is the test split.
    - `fer2013.csv` or `icml_face_data.csv`: 28709 pictures to train, 3589 ("PublicTest") to validate, 3589
      ("PrivateTest") to test.
    - `train/EMOTION/` and `test/EMOTION/`, folders of pictures; the extra `face` reads them.

    Where no split is said to validate, a tenth of the training images does, drawn by each image's own bytes.

    Modalities:
        face: (side, side, 1), grey, 0 to 1.

    Each image is a group of its own: no persons are named. In the arrays no two images are the same; the others hold
    copies, in several splits too.

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        side: pixels to which the images, 48 × 48, are resized, interpolated linearly; 48 to 256.

    Raises:
        LMFError: a side out of its range; a file that is missing, damaged or of another layout. It names file and line.
    """
    whole_number("Corpus 'fer2013': side", side, SIDE, 256)
    there = layout(root)
    if there == "arrays":
        read = _arrays(root)
    elif there == "folders":
        read = read_folders(find("fer2013", "train", root).parent)
    else:
        read = read_pixels(find("fer2013", LAYOUTS[there], root))
    names = _spoken(read.emotions.tolist())
    splits = np.array([SPLITS.get(usage, usage) for usage in read.usages.tolist()])
    if "valid" not in splits:
        drawn = np.array([usage == "train" and _held_out(image) for usage, image in zip(splits, read.images)])
        splits = np.where(drawn, "valid", splits)
    return Dataset(
        name="fer2013",
        target=Target(name="emotion", classes=CLASSES),
        inputs={"face": enlarged(read.images.astype(np.float32) / 255, side)[..., None]},
        labels=[CLASSES.index(name) for name in names],
        groups=read.ids,
        ids=read.ids,
        splits=splits,
    )


def layout(root: str | Path | None = None) -> str:
    """Which of `LAYOUTS` is there; "arrays" where none is."""
    return next((name for name, file in LAYOUTS.items() if is_there("fer2013", file, root)), "arrays")


def _arrays(root: str | Path | None) -> Pictures:
    images, emotions, ids, usages = [], [], [], []
    for file, usage in zip(FILES, ("train", "test")):
        path = find("fer2013", file, root)
        arrays = read_npz(path, ("images", "labels", "classes"))
        names = _spoken(arrays["classes"].tolist())
        if sorted(names) != sorted(CLASSES):
            raise LMFError(f"{path}: the classes are {', '.join(names)}; FER2013 has {', '.join(CLASSES)}.")
        rows = arrays["labels"].size
        shapes = arrays["labels"].shape, arrays["images"].shape
        if shapes != ((rows,), (rows, SIDE, SIDE)) or arrays["labels"].max() >= 7:
            raise LMFError(
                f"{path}: 'images' {arrays['images'].shape} with 'labels' {arrays['labels'].shape}; they must be "
                f"(N, {SIDE}, {SIDE}) with (N,) class integers 0 to 6."
            )
        images.append(arrays["images"])
        emotions.append(np.array(names)[arrays["labels"]])
        usages += [usage] * rows
        ids += [f"{path.stem}_{row:05d}" for row in range(rows)]
    return Pictures(np.concatenate(images), np.concatenate(emotions), np.array(usages), np.array(ids))


def _spoken(names: list[str]) -> list[str]:
    """The classes' names, where files have "fear" or "surprise"; others as they are."""
    known = {word: meaning for word, meaning in meanings().items() if meaning in CLASSES}
    return [known.get(name, name) for name in names]


def enlarged(images: np.ndarray, side: int) -> np.ndarray:
    """(N, n, n) images as (N, side, side), interpolated linearly between the centres of the pixels."""
    count = images.shape[1]
    places = np.clip((np.arange(side) + 0.5) * count / side - 0.5, 0, count - 1)
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(count))).astype(np.float32)
    return weights @ images @ weights.T


def _held_out(image: np.ndarray) -> bool:
    return hashlib.sha256(image.tobytes()).digest()[0] % HELD_OUT == 0
