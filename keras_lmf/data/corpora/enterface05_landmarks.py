"""eNTERFACE '05 (Martin et al. 2006), faces as landmarks: 5 of its subjects, 6 emotions, 146 clips. Research only."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from keras_lmf.data.corpora.description import CorpusDescription
from keras_lmf.data.corpora.files import find_named, fold_splits
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.npz import read_npy
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import LMFError
from keras_lmf.target import Target

CLASSES = ("angry", "disgust", "fearful", "happy", "sad", "surprised")
EMOTIONS = [name[:2] for name in CLASSES]  # in file names
SUBJECTS = 5
FRAMES = 156  # of the longest clip
POINTS = (68, 2)
CLIPS = 146
_NAME = re.compile(rf"s([1-{SUBJECTS}])_({'|'.join(EMOTIONS)})_[1-5]")

DESCRIPTION = CorpusDescription(
    title="eNTERFACE '05",
    made_of=("enterface05",),
    licence="eNTERFACE '05: research only",
    weights_licence="research only, as the training data",
    inputs={
        "landmarks": (
            "pixels",
            "x and y of 68 face landmarks in the order of 300-W, a frame each 40 ms; zeros after the end",
            25,
        ),
    },
    notes=(
        "5 of the corpus's subjects, 146 clips: one clip is worth .03 of a subject's accuracy. Test and validation "
        "are one subject each; nothing is measured on the test subject (inductive).",
        "Each emotion has five sentences of its own, which every subject says in English: what is said, and for "
        "how long, tells the emotion, too.",
        "Non-actors who were asked to react to a story: elicited on demand.",
    ),
    citation="Martin et al., The eNTERFACE '05 Audio-Visual Emotion Database, ICDE Workshops 2006",
)


def load(root: str | Path | None = None, *, fold: int = 0) -> Dataset:
    """The face alone, from `<root>/enterface05_landmarks/landmarks/*.npy`.

    Modalities:
        landmarks: (156, 68, 2), masked; x and y in pixels of the 68 points of Multi-PIE and 300-W, in each frame, at
            25 frames per second; zeros after the end. A clip has 33 to 156 frames.

    Groups are the five subjects ("subject_1" … "subject_5"), 30 clips each (subject 2: 26).

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        fold: 0 … 4. The test split is this subject, valid the next one (0 follows 4), train the other three.

    Raises:
        LMFError: an option out of its range; a file that is missing, damaged or not named as the corpus's are.
    """
    whole_number("Corpus 'enterface05_landmarks': fold", fold, 0, SUBJECTS - 1)
    paths, found = find_named("enterface05_landmarks", "landmarks", root, "s1_an_1.npy", _NAME, CLIPS)
    subjects = np.array([int(match[1]) for match in found])
    landmarks = np.zeros((len(paths), FRAMES, *POINTS), np.float32)
    lengths = np.zeros(len(paths), int)
    for row, path in enumerate(paths):
        clip = _read(path)
        lengths[row] = len(clip)
        landmarks[row, : len(clip)] = clip
    return Dataset(
        name="enterface05_landmarks",
        target=Target(name="emotion", classes=CLASSES),
        inputs={"landmarks": landmarks},
        labels=[EMOTIONS.index(match[2]) for match in found],
        groups=np.array([f"subject_{number}" for number in subjects]),
        ids=np.array([path.stem for path in paths]),
        splits=fold_splits(subjects - 1, fold, SUBJECTS),
        masks={"landmarks": np.arange(FRAMES) < lengths[:, None]},
    )


def _read(path: Path) -> np.ndarray:
    """(T, 68, 2), T ≤ FRAMES."""
    clip = read_npy(path)
    if clip.shape[1:] != POINTS or not 0 < len(clip) <= FRAMES or clip.dtype.kind not in "iuf":
        raise LMFError(
            f"{path}: {clip.dtype} of shape {clip.shape}, must be numbers of shape (1 … {FRAMES}, 68, 2)."
        )
    return clip
