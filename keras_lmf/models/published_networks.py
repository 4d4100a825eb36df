"""Published networks, loaded from their weights: TFN and LMF of PyTorch, Inception-I3D of TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_lmf.backbones import load_i3d_variables, published_feature_network, published_text_network
from keras_lmf.backbones.sequence import dense
from keras_lmf.errors import LMFError, import_extra
from keras_lmf.layers import LowRankFusion, TensorFusion

FEATURE_NETWORK = [
    *(f"norm.{name}" for name in ("weight", "bias", "running_mean", "running_var")),
    *(f"linear_{i}.{name}" for i in (1, 2, 3) for name in ("weight", "bias")),
]
RECURRENT = [f"rnn.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
TEXT_NETWORK = [*RECURRENT, "linear_1.weight", "linear_1.bias"]
SUBNETWORKS = [
    *(f"{modality}_subnet.{key}" for modality in ("audio", "video") for key in FEATURE_NETWORK),
    *(f"text_subnet.{key}" for key in TEXT_NETWORK),
]
LOW_RANK = ["audio_factor", "video_factor", "text_factor", "fusion_weights", "fusion_bias"]
TENSOR = [f"post_fusion_layer_{i}.{name}" for i in (1, 2, 3) for name in ("weight", "bias")]


def load_published(arrays: Mapping[str, Any], *, target: str = "sentiment") -> keras.Model:
    """The published LMF or TFN network with the weights of a PyTorch `state_dict`.

    Which network it is, its rank and all its widths are read off the names and shapes. LMF (Liu et al. 2018): three
    sub-networks → low-rank fusion, no activation. TFN (Zadeh et al. 2017): three sub-networks → tensor fusion →
    dense → ReLU → dense → ReLU → dense → sigmoid · range + shift (6 and −3 when not given).

    Args:
        arrays: name → array in PyTorch's layout, as in `numpy.load("weights.npz")` or
            `{k: v.numpy() for k, v in state_dict.items()}`; `num_batches_tracked` and other names are not read.
        target: name of the output.

    Returns:
        keras.Model, inputs {"audio": (batch, d_a), "video": (batch, d_v), "text": (batch, steps, d_t)}, output
        {target: (batch, outputs)}.

    Raises:
        LMFError: names missing, or shapes that don't fit together.
    """
    if "audio_factor" in arrays:
        return _low_rank_network(_read(arrays, SUBNETWORKS + LOW_RANK), target)
    if "post_fusion_layer_1.weight" in arrays:
        return _tensor_network(_read(arrays, SUBNETWORKS + TENSOR), arrays, target)
    raise LMFError(
        "These arrays are neither the published LMF network (no 'audio_factor') nor the published TFN network "
        f"(no 'post_fusion_layer_1.weight'). Received: {', '.join(sorted(arrays)[:8])} …"
    )


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


def _read(arrays: Mapping[str, Any], names: list[str]) -> dict[str, np.ndarray]:
    missing = [name for name in names if name not in arrays]
    if missing:
        raise LMFError(f"The published layout misses {len(missing)} arrays: {', '.join(missing)}")
    return {name: np.asarray(arrays[name], "float32") for name in names}


def _subnetworks(weights: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and embeddings of the three sub-networks, with their weights loaded."""
    inputs, embeddings = {}, {}
    for modality in ("audio", "video"):
        part = f"{modality}_subnet"
        units, width = _matrix(f"{part}.linear_1.weight", weights)
        network = published_feature_network((width,), units=units, name=f"{modality}_backbone")
        norm = [weights[f"{part}.{key}"] for key in FEATURE_NETWORK[:4]]
        _assign(f"{part}.norm", network.get_layer("norm"), norm)
        for i in (1, 2, 3):
            _assign_dense(f"{part}.linear_{i}", network.get_layer(f"linear_{i}"), weights)
        inputs[modality] = keras.Input((width,), name=modality)
        embeddings[modality] = network(inputs[modality])

    input_weight, hidden_weight, input_bias, hidden_bias = (weights[f"text_subnet.{k}"] for k in RECURRENT)
    gates, width = _matrix("text_subnet.rnn.weight_ih_l0", weights)
    units, _ = _matrix("text_subnet.linear_1.weight", weights)
    text = published_text_network((None, width), hidden_units=gates // 4, units=units, name="text_backbone")
    if input_bias.shape != hidden_bias.shape:
        raise LMFError(
            f"text_subnet.rnn: bias_ih_l0 {input_bias.shape} and bias_hh_l0 {hidden_bias.shape} differ in shape"
        )
    # PyTorch and Keras both stack the gates i, f, g, o; PyTorch's two biases add up.
    recurrent = [input_weight.T, hidden_weight.T, input_bias + hidden_bias]
    _assign("text_subnet.rnn", text.get_layer("rnn"), recurrent)
    _assign_dense("text_subnet.linear_1", text.get_layer("linear_1"), weights)
    inputs["text"] = keras.Input((None, width), name="text")
    embeddings["text"] = text(inputs["text"])
    return inputs, embeddings


def _low_rank_network(weights: Mapping[str, np.ndarray], target: str) -> keras.Model:
    inputs, embeddings = _subnetworks(weights)
    factors = {modality: weights[f"{modality}_factor"] for modality in inputs}
    if factors["audio"].ndim != 3:
        raise LMFError(f"audio_factor must be (rank, width + 1, outputs), received {factors['audio'].shape}")
    rank, _, units = factors["audio"].shape
    fusion = LowRankFusion(units, rank, name=target)
    outputs = {target: fusion(embeddings)}
    fusion.set_factors(
        factors, rank_weights=weights["fusion_weights"].reshape(-1), bias=weights["fusion_bias"].reshape(-1)
    )
    return keras.Model(inputs, outputs, name="low_rank_fusion_network")


def _tensor_network(weights: Mapping[str, np.ndarray], arrays: Mapping[str, Any], target: str) -> keras.Model:
    inputs, embeddings = _subnetworks(weights)
    hidden = TensorFusion(name="fusion")(embeddings)
    for i, activation in ((1, "relu"), (2, "relu"), (3, "sigmoid")):
        name = f"post_fusion_layer_{i}"
        units, _ = _matrix(f"{name}.weight", weights)
        layer = dense(units, None, activation=activation, name=name)
        hidden = layer(hidden)
        _assign_dense(name, layer, weights)
    scale = float(np.reshape(arrays.get("output_range", 6.0), -1)[0])
    shift = float(np.reshape(arrays.get("output_shift", -3.0), -1)[0])
    outputs = {target: keras.layers.Rescaling(scale, shift, name=target)(hidden)}
    return keras.Model(inputs, outputs, name="tensor_fusion_network")


def _matrix(name: str, weights: Mapping[str, np.ndarray]) -> tuple[int, int]:
    shape = weights[name].shape
    if len(shape) != 2:
        raise LMFError(f"{name} must be a matrix (out, in), received shape {shape}")
    return shape


def _assign_dense(name: str, layer: keras.layers.Layer, weights: Mapping[str, np.ndarray]) -> None:
    _assign(name, layer, [weights[f"{name}.weight"].T, weights[f"{name}.bias"]])


def _assign(name: str, layer: keras.layers.Layer, arrays: list[np.ndarray]) -> None:
    """Sets a layer's weights, in Keras's order, once every shape fits."""
    expected = [tuple(weight.shape) for weight in layer.weights]
    received = [array.shape for array in arrays]
    if received != expected:
        raise LMFError(f"{name}: shapes (in Keras's layout) {received} don't fit {expected}")
    layer.set_weights(arrays)
