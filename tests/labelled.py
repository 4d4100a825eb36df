"""Targets, and splits that hold labels alone."""

from __future__ import annotations

import numpy as np

from keras_lmf.data.dataset import Split
from keras_lmf.target import Target

EMOTIONS = Target(name="emotion", classes=("neutral", "happy", "sad", "angry"))
YES = Target(name="yes", classes=("no", "yes"))
SENTIMENT = Target(name="sentiment", range=(-3, 3))
RATING = Target(name="rating", range=(1, 7))


def split(labels, target: Target) -> Split:
    rows = np.array([f"clip{i}" for i in range(len(labels))])
    return Split("test", {}, {}, np.asarray(labels), rows, rows, target)
