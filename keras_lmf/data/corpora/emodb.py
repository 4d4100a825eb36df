"""EmoDB (Burkhardt et al. 2005): German sentences by ten actors, 7 emotions, 535 recordings. Free, with attribution."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from keras_lmf.data.corpora.description import VOICE, CorpusDescription
from keras_lmf.data.corpora.files import find_named, fold_splits
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.validation import whole_number
from keras_lmf.media.sound import number_of_samples, read_waveforms
from keras_lmf.target import Target

SPEAKERS = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
CLASSES = ("angry", "bored", "disgust", "fearful", "happy", "neutral", "sad")
# The sixth character of a file's name: the first letter of the emotion's German word.
EMOTIONS = dict(zip("WLEAFNT", CLASSES))
RECORDINGS = 535
_NAME = re.compile(rf"({'|'.join(SPEAKERS)})[ab]\d\d[{''.join(EMOTIONS)}][a-z]")

DESCRIPTION = CorpusDescription(
    title="EmoDB",
    licence="EmoDB: free, with attribution",
    weights_licence="free, with attribution",
    inputs={"voice": VOICE},
    notes=(
        "10 actors, ten sentences, German: acted, not felt. Only recordings are in it whose emotion 80 % of 20 "
        "listeners had recognised.",
        "Every recording is 2 s long: longer ones are cut, shorter ones padded.",
        "Test and validation are one speaker each, about 50 recordings; nothing is measured on the test speaker "
        "(inductive). The field's protocol is the mean over all ten speakers.",
    ),
    voice_notes=(
        "The cross-validation, where there is one, leaves out each speaker in turn, with this one recipe. Its "
        "settings were chosen on validation speakers, who are test speakers of other rounds: it is not nested.",
    ),
    citation="Burkhardt et al., A database of German emotional speech, Interspeech 2005",
)


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
    whole_number("Corpus 'emodb': fold", fold, 0, len(SPEAKERS) - 1)
    samples = number_of_samples(seconds, "Corpus 'emodb': seconds")
    paths, _ = find_named("emodb", "flac16k", root, "03a01Fa.flac", _NAME, RECORDINGS)
    names = [path.stem for path in paths]
    numbers = np.array([SPEAKERS.index(name[:2]) for name in names])
    return Dataset(
        name="emodb",
        target=Target(name="emotion", classes=CLASSES),
        inputs={"voice": read_waveforms(paths, samples)},
        labels=[CLASSES.index(EMOTIONS[name[5]]) for name in names],
        groups=np.array([f"speaker_{name[:2]}" for name in names]),
        ids=np.array(names),
        splits=fold_splits(numbers, fold, len(SPEAKERS)),
    )
