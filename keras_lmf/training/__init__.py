"""train(recipe, data) → Run: seeds fixed, early stopping, exact resume, a folder per run."""

import keras_lmf.layers  # noqa: F401  registers them, and says what to install without a backend
from keras_lmf.training.budget import Budget, Choice, within_budget
from keras_lmf.training.checkpoint import NotFiniteLoss
from keras_lmf.training.comparison import Comparison, compare
from keras_lmf.training.devices import Devices
from keras_lmf.training.left_out import LeaveOneCorpusOut, leave_one_corpus_out
from keras_lmf.training.optimizer import LayerwiseAdam
from keras_lmf.training.run import Run
from keras_lmf.training.train import train
from keras_lmf.training.tuning import tune

__all__ = [
    "Budget",
    "Choice",
    "Comparison",
    "Devices",
    "LayerwiseAdam",
    "LeaveOneCorpusOut",
    "NotFiniteLoss",
    "Run",
    "compare",
    "leave_one_corpus_out",
    "train",
    "tune",
    "within_budget",
]
