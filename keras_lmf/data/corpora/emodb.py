"""EmoDB (Burkhardt et al. 2005) as arrays of ours: mono sound at 16 kHz. `published/emodb.toml` says what it is."""

from __future__ import annotations

from pathlib import Path

from keras_lmf.data.corpora.published.loading import sounds
from keras_lmf.data.dataset import Dataset


def load(root: str | Path | None = None, *, fold: int = 0, seconds: float = 2.0) -> Dataset:
    """The voice alone, from `<root>/emodb/flac16k/*.flac`: the corpus's recordings under their own names.

    Modalities:
        voice: (samples,), the sound in [-1, 1] at 16 kHz; zeros after the end. The extra `media` reads it.

    Groups are the ten speakers ("speaker_03" … "speaker_16"), 35 to 71 recordings each. A file's name is speaker,
    sentence, emotion and version: 03a01Fa is speaker 03 saying sentence a01 happily (Freude).

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        fold: 0 … 9. The test split is this speaker, in the order of their numbers, valid the next one (0 follows
            9), train the other eight. Leaving each speaker out in turn is the field's protocol.
        seconds: the length to which a recording is cut or zero-padded at the end; up to 60.

    Raises:
        LMFError: an option out of its range; a file that is missing, damaged or not named as EmoDB's are.
    """
    return sounds("emodb", root, fold, seconds)
