"""nEMO (Christop 2024) as arrays of ours: a part of it, mono sound at 16 kHz. `published/nemo.toml` says what it is."""

from __future__ import annotations

from pathlib import Path

from keras_lmf.data.corpora.published.loading import sounds
from keras_lmf.data.dataset import Dataset


def load(root: str | Path | None = None, *, fold: int = 0, seconds: float = 3.0) -> Dataset:
    """The voice alone, from `<root>/nemo/flac16k/*.flac`: 1265 of the corpus's recordings under their own names.

    Modalities:
        voice: (samples,), the sound in [-1, 1] at 16 kHz; zeros after the end. The extra `media` reads it.

    Groups are the nine speakers, up to 24 recordings each in each emotion; MK0 has no "surprised", MP0 17 "fear". A
    file's name is speaker, emotion and sentence.

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        fold: 0 … 8. The test split is this speaker, in the alphabet's order, valid the next one (0 follows 8), train
            the other seven.
        seconds: the length to which a recording is cut or zero-padded at the end; up to 60. They last 0.9 to 4.1 s.

    Raises:
        LMFError: an option out of its range; a file that is missing, damaged or not named as nEMO's are.
    """
    return sounds("nemo", root, fold, seconds)
