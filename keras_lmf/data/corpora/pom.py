"""POM (Park et al. 2014) as arrays of ours. `published/pom.toml` says what it is, and reads its .csd."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.data.corpora.files import find
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.npz import read_npz
from keras_lmf.data.validation import SPLITS
from keras_lmf.target import Target

# The columns of the labels. The file names none: this is the presumed order of the public release.
RATINGS = (
    *("confident", "passionate", "voice_pleasant", "dominant", "credible", "vivid", "expertise"),
    *("entertaining", "reserved", "trusting", "relaxed", "outgoing", "thorough", "nervous"),
    *("sentiment", "persuasive", "humorous"),
)
MASKS = {"audio": "mask", "video": "video_mask"}


def load(root: str | Path | None = None) -> Dataset:
    """Voice and face as sequences, from `<root>/pom/pom_sequence.npz`: train 600, valid 100, test 203 reviews.

    Modalities, both masked and aligned step by step:
        audio: (20, 43), COVAREP features scaled to about [-1, 1].
        video: (20, 41), FACET features likewise. 486 of the 903 reviews have no video step at all: there the
            whole sequence is masked.

    Steps are padded on the left. A gap among the real steps stays where it is, so that a step of audio and the
    same step of video belong together.

    Every rating is a mean over raters on scales from 1 to 7. One of the 15 351, "reserved" of a test review, is
    0.67 in the file and is read as 1.

    **Speakers.** The file has no ids, so a reviewer of train may be in valid or test (the corpus's notes; the nearest
    neighbour's r is .40 on rows near a row of train and .22 on the others). Here every review is a group of its own, so
    the check for speakers in two splits says nothing.

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
    """
    keys = ("label", *MASKS, *MASKS.values())
    needed = [f"{split}_{key}" for key in keys for split in SPLITS]
    arrays = read_npz(find("pom", "pom_sequence.npz", root), needed)
    columns = {key: np.concatenate([arrays[f"{split}_{key}"] for split in SPLITS]) for key in keys}
    sizes = [len(arrays[f"{split}_label"]) for split in SPLITS]
    ids = np.array([f"{split}_{row:03d}" for split, size in zip(SPLITS, sizes) for row in range(size)])
    return Dataset(
        name="pom",
        target=Target(name="ratings", range=(1, 7), dimensions=RATINGS),
        inputs={modality: columns[modality] for modality in MASKS},
        labels=np.maximum(columns["label"], 1),
        groups=ids,
        ids=ids,
        splits=np.repeat(SPLITS, sizes),
        masks={modality: columns[mask] != 0 for modality, mask in MASKS.items()},
    )
