"""CMU-MOSI (Zadeh et al. 2016) as arrays of ours. `published/cmu_mosi.toml` says what it is and reads its downloads."""

from __future__ import annotations

from pathlib import Path

from keras_lmf.data.corpora.files import find
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.npz import read_npz
from keras_lmf.errors import unknown_name
from keras_lmf.target import Target

# The networks behind the video and text features were trained on labels of utterances that "split" has in
# train but "split_sdk" partly in test. There they would leak test labels, so "split_sdk" gives audio alone.
MODALITIES = {"split": ("audio", "video", "text"), "split_sdk": ("audio",)}


def load(root: str | Path | None = None, *, split: str = "split") -> Dataset:
    """One feature vector per utterance and modality, from `<root>/cmu_mosi/mosi_utterance.npz`.

    Groups are the videos: each is one speaker's review, and all its utterances are in one split.

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        split: "split" (train 1447, valid 160, test 592) with audio (73), video (100) and text (100); or
            "split_sdk", the published papers' partition (1284, 229, 686), with audio alone, because the video
            and text features saw labels of its test split. Figures on the two are not comparable.
    """
    if split not in MODALITIES:
        raise unknown_name("cmu_mosi split", split, MODALITIES)
    keys = (*MODALITIES[split], "label", "video_id", "ids", split)
    arrays = read_npz(find("cmu_mosi", "mosi_utterance.npz", root), keys)
    return Dataset(
        name="cmu_mosi",
        target=Target(name="sentiment", range=(-3, 3)),
        inputs={modality: arrays[modality] for modality in MODALITIES[split]},
        labels=arrays["label"],
        groups=arrays["video_id"],
        ids=arrays["ids"],
        splits=arrays[split],
    )
