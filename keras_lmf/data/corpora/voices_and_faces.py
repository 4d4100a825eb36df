"""Synthetic pairs: voices of three languages beside faces of FER+, of different people, with the same emotion."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.data import corpora
from keras_lmf.data.corpora import ferplus
from keras_lmf.data.corpora.description import VOICE, CorpusDescription
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.validation import whole_number

VOICES = ("ravdess", "emodb", "nemo")
SIDE = ferplus.SIDE
# Of a picture: how many people named an emotion, and the share of them that named the same one, at least.
LEAST, CLEAR = 5, 0.5

DESCRIPTION = CorpusDescription(
    title="voices of RAVDESS, EmoDB and nEMO and faces of FER+",
    licence="RAVDESS, nEMO: CC BY-NC-SA 4.0; EmoDB: free, with attribution; FER2013's pictures: unclear, research",
    weights_licence="CC BY-NC-SA 4.0, and research only",
    inputs={
        "voice": VOICE,
        "face": ("white = 1", "48 × 48 grey pixels of one face in each frame; zeros: no face", 2),
    },
    notes=(
        "Voices and faces are paired by their label alone. What goes together in one person (timing, a smile "
        "against a sad voice) can't be learnt from such pairs, and figures on them say nothing about it: the "
        "errors of voice and face are independent by construction.",
        "A face is one picture, in one frame; the other frames are empty. Several pictures would be of several people, "
        "and no motion.",
        "Test voices (of speakers in no other split) and test pictures (FER+'s PublicTest) are in no other split. Only "
        "pictures are taken whose emotion more than half of the people named.",
    ),
    warning="Synthetic pairs: voices and faces of different people.",
    made_of=(*VOICES, "ferplus", "fer2013"),  # the same pictures
    citation="Livingstone & Russo 2018; Burkhardt et al. 2005; Christop 2024; Goodfellow et al. 2013; Barsoum et al. "
    "2016",
)


def load(
    root: str | Path | None = None, *, seconds: float = 3.0, frames: int = 6, faces: int = 1, seed: int = 0
) -> Dataset:
    """A voice and a face that show the same emotion, of two people who never met.

    Modalities:
        voice: (samples,), a recording of RAVDESS, EmoDB or nEMO, [-1, 1] at 16 kHz, zeros after the end; of those of
            which the seven emotions say what they are (`corpora.load` of several).
        face: (frames, 48, 48, 1), a picture of FER+, grey, 0 to 1, as the first frame; the other frames are zeros, as
            where no face is seen.

    Each voice stands in `faces` rows of training, in one of the other splits, each with a face drawn from those of its
    emotion. Groups are the speakers
    ("emodb speaker_03"), `corpora` the voices'.

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        seconds: the length to which a recording is cut or zero-padded at the end; up to 60.
        frames: of the face input, 1 … 100.
        faces: rows for each voice of training, 1 … 100.
        seed: of the draw.
    """
    for name, value, least, most in (
        ("frames", frames, 1, 100),
        ("faces", faces, 1, 100),
        ("seed", seed, 0, None),
    ):
        whole_number(f"Corpus 'voices_and_faces': {name}", value, least, most)
    pictures = corpora.load("ferplus", root, least=LEAST)
    pictures = pictures.take(pictures.soft_labels.max(axis=1) > CLEAR)
    voices = corpora.load(VOICES, root, seconds=seconds).select(["voice"])
    words = np.array(voices.target.classes)[voices.labels]
    shown = np.array(pictures.target.classes)[pictures.labels]
    random = np.random.default_rng(seed)
    # A face's row for every voice and turn, from those of the same emotion in the same split.
    drawn = np.stack(
        [
            random.choice(np.flatnonzero((pictures.splits == split) & (shown == word)), faces)
            for split, word in zip(voices.splits, words)
        ]
    )
    spoken, turns = np.nonzero((voices.splits == "train")[:, None] | (np.arange(faces) == 0))
    chosen = drawn[spoken, turns]
    face = np.zeros((len(chosen), frames, SIDE, SIDE, 1), np.float32)
    face[:, 0] = pictures.inputs["face"][chosen]
    pairs = zip(voices.ids[spoken], pictures.ids[chosen], spoken * faces + turns)
    return Dataset(
        name="voices_and_faces",
        target=voices.target,
        inputs={"voice": voices.inputs["voice"][spoken], "face": face},
        labels=voices.labels[spoken],
        groups=voices.groups[spoken],
        ids=np.array([f"{name}_{picture}_{draw}" for name, picture, draw in pairs]),
        splits=voices.splits[spoken],
        corpora=voices.corpora[spoken],
    )
