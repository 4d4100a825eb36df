"""What a card has to say of each corpus: its licence, its inputs with units, and what to know of its figures."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.target import Text


class About(NamedTuple):
    """Facts about a corpus.

    Attributes:
        licence: of the data.
        weights_licence: under which weights trained on it can be passed on.
        inputs: modality → (unit, what the numbers are).
        notes: what to know of every figure on it.
        voice_notes, feature_notes: of figures of models that take raw sound, and of those that take features alone.
        rates: steps (of sound: samples) per second of the sequences whose rate is known, in Hz.
        citation: of the corpus.
        warning: what must be known of its models before anything else; None: nothing.
    """

    licence: str
    weights_licence: str
    inputs: dict[str, tuple[str, str]]
    notes: tuple[str, ...]
    citation: str
    rates: Mapping[str, float] = MappingProxyType({})
    voice_notes: tuple[str, ...] = ()
    feature_notes: tuple[str, ...] = ()
    warning: str | None = None


VOICE = ("full scale = 1", "mono sound at 16 kHz, zeros after the end")

ABOUT: dict[str, About] = {
    "cmu_mosi": About(
        licence="CMU-MOSI: research only",
        weights_licence="research only, as the training data",
        inputs={
            "audio": ("mixed", "73 acoustic statistics of the utterance"),
            "video": ("none", "100 outputs of a network over facial features of the utterance"),
            "text": ("none", "100 outputs of a network over the words of the utterance"),
        },
        notes=(
            "The networks behind the video and text features saw the labels of the training utterances, so these "
            "features tell more about the training labels than about any other: training and validation figures "
            "are far apart, and cross-validation inside the training split says nothing.",
            "Papers report CMU-MOSI with other features on another split; their figures can't be set beside these.",
        ),
        citation="Zadeh et al., MOSI: Multimodal Corpus of Sentiment Intensity, 2016",
    ),
    "ravdess": About(
        licence="RAVDESS: CC BY-NC-SA 4.0",
        weights_licence="CC BY-NC-SA 4.0",
        inputs={
            "audio": (
                "log power, kHz, octaves",
                "64 steps of 50 ms: 40 log-mel bands, log energy, zero-crossing rate, spectral centroid in kHz, "
                "log2(F0 / 100 Hz), voicing; zeros after the end",
            ),
            "audio_statistics": ("mixed", "75 statistics of MFCC, energy and F0 over the take"),
            "video": ("intensity 0 to 5, presence 0 to 1", "35 facial action units, mean over the take"),
            "voice": VOICE,
        },
        notes=(
            "24 professional actors, two sentences, North American English: acted, not felt.",
            "Test, validation and training actors differ; nothing is measured on the test actors (inductive).",
            "Files are judged on the first of five folds of actors.",
        ),
        feature_notes=(
            "The cross-validation tests each fold once, with the trial that this fold's own validation had chosen: it "
            "judges the search, not this one recipe.",
        ),
        voice_notes=(
            "The silence before and after the words is cut off in training and test. A recording with long pauses or "
            "noise around the words is answered less well.",
            "The cross-validation, where there is one, fits this one recipe to the other four folds, for each fold. "
            "Its settings were chosen on validation folds, which are test folds of other rounds: it is not nested.",
        ),
        rates={"audio": 20, "voice": 16000},
        citation="Livingstone & Russo, The Ryerson Audio-Visual Database of Emotional Speech and Song, PLoS ONE 2018",
    ),
    "emodb": About(
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
        rates={"voice": 16000},
        citation="Burkhardt et al., A database of German emotional speech, Interspeech 2005",
    ),
    "fer2013": About(
        licence="FER2013: unclear, research",
        weights_licence="research only, as the training data",
        inputs={
            "face": (
                "white = 1",
                "grey pixels of one face, tightly cut; FER2013 has 48 × 48",
            )
        },
        notes=(
            "Faces found by image search for words of emotion, labelled by people who agree with one another in about "
            "65 % of the images. No persons are named: one may be in two splits.",
            "Trained on 15,310 of the corpus's 28,709 training images, at most 2,500 of a class; the test split is "
            "3,508 of its public test images, with the corpus's own frequencies. Papers use all images.",
        ),
        citation="Goodfellow et al., Challenges in Representation Learning, ICONIP 2013",
    ),
    "enterface05_landmarks": About(
        licence="eNTERFACE '05: research only",
        weights_licence="research only, as the training data",
        inputs={
            "landmarks": (
                "pixels",
                "x and y of 68 face landmarks in the order of 300-W, a frame each 40 ms; zeros after the end",
            ),
        },
        notes=(
            "5 of the corpus's subjects, 146 clips: one clip is worth .03 of a subject's accuracy. Test and validation "
            "are one subject each; nothing is measured on the test subject (inductive).",
            "Each emotion has five sentences of its own, which every subject says in English: what is said, and for "
            "how long, tells the emotion, too.",
            "Non-actors who were asked to react to a story: elicited on demand.",
        ),
        rates={"landmarks": 25},
        citation="Martin et al., The eNTERFACE '05 Audio-Visual Emotion Database, ICDE Workshops 2006",
    ),
    "pom": About(
        licence="POM: research only",
        weights_licence="research only, as the training data",
        inputs={
            "audio": (
                "scaled to about [-1, 1]",
                "20 steps of 43 COVAREP features, zeros before the beginning",
            ),
            "video": ("scaled to about [-1, 1]", "20 steps of 41 FACET features, zeros before the beginning"),
        },
        notes=(
            "The corpus has no reviewer ids: a reviewer of the training split may be in the test split, and a nearest "
            "neighbour on the audio alone reaches a correlation of .27.",
            "486 of the 903 reviews have no video features. The order of the 17 ratings is the presumed one.",
        ),
        citation="Park et al., Computational Analysis of Persuasiveness in Social Multimedia, ICMI 2014",
    ),
    "iemocap": About(
        licence="IEMOCAP: on request from USC, no redistribution",
        weights_licence="research only, as the training data",
        inputs={
            "audio": (
                "mixed",
                "12 numbers: pitch, loudness and high-frequency energy, each normalised over all utterances of the "
                "speaker; pauses, fillers, laughter … prolongation as people annotated them; log duration",
            ),
            "text": ("none", "100 components of the transcript's TF-IDF, fitted on sessions 1 to 4"),
        },
        notes=(
            "Ten actors; session 5 (two of them) is the test split. Weighted F1 has high floors.",
            'Settings were chosen by leaving out each of the sessions 1 to 4 in turn, with "happy" and "excited" '
            "as one class; the cross-validation, where there is one, has these four figures.",
            "Pitch, loudness and energy are normalised per speaker, the test speakers too (transductive), and eight of "
            "the voice's twelve numbers are annotations by people.",
        ),
        citation="Busso et al., IEMOCAP: interactive emotional dyadic motion capture database, 2008",
    ),
    "voices_and_faces": About(
        licence="RAVDESS: CC BY-NC-SA 4.0; EmoDB: free, with attribution; FER2013: unclear, research",
        weights_licence="CC BY-NC-SA 4.0, and research only",
        inputs={
            "voice": VOICE,
            "face": ("white = 1", "64 × 64 grey pixels of one face in each frame; zeros: no face"),
        },
        notes=(
            "Voices and faces are paired by their label alone. What goes together in one person (timing, a smile "
            "against a sad voice) can't be learnt from such pairs, and figures on them say nothing about it: the "
            "errors of voice and face are independent by construction.",
            "Test voices (RAVDESS fold 0, EmoDB fold 0) and test images (FER2013) are in no other split. Each voice "
            "stands in several rows, so rows are not independent.",
        ),
        rates={"voice": 16000, "face": 2},
        warning="Synthetic pairs: voices and faces of different people.",
        citation="Livingstone & Russo 2018; Burkhardt et al. 2005; Goodfellow et al. 2013",
    ),
    "synthetic": About(
        licence="none needed: the data are generated",
        weights_licence="Apache-2.0",
        inputs=dict.fromkeys(("audio", "video"), ("standard deviations", "8 standard-normal numbers")),
        notes=("The label lies in the product of the modalities: neither alone says anything about it.",),
        citation="keras-lmf",
    ),
}


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")

    unit: Text
    description: Text


class _Own(BaseModel):
    """What an about.toml holds."""

    model_config = ConfigDict(extra="forbid")

    licence: Text
    weights_licence: Text
    inputs: dict[str, _Input]
    notes: tuple[Text, ...] = ()
    citation: Text


def about(corpus: str, folder: Path, inputs: Iterable[str]) -> About:
    """The facts about a corpus by name; about one's own, those in the about.toml of `folder`, for these inputs."""
    if corpus in ABOUT:
        return ABOUT[corpus]
    if Path(corpus).name != corpus:
        raise LMFError(f"The corpus {corpus!r} must be a file's name alone: give its folder with --data.")
    path = folder / "about.toml"
    if not path.is_file():
        raise unknown_name("corpus with a description", corpus, ABOUT, f"Or describe your own in {path}.")
    try:
        own = _Own.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise LMFError(f"{path}: {where}: {problem['msg']}, received {problem['input']!r}") from None
    except (OSError, ValueError) as error:
        raise LMFError(f"{path} is not a readable TOML file: {error}") from None
    if lacking := [name for name in inputs if name not in own.inputs]:
        raise LMFError(f"{path} needs {', '.join(f'[inputs.{name}]' for name in lacking)}.")
    named = {name: (part.unit, part.description) for name, part in own.inputs.items()}
    return About(own.licence, own.weights_licence, named, own.notes, own.citation)
