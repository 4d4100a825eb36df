"""IEMOCAP (Busso et al. 2008): acted dialogues of 10 speakers in 5 sessions. On request, no redistribution."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.data.corpora._root import find
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.npz import read_npz, require_keys
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.target import Target

CLASSES = ("neutral", "happy", "sad", "angry")
STRICT = {"neutral": "neutral", "happiness": "happy", "sadness": "sad", "anger": "angry"}
# What the two usual readings of "happy" make of the annotators' majority label; other labels are left out.
EMOTIONS = {"merged": STRICT | {"excited": "happy"}, "strict": STRICT}
TEST_SESSION = 5
PROLONGATION = 10


def load(root: str | Path | None = None, *, labels: str = "merged", validation_session: int = 4) -> Dataset:
    """Voice and words of utterances, from `<root>/iemocap/iemocap_audio_text.npz`. There is no video.

    Modalities:
        audio: (12,), pitch, loudness and high-frequency energy normalised per speaker, annotated pauses, fillers,
            laughter … prolongation (long-tailed, so as log(1 + x)), and the logarithm of the duration in seconds.
        text: (100,), TF-IDF and SVD of the transcript, fitted on sessions 1–4 without labels. So the validation
            session's words took part in fitting the features, the test session's did not.

    Groups are the ten speakers ("Ses01F" … "Ses05M"); the two of a session are always in the same split, as they
    speak in the same dialogues. The file's own validation rows share speakers with its training rows and rank
    models wrongly, so they are not used.

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        labels: four classes either way, majority labels. "merged" counts "excited" as happy (5529 utterances, the
            usual choice); "strict" leaves "excited" out (4490). Figures on the two are not comparable.
        validation_session: 1 … 4, the session that is the valid split; the other three of these are train. Test
            is session 5 always. Average over the four to validate on all of sessions 1–4.
    """
    if labels not in EMOTIONS:
        raise unknown_name("iemocap labels", labels, EMOTIONS)
    last = TEST_SESSION - 1
    is_number = isinstance(validation_session, int) and not isinstance(validation_session, bool)
    if not is_number or not 1 <= validation_session <= last:
        raise LMFError(
            f"Corpus 'iemocap': validation_session must be a whole number 1 … {last}, received "
            f"{validation_session!r}. Session {TEST_SESSION} is the test split."
        )
    path = find("iemocap", "iemocap_audio_text.npz", root)
    arrays = read_npz(path)
    require_keys(path, arrays, ("audio", "duration", "text", "emotion", "speaker", "ids"))
    names = EMOTIONS[labels]
    rows = np.isin(arrays["emotion"], list(names))
    audio = np.column_stack([arrays["audio"], np.log(arrays["duration"])])[rows]
    audio[:, PROLONGATION] = np.log1p(audio[:, PROLONGATION])
    speakers = arrays["speaker"][rows]
    sessions = np.array([int(speaker[3:5]) for speaker in speakers])
    splits = np.full(len(sessions), "train")
    splits[sessions == validation_session] = "valid"
    splits[sessions == TEST_SESSION] = "test"
    return Dataset(
        name="iemocap",
        target=Target(name="emotion", classes=CLASSES),
        inputs={"audio": audio, "text": arrays["text"][rows]},
        labels=[CLASSES.index(names[emotion]) for emotion in arrays["emotion"][rows].tolist()],
        groups=speakers,
        ids=arrays["ids"][rows],
        splits=splits,
    )
