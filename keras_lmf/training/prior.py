"""What frequent classes gain by being frequent is taken from a trained model's answers."""

from __future__ import annotations

import keras
import numpy as np

from keras_lmf.data.dataset import Split


def class_frequencies(split: Split) -> np.ndarray:
    """(classes,): the share of each in the labels, of soft ones where there are any."""
    classes = len(split.target.classes)
    shares = np.eye(classes)[split.labels] if split.soft_labels is None else split.soft_labels
    counts = shares.sum(axis=0, dtype=np.float64)
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
    bias, frequencies = model.get_layer(split.target.name).bias, class_frequencies(split)
    learnt = np.where(frequencies > 0, frequencies, 1.0)  # one that was never seen gains nothing
    bias.assign(keras.ops.convert_to_numpy(bias) - share * np.log(learnt))
