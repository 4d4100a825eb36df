"""eNTERFACE '05 (Martin et al. 2006), faces as landmarks: 5 of its subjects, 6 emotions, 146 clips. Research only."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from keras_lmf.data.corpora._root import find
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.npz import read_npy
from keras_lmf.errors import LMFError
from keras_lmf.target import Target

# As the corpus abbreviates them in file names.
EMOTIONS = {
    "an": "angry",
    "di": "disgust",
    "fe": "fearful",
    "ha": "happy",
    "sa": "sad",
    "su": "surprised",
}
SUBJECTS = 5
FRAMES = 156  # of the longest clip
POINTS = (68, 2)
CLIPS = 146
_NAME = re.compile(rf"s([1-{SUBJECTS}])_({'|'.join(EMOTIONS)})_[1-5]")


def load(root: str | Path | None = None, *, fold: int = 0) -> Dataset:
    """The face alone, from `<root>/enterface05_landmarks/landmarks/*.npy`.

    Modalities:
        landmarks: (156, 68, 2), masked; x and y in pixels of the 68 points of Multi-PIE and 300-W, in each frame, at
            25 frames per second; zeros after the end. A clip has 33 to 156 frames.

    Groups are the five subjects ("subject_1" … "subject_5"), 30 clips each (subject 2: 26). Each emotion has five
    sentences of its own, which every subject says: what is said gives the emotion away, to whoever reads lips.

    Args:
        root: the folder that holds the corpora; None takes KERAS_LMF_DATA.
        fold: 0 … 4. The test split is this subject, valid the next one (0 follows 4), train the other three.

    Raises:
        LMFError: an option out of its range; a file that is missing, damaged or not named as the corpus's are.
    """
    if isinstance(fold, bool) or not isinstance(fold, int) or not 0 <= fold < SUBJECTS:
        raise LMFError(
            f"Corpus 'enterface05_landmarks': fold must be a whole number 0 … {SUBJECTS - 1}, received {fold!r}."
        )
    folder = find("enterface05_landmarks", "landmarks", root)
    paths = sorted(folder.glob("*.npy"))
    names = [path.stem for path in paths]
    found = [_NAME.fullmatch(name) for name in names]
    if not all(found):
        raise LMFError(
            f"{paths[found.index(None)]}: no clip of the corpus has this name (s1_an_1.npy, …). Move it elsewhere."
        )
    if len(paths) != CLIPS:
        raise LMFError(f"{folder}: {len(paths)} clips (.npy), the corpus has {CLIPS}. Copy it again.")
    subjects = np.array([int(match[1]) for match in found])
    splits = np.full(len(names), "train")
    splits[subjects == fold + 1] = "test"
    splits[subjects == (fold + 1) % SUBJECTS + 1] = "valid"
    landmarks = np.zeros((len(paths), FRAMES, *POINTS), np.float32)
    lengths = np.zeros(len(paths), int)
    for row, path in enumerate(paths):
        clip = _read(path)
        lengths[row] = len(clip)
        landmarks[row, : len(clip)] = clip
    return Dataset(
        name="enterface05_landmarks",
        target=Target(name="emotion", classes=tuple(EMOTIONS.values())),
        inputs={"landmarks": landmarks},
        labels=[list(EMOTIONS).index(match[2]) for match in found],
        groups=np.array([f"subject_{number}" for number in subjects]),
        ids=np.array(names),
        splits=splits,
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
