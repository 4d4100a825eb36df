"""Synthetic pairs: voices of RAVDESS and EmoDB beside faces of FER2013, of different people, with the same emotion."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.data import corpora
from keras_lmf.data.corpora import fer2013
from keras_lmf.data.corpora.description import VOICE, CorpusDescription
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.validation import whole_number
from keras_lmf.target import Target

CLASSES = fer2013.CLASSES
SIDE = 64

DESCRIPTION = CorpusDescription(
    title="voices of RAVDESS and EmoDB and faces of FER2013",
    licence="RAVDESS: CC BY-NC-SA 4.0; EmoDB: free, with attribution; FER2013: unclear, research",
    weights_licence="CC BY-NC-SA 4.0, and research only",
    inputs={
        "voice": VOICE,
        "face": ("white = 1", "64 × 64 grey pixels of one face in each frame; zeros: no face", 2),
    },
    notes=(
        "Voices and faces are paired by their label alone. What goes together in one person (timing, a smile "
        "against a sad voice) can't be learnt from such pairs, and figures on them say nothing about it: the "
        "errors of voice and face are independent by construction.",
        "Test voices (RAVDESS fold 0, EmoDB fold 0) and test images (FER2013) are in no other split. Each voice "
        "stands in several rows, so rows are not independent.",
    ),
    warning="Synthetic pairs: voices and faces of different people.",
    made_of=("ravdess", "emodb", "fer2013"),
    citation="Livingstone & Russo 2018; Burkhardt et al. 2005; Goodfellow et al. 2013",
)


def load(
    root: str | Path | None = None, *, seconds: float = 3.0, frames: int = 6, faces: int = 4, seed: int = 0
) -> Dataset:
    """A voice and a face that show the same emotion, of two people who never met.

    Modalities:
        voice: (samples,), a recording of RAVDESS (without "calm") or EmoDB (without "bored"), [-1, 1] at 16 kHz, zeros
            after the end.
        face: (frames, 64, 64, 1), an image of FER2013, enlarged, grey, 0 to 1, as the first frame; the other frames are
            zeros, as where no face is seen.

    Each voice stands in `faces` rows, each with a face drawn from those of its emotion. EmoDB knows no surprise. Groups
    are the speakers ("ravdess_actor_01", "emodb_speaker_03").

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        seconds: the length to which a recording is cut or zero-padded at the end; up to 60.
        frames: of the face input, 1 … 100.
        faces: rows for each voice, 1 … 100.
        seed: of the draw.
    """
    for name, value, least, most in (
        ("frames", frames, 1, 100),
        ("faces", faces, 1, 100),
        ("seed", seed, 0, None),
    ):
        whole_number(f"Corpus 'voices_and_faces': {name}", value, least, most)
    images = corpora.load("fer2013", root, side=SIDE)
    voices = [corpora.load(name, root, seconds=seconds).select(["voice"]) for name in ("ravdess", "emodb")]
    emotions = [np.array(voice.target.classes)[voice.labels] for voice in voices]

    def joined(columns: list[np.ndarray]) -> np.ndarray:
        """Of the voices whose emotion a face shows."""
        return np.concatenate([c[np.isin(words, CLASSES)] for c, words in zip(columns, emotions)])

    labels = np.array([CLASSES.index(word) for word in joined(emotions)])
    splits = joined([voice.splits for voice in voices])
    random = np.random.default_rng(seed)
    # A face's row for every voice and turn, from those of the same emotion in the same split.
    chosen = np.concatenate(
        [
            random.choice(np.flatnonzero((images.splits == split) & (images.labels == label)), faces)
            for split, label in zip(splits, labels)
        ]
    )
    face = np.zeros((len(chosen), frames, SIDE, SIDE, 1), np.float32)
    face[:, 0] = images.inputs["face"][chosen]
    names, groups = (
        np.repeat(joined([np.char.add(f"{v.name}_", getattr(v, column)) for v in voices]), faces)
        for column in ("ids", "groups")
    )
    pairs = enumerate(zip(names, images.ids[chosen]))
    return Dataset(
        name="voices_and_faces",
        target=Target(name="emotion", classes=CLASSES),
        inputs={
            "voice": np.repeat(joined([voice.inputs["voice"] for voice in voices]), faces, axis=0),
            "face": face,
        },
        labels=np.repeat(labels, faces),
        groups=groups,
        ids=np.array([f"{name}_{image}_{turn}" for turn, (name, image) in pairs]),
        splits=np.repeat(splits, faces),
    )
