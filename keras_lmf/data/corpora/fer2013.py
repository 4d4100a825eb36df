"""FER2013 (Goodfellow et al. 2013): faces found by image search, 48 × 48 grey pixels, 7 emotions. Unclear licence."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from keras_lmf.data.corpora.description import CorpusDescription
from keras_lmf.data.corpora.files import find
from keras_lmf.data.corpora.vocabulary import meanings
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.npz import read_npz
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import LMFError
from keras_lmf.target import Target

CLASSES = ("angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
FILES = ("train.npz", "validation.npz")
SIDE = 48
HELD_OUT = 10  # of the training file's images, each tenth validates

DESCRIPTION = CorpusDescription(
    title="FER2013",
    licence="FER2013: unclear, research",
    weights_licence="research only, as the training data",
    inputs={
        "face": (
            "white = 1",
            "grey pixels of one face, tightly cut; FER2013 has 48 × 48",
        )
    },
    notes=(
        "Faces found by image search for words of emotion, labelled by people who agree with one another in about "
        "65 % of the images. No persons are named: one may be in two splits.",
        "Trained on 15,310 of the corpus's 28,709 training images, at most 2,500 of a class; the test split is "
        "3,508 of its public test images, with the corpus's own frequencies. Papers use all images.",
    ),
    citation="Goodfellow et al., Challenges in Representation Learning, ICONIP 2013",
)


def load(root: str | Path | None = None, *, side: int = SIDE) -> Dataset:
    """One picture of a face, from `<root>/fer2013/train.npz` and `validation.npz`: 15310 and 3508 images.

    Modalities:
        face: (side, side, 1), grey, 0 to 1.

    The file "validation" is the test split; of the file "train", a tenth of the images validates, drawn by each
    image's own bytes. No two images are the same; each is a group of its own.

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        side: pixels to which the images, 48 × 48, are resized, interpolated linearly; 48 to 256.
    """
    whole_number("Corpus 'fer2013': side", side, SIDE, 256)
    known = meanings()  # the files have "fear" and "surprise"
    images, labels, ids = [], [], []
    for file in FILES:
        path = find("fer2013", file, root)
        arrays = read_npz(path, ("images", "labels", "classes"))
        names = [known.get(name, name) for name in arrays["classes"].tolist()]
        if sorted(names) != sorted(CLASSES):
            raise LMFError(f"{path}: the classes are {', '.join(names)}; FER2013 has {', '.join(CLASSES)}.")
        images.append(arrays["images"])
        rows = arrays["labels"].size
        shapes = arrays["labels"].shape, arrays["images"].shape
        if shapes != ((rows,), (rows, SIDE, SIDE)) or arrays["labels"].max() >= 7:
            raise LMFError(
                f"{path}: 'images' {arrays['images'].shape} with 'labels' {arrays['labels'].shape}; they must be "
                f"(N, {SIDE}, {SIDE}) with (N,) class integers 0 to 6."
            )
        labels.append(np.array([CLASSES.index(name) for name in names])[arrays["labels"]])
        ids += [f"{path.stem}_{row:05d}" for row in range(rows)]
    drawn = ["valid" if _held_out(image) else "train" for image in images[0]]
    return Dataset(
        name="fer2013",
        target=Target(name="emotion", classes=CLASSES),
        inputs={"face": enlarged(np.concatenate(images).astype(np.float32) / 255, side)[..., None]},
        labels=np.concatenate(labels),
        groups=np.array(ids),
        ids=np.array(ids),
        splits=np.array(drawn + ["test"] * len(labels[1])),
    )


def enlarged(images: np.ndarray, side: int) -> np.ndarray:
    """(N, n, n) images as (N, side, side), interpolated linearly between the centres of the pixels."""
    count = images.shape[1]
    places = np.clip((np.arange(side) + 0.5) * count / side - 0.5, 0, count - 1)
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(count))).astype(np.float32)
    return weights @ images @ weights.T


def _held_out(image: np.ndarray) -> bool:
    return hashlib.sha256(image.tobytes()).digest()[0] % HELD_OUT == 0
