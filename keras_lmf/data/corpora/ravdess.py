"""RAVDESS's speech (Livingstone & Russo 2018) as arrays of ours. `published/ravdess.toml` says what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.data.corpora.files import find, fold_splits
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.npz import read_npz
from keras_lmf.data.validation import whole_number
from keras_lmf.media.sound import number_of_samples, read_waveforms
from keras_lmf.target import Target

FOLDS = 5


def load(root: str | Path | None = None, *, fold: int = 0, seconds: float | None = None) -> Dataset:
    """Voice and face of the same takes, from `<root>/ravdess/ravdess_audio_video.npz`.

    Modalities:
        audio: (64, 45), masked; a step each 50 ms holds 40 log-mel bands, log energy, zero-crossing rate,
            spectral centroid (kHz), log2(F0 / 100 Hz) (0 where unvoiced) and voicing.
        audio_statistics: (75,), statistics over the take of MFCC, energy, F0 ….
        video: (35,), mean over the take of 17 facial action unit intensities (0–5) and 18 presences (0–1).
        voice: (samples,), only with `seconds`: the take's sound in [-1, 1] at 16 kHz, silence trimmed, from
            `<root>/ravdess/flac16k/<id>.flac`; zeros after the end. The extra `media` reads it.

    Groups are the actors ("actor_01" … "actor_24"), 60 takes each. They form five folds of 5, 5, 5, 5 and 4
    actors. Takes 03-01-03-01-02-01-07 and 03-01-03-01-02-02-07 are copies of one another; both are actor 7's,
    so they are always in one split.

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        fold: 0 … 4. The test split is this fold, valid the next one (0 follows 4), train the other three.
        seconds: the length to which `voice` is cut or zero-padded at the end; up to 60. Takes last 1.4 to 4.4 s.
            None: there is no `voice`.

    Raises:
        LMFError: an option out of its range; a file that is missing, damaged or not in this layout.
    """
    whole_number("Corpus 'ravdess': fold", fold, 0, FOLDS - 1)
    samples = None if seconds is None else number_of_samples(seconds, "Corpus 'ravdess': seconds")
    needed = ("audio", "audio_length", "audio_stat", "video", "label", "label_names", "actor", "fold", "ids")
    arrays = read_npz(find("ravdess", "ravdess_audio_video.npz", root), needed)
    steps = np.arange(arrays["audio"].shape[1])
    inputs = {"audio": arrays["audio"], "audio_statistics": arrays["audio_stat"], "video": arrays["video"]}
    if samples is not None:
        sounds = find("ravdess", "flac16k", root)
        inputs["voice"] = read_waveforms([sounds / f"{name}.flac" for name in arrays["ids"]], samples)
    return Dataset(
        name="ravdess",
        target=Target(name="emotion", classes=tuple(arrays["label_names"].tolist())),
        inputs=inputs,
        labels=arrays["label"],
        groups=np.array([f"actor_{actor:02d}" for actor in arrays["actor"]]),
        ids=arrays["ids"],
        splits=fold_splits(arrays["fold"], fold, FOLDS),
        masks={"audio": steps < arrays["audio_length"][:, None]},
    )
