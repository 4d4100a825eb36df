"""Inception-I3D, and the published weights that a user has at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.backbones.parts import dense, input_layer, present, seed_stream
from keras_lmf.errors import LMFError

SCOPE = "RGB/inception_i3d/"
# Filters of the four branches: 1 × 1 × 1; 1 × 1 × 1, then 3 × 3 × 3; the same, narrower; after the pooling.
MIXED = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}
POOLED = {"4b": 3, "5b": 2}  # before which blocks frames and pixels are halved, by a pooling how wide


def i3d(
    shape: Sequence[int] = (64, 224, 224, 3),
    *,
    units: int = 64,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Inception-I3D: (batch, frames, height, width, 3) → (batch, units).

    Inception-v1 with three-dimensional kernels, whose last maps are averaged to 1024 numbers (the layer "features"),
    then dropout and one dense layer with ReLU. Carreira & Zisserman, "Quo vadis, action recognition?", CVPR 2017, and
    Kumar & Martin, section III. 12,294,544 parameters before the dense layer. One of its last maps' numbers sees
    99 frames and 379 pixels, then all are averaged.

    Random weights; those of Kinetics-400 are DeepMind's (Apache-2.0), which `load_i3d_variables` fills in. Its poolings
    are two-dimensional, first over the picture, then over time, which is the same: TensorFlow Lite has no others. Its
    int8 files keep the convolutions, which are three-dimensional, in float.

    Args:
        shape: (frames, height, width, 3) of colour pictures in [0, 1], which the model scales to [-1, 1]; the published
            weights are for 25 frames a second, 224 × 224 pixels. Multiples of 8 frames and 32 pixels fit best. A frame
            of zeros enters as what lies beyond the clip's ends, and where all frames of a step are, it is left out of
            the average.
        units: width of the embedding.
        dropout: rate, before the dense layer.
        seed: of weights and dropout.
        name: the model's name.
    """
    seeds = seed_stream(seed)
    frames = input_layer("frames", shape, "frames", "height", "width", (3,))
    there = ops.cast(present(frames), frames.dtype)
    hidden = (2.0 * frames - 1.0) * ops.reshape(there, (-1, shape[0], 1, 1, 1))
    hidden = _unit(hidden, 64, 7, 2, "Conv3d_1a_7x7", seeds)
    hidden = _max_pool(hidden, (1, 3), (1, 2), "MaxPool3d_2a_3x3")
    hidden = _unit(hidden, 64, 1, 1, "Conv3d_2b_1x1", seeds)
    hidden = _unit(hidden, 192, 3, 1, "Conv3d_2c_3x3", seeds)
    hidden = _max_pool(hidden, (1, 3), (1, 2), "MaxPool3d_3a_3x3")
    for block, filters in MIXED.items():
        if block in POOLED:
            hidden = _max_pool(hidden, (POOLED[block],) * 2, (2, 2), f"MaxPool3d_{block[0]}a")
        hidden = _mixed(hidden, filters, f"Mixed_{block}", seeds)
    maps = ops.mean(hidden, axis=(2, 3))
    # The frames of a step: halved three times, the last step may have fewer.
    steps = keras.layers.MaxPooling1D(8, padding="same", name="steps")(ops.expand_dims(there, -1))
    features = ops.sum(maps * steps, axis=1) / ops.maximum(ops.sum(steps, axis=1), 1.0)
    features = keras.layers.Dropout(dropout, seed=next(seeds), name="features")(features)
    embedding = dense(units, next(seeds), activation="relu", name="embedding")(features)
    return keras.Model(frames, embedding, name=name)


def load_i3d_variables(model: keras.Model, variables: Mapping[str, Any]) -> keras.Model:
    """`model`, with the published weights before its embedding; those of the 400 actions are left where they are.

    `models.load_i3d_checkpoint` reads them from DeepMind's file.

    Args:
        model: of `i3d`.
        variables: name in the checkpoint → array.

    Raises:
        LMFError: a name is missing, or an array has another shape. Nothing was loaded then.
    """
    wanted: list[tuple[keras.Variable, Any]] = []
    for layer in model.layers:
        if layer.name == "embedding":
            continue
        for weight in layer.weights:
            name = checkpoint_name(layer, weight)
            if name not in variables:
                raise LMFError(f"The checkpoint has no {name!r}; is it the RGB network of Kinetics-I3D?")
            array = variables[name]
            # The checkpoint keeps (1, 1, 1, 1, maps) of what is one number a map.
            held, needed = ([width for width in shape if width != 1] for shape in (array.shape, weight.shape))
            if held != needed:
                raise LMFError(
                    f"{name!r} has the shape {tuple(array.shape)} instead of {tuple(weight.shape)}."
                )
            wanted.append((weight, array))
    for weight, array in wanted:
        weight.assign(ops.reshape(ops.convert_to_tensor(array, "float32"), weight.shape))
    return model


def checkpoint_name(layer: keras.layers.Layer, weight: keras.Variable) -> str:
    """What the published checkpoint calls a weight of an `i3d`'s layer."""
    word = weight.path.rsplit("/", 1)[-1]
    unit = layer.name.removesuffix("_norm").replace("_Branch", "/Branch").replace("_Conv3d_0", "/Conv3d_0")
    if unit == "Mixed_5b/Branch_2/Conv3d_0b_3x3":
        unit = "Mixed_5b/Branch_2/Conv3d_0a_3x3"  # called so there
    return f"{SCOPE}{unit}/" + ("conv_3d/w" if word == "kernel" else f"batch_norm/{word}")


def _unit(hidden: Any, filters: int, size: int, stride: int, name: str, seeds: Any) -> Any:
    hidden = keras.layers.Conv3D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)),
        name=name,
    )(hidden)
    hidden = keras.layers.BatchNormalization(scale=False, epsilon=1e-3, name=f"{name}_norm")(hidden)
    return keras.layers.Activation("relu", name=f"{name}_relu")(hidden)


def _mixed(hidden: Any, filters: Sequence[int], name: str, seeds: Any) -> Any:
    """An Inception block: four branches, side by side."""
    branches = [_unit(hidden, filters[0], 1, 1, f"{name}_Branch_0_Conv3d_0a_1x1", seeds)]
    for i in (1, 2):
        branch = _unit(hidden, filters[2 * i - 1], 1, 1, f"{name}_Branch_{i}_Conv3d_0a_1x1", seeds)
        branches.append(_unit(branch, filters[2 * i], 3, 1, f"{name}_Branch_{i}_Conv3d_0b_3x3", seeds))
    pooled = _max_pool(hidden, (3, 3), (1, 1), f"{name}_Branch_3_MaxPool3d_0a_3x3")
    branches.append(_unit(pooled, filters[5], 1, 1, f"{name}_Branch_3_Conv3d_0b_1x1", seeds))
    return ops.concatenate(branches, axis=-1)


def _max_pool(hidden: Any, sizes: Sequence[int], strides: Sequence[int], name: str) -> Any:
    """Maxima over (frames, pixels either way): of the pictures, then of the same pixel in neighbouring frames."""
    _, steps, height, width, channels = hidden.shape
    pictures = keras.layers.MaxPooling2D(
        sizes[1], strides=strides[1], padding="same", name=f"{name}_picture"
    )(ops.reshape(hidden, (-1, height, width, channels)))
    _, height, width, _ = pictures.shape
    if sizes[0] == 1:
        return ops.reshape(pictures, (-1, steps, height, width, channels))
    rows = keras.layers.MaxPooling2D(
        (sizes[0], 1), strides=(strides[0], 1), padding="same", name=f"{name}_time"
    )(ops.reshape(pictures, (-1, steps, height * width, channels)))
    return ops.reshape(rows, (-1, rows.shape[1], height, width, channels))
