"""Published weights in TensorFlow's format for variables."""

from __future__ import annotations

from pathlib import Path

import keras

from keras_lmf.backbones import load_i3d_variables
from keras_lmf.errors import LMFError, import_extra


def load_i3d_checkpoint(model: keras.Model, path: str | Path) -> keras.Model:
    """`model` of `backbones.i3d`, with the weights of the published Kinetics-400 checkpoint before its embedding.

    DeepMind's files (https://github.com/google-deepmind/kinetics-i3d, Apache-2.0; Carreira & Zisserman 2017) are
    TensorFlow's format for variables, which holds arrays and nothing that runs; TensorFlow reads it, whatever backend
    the model has.

    Args:
        model: of `backbones.i3d`, which takes red, green and blue.
        path: the checkpoint without the ending of its files, as "data/checkpoints/rgb_imagenet/model.ckpt".

    Raises:
        LMFError: no checkpoint there, a damaged one, or not that of the RGB network; nothing was loaded then.
    """
    tensorflow = import_extra("tensorflow", "tf")
    try:
        reader = tensorflow.train.load_checkpoint(str(path))
        arrays = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except (tensorflow.errors.OpError, RuntimeError, ValueError, IndexError) as error:
        raise LMFError(
            f"{path}: no checkpoint of TensorFlow that can be read ({' '.join(str(error).split())[:200]}). Give its "
            f"path without the ending: …/model.ckpt for model.ckpt.index and model.ckpt.data-00000-of-00001."
        ) from error
    return load_i3d_variables(model, arrays)
