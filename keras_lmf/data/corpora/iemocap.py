"""IEMOCAP (Busso et al. 2008): acted dialogues of 10 speakers in 5 sessions. On request, no redistribution."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.data.corpora.description import CorpusDescription
from keras_lmf.data.corpora.files import find
from keras_lmf.data.corpora.vocabulary import meanings
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.npz import read_npz
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import unknown_name
from keras_lmf.target import Target

CLASSES = ("neutral", "happy", "sad", "angry")
# The two usual readings of "happy": what counts as it beside the word itself.
READINGS = {"merged": ["excited"], "strict": []}
TEST_SESSION = 5
PROLONGATION = 10

DESCRIPTION = CorpusDescription(
    title="IEMOCAP",
    licence="IEMOCAP: on request from USC, no redistribution",
    weights_licence="research only, as the training data",
    inputs={
        "audio": (
            "mixed",
            "12 numbers: pitch, loudness and high-frequency energy, each normalised over all utterances of the "
            "speaker; pauses, fillers, laughter … prolongation as people annotated them; log duration",
        ),
        "text": ("none", "100 components of the transcript's TF-IDF, fitted on sessions 1 to 4"),
        "audio_context": ("mixed", "audio of the speaker's utterances before and after in the dialogue"),
        "text_context": ("none", "text of the speaker's utterances before and after in the dialogue"),
    },
    notes=(
        "Ten actors; session 5 (two of them) is the test split. Weighted F1 has high floors.",
        'Settings were chosen by leaving out each of the sessions 1 to 4 in turn, with "happy" and "excited" '
        "as one class; the cross-validation, where there is one, has these four figures.",
        "Pitch, loudness and energy are normalised per speaker, the test speakers too (transductive), and eight of "
        "the voice's twelve numbers are annotations by people.",
    ),
    citation="Busso et al., IEMOCAP: interactive emotional dyadic motion capture database, 2008",
)


def load(
    root: str | Path | None = None,
    *,
    labels: str = "merged",
    validation_session: int = 4,
    context: int = 0,
) -> Dataset:
    """Voice and words of utterances, from `<root>/iemocap/iemocap_audio_text.npz`. There is no video.

    Modalities:
        audio: (12,), pitch, loudness and high-frequency energy normalised per speaker, annotated pauses, fillers,
            laughter … prolongation (long-tailed, so as log(1 + x)), and the logarithm of the duration in seconds.
        text: (100,), TF-IDF and SVD of the transcript, fitted on sessions 1–4 without labels. So the validation
            session's words took part in fitting the features, the test session's did not.
        audio_context, text_context: (2 · context, width), with `context` above 0: the same of the speaker's last and
            next so many utterances in the dialogue, in order, whatever their label; masked where it begins or ends. The
            file doesn't tell how the two speakers' utterances alternate, so the partner's are left out.

    Groups are the ten speakers ("Ses01F" … "Ses05M"); the two of a session are always in the same split, as they
    speak in the same dialogues. The file's own validation rows share speakers with its training rows and rank
    models wrongly, so they are not used.

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        labels: four classes either way, majority labels. "merged" counts "excited" as happy (5529 utterances, the
            usual choice); "strict" leaves "excited" out (4490). Figures on the two are not comparable.
        context: neighbouring utterances before and after, 0 … 32.
        validation_session: 1 … 4, the session that is the valid split; the other three of these are train. Test
            is session 5 always. Average over the four to validate on all of sessions 1–4.
    """
    if labels not in READINGS:
        raise unknown_name("iemocap labels", labels, READINGS)
    # Session 5 is the test split.
    whole_number("Corpus 'iemocap': validation_session", validation_session, 1, TEST_SESSION - 1)
    whole_number("Corpus 'iemocap': context", context, 0, 32)
    keys = ("audio", "duration", "text", "emotion", "speaker", "ids")
    arrays = read_npz(find("iemocap", "iemocap_audio_text.npz", root), keys)
    # Of the annotators' majority labels, those that mean one of the four classes.
    meant = meanings(merge=READINGS[labels])
    names = {word: meant.get(word) for word in np.unique(arrays["emotion"]).tolist()}
    rows = np.isin(arrays["emotion"], [word for word, emotion in names.items() if emotion in CLASSES])
    audio = np.column_stack([arrays["audio"], np.log(arrays["duration"])])
    audio[:, PROLONGATION] = np.log1p(audio[:, PROLONGATION])
    features = {"audio": audio, "text": arrays["text"]}
    inputs, masks = {modality: values[rows] for modality, values in features.items()}, {}
    if context:
        near, there = _neighbours(arrays["ids"], context)
        for modality, values in features.items():
            inputs[f"{modality}_context"] = values[near[rows]]
            masks[f"{modality}_context"] = there[rows]
    speakers = arrays["speaker"][rows]
    sessions = np.array([int(speaker[3:5]) for speaker in speakers])
    return Dataset(
        name="iemocap",
        target=Target(name="emotion", classes=CLASSES),
        inputs=inputs,
        masks=masks,
        labels=[CLASSES.index(names[emotion]) for emotion in arrays["emotion"][rows].tolist()],
        groups=speakers,
        ids=arrays["ids"][rows],
        splits=np.select(
            [sessions == validation_session, sessions == TEST_SESSION], ["valid", "test"], "train"
        ),
    )


def _neighbours(ids: np.ndarray, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each utterance the rows of the same speaker's last and next ones in the dialogue, and which of them there are.

    An id is the dialogue, the speaker and the number: "Ses01F_impro01_M013".
    """
    _, places = np.unique([name[:-3] for name in ids], return_inverse=True)
    order = np.lexsort((ids, places))
    place = np.argsort(order)
    steps = np.r_[np.arange(-context, 0), np.arange(1, context + 1)]
    wanted = place[:, None] + steps
    rows = order[np.clip(wanted, 0, len(ids) - 1)]
    there = (wanted >= 0) & (wanted < len(ids)) & (places[rows] == places[:, None])
    return rows, there
