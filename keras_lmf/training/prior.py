"""What frequent classes gain by being frequent is taken from a trained model's answers."""

from __future__ import annotations

import keras
import numpy as np

from keras_lmf.data.dataset import Split


def class_frequencies(split: Split) -> np.ndarray:
    """(classes,): the share of each in the labels, of soft ones where there are any; a class without rows counts as one
    row, so that its logarithm is finite."""
    classes = len(split.target.classes)
    shares = np.eye(classes)[split.labels] if split.soft_labels is None else split.soft_labels
    counts = np.maximum(shares.sum(axis=0, dtype=np.float64), 1.0)
    return counts / counts.sum()


def correct_prior(model: keras.Model, split: Split, share: float) -> None:
    """Takes `share` · log(frequency of the class) from the logits: from the bias of the layer that gives them, so every
    file of the model has it.

    With 1 the answer is the best guess where all classes are equally frequent (Menon et al., "Long-tail learning via
    logit adjustment", ICLR 2021, equation 9). Less is a compromise: rare classes gain more than frequent ones lose.

    Args:
        model: of a recipe, trained.
        split: that it was trained on.
        share: 0 to 1.
    """
    bias = model.get_layer(split.target.name).bias
    bias.assign(np.asarray(bias) - share * np.log(class_frequencies(split)))
