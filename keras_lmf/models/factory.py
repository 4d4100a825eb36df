"""Models from parts, and from the words of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_lmf import backbones
from keras_lmf.backbones.sequence import STANDARDIZATION, dense, seed_stream
from keras_lmf.backend import layer_calls, nested_layers
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.layers import EarlyFusion, LowRankFusion, ModalityPresence, TensorFusion
from keras_lmf.recipe import Recipe

# A recipe's words and what they stand for.
BACKBONES: dict[str, Callable[..., keras.Model]] = {
    "mlp": backbones.mlp,
    "average_pooling": backbones.average_pooling,
    "lstm": backbones.lstm,
    "bilstm": backbones.bilstm,
    "gru": backbones.gru,
    "temporal_convolution": backbones.temporal_convolution,
    "spectrogram_cnn": backbones.spectrogram_cnn,
    "spectrogram_crnn": backbones.spectrogram_crnn,
    "image_cnn": backbones.image_cnn,
    "cnn_2plus1d": backbones.cnn_2plus1d,
    "i3d": backbones.i3d,
    "published_feature": backbones.published_feature_network,
    "published_text": backbones.published_text_network,
}
FRONT_ENDS: dict[str, Callable[..., keras.Model]] = {
    "log_mel": backbones.front_ends.log_mel,
    "mfcc": backbones.front_ends.mfcc,
    "ge2e": backbones.front_ends.ge2e,
    "mini_xception": backbones.frames.mini_xception,
    "application": backbones.frames.application,
    "landmarks": backbones.landmarks.landmarks,
    "landmark_statistics": backbones.landmarks.landmark_statistics,
}
FUSIONS: dict[str, type[keras.layers.Layer]] = {
    "early": EarlyFusion,
    "tensor": TensorFusion,
    "low_rank": LowRankFusion,
}
FUSION = "fusion"


def fusion_model(
    backbones: Mapping[str, keras.Model],
    fusion: keras.layers.Layer | None,
    outputs: Mapping[str, int],
    *,
    front_ends: Mapping[str, keras.Model] | None = None,
    presence_dropout: float | None = None,
    head: Sequence[keras.layers.Layer] = (),
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """A functional model: a dict of modalities in, a dict of targets out.

    Args:
        backbones: modality name → model with one input and one embedding; the order is the modality order. With
            one modality there is nothing to fuse and `fusion` is left out.
        fusion: a layer that takes a dict of embeddings, for example `LowRankFusion(64, rank=4)`; None for one modality.
        outputs: target name → width: the number of classes (logits), or of regression values.
        front_ends: for the modalities that have one: a model from raw input to what their backbone takes.
        presence_dropout: None: every modality is taken to be there. A rate: an input whose features are all zero is
            absent, its embedding is zero whatever its backbone gives, and training takes modalities away at that rate.
        head: layers between the fusion and the linear output layers.
        seed: of the output layers' weights.
        name: the model's name.

    Returns:
        keras.Model with inputs {modality: (batch, …)} and outputs {target: (batch, width)}.
    """
    if not backbones or not outputs:
        raise LMFError("fusion_model needs one or more backbones and one or more outputs")
    if fusion is None and len(backbones) > 1:
        raise LMFError(f"fusion_model needs a fusion layer for {', '.join(backbones)}, received None")
    front_ends = front_ends or {}
    for modality in front_ends:
        if modality not in backbones:
            raise unknown_name("modality in front_ends", modality, backbones)
    seeds = seed_stream(seed)
    inputs = {
        modality: keras.Input(tuple(front_ends.get(modality, backbone).input_shape[1:]), name=modality)
        for modality, backbone in backbones.items()
    }
    features = {
        modality: front_ends[modality](tensor) if modality in front_ends else tensor
        for modality, tensor in inputs.items()
    }
    embeddings = {modality: backbone(features[modality]) for modality, backbone in backbones.items()}
    if len(embeddings) == 1:
        hidden = next(iter(embeddings.values()))
    elif presence_dropout is None:
        hidden = fusion(embeddings)
    else:
        presence = ModalityPresence(presence_dropout, seed=next(seeds), name="presence")(
            list(features.values())
        )
        hidden = fusion(embeddings, presence=presence)
    for layer in head:
        hidden = layer(hidden)
    logits = {target: dense(width, next(seeds), name=target)(hidden) for target, width in outputs.items()}
    return keras.Model(inputs, logits, name=name)


def build(recipe: Recipe) -> keras.Model:
    """The model of a recipe with random weights, a pure function of the recipe (`recipe.seed` among it).

    The sub-models of a modality are named `<modality>_front_end` and `<modality>_backbone`, the fusion layer `fusion`,
    the output layer after the target.
    """
    seeds = seed_stream(recipe.seed)
    front_ends = build_front_ends(recipe)
    parts = {}
    for modality, section in recipe.inputs.items():
        shape = front_ends[modality].output_shape[1:] if modality in front_ends else section.shape
        options = section.backbone.model_dump(exclude={"name"})
        parts[modality] = BACKBONES[section.backbone.name](
            shape, **options, seed=next(seeds), name=f"{modality}_backbone"
        )
    fusion_options: dict[str, Any] = recipe.fusion.model_dump(exclude={"name"})
    if recipe.fusion.name == "low_rank":
        fusion_options["seed"] = next(seeds)
    word = recipe.fusion.name
    fusion = None if word == "none" else FUSIONS[word](**fusion_options, name=FUSION)
    head: list[keras.layers.Layer] = []
    if recipe.head.dropout:
        head.append(keras.layers.Dropout(recipe.head.dropout, seed=next(seeds), name="fusion_dropout"))
    for i, units in enumerate(recipe.head.units):
        head.append(dense(units, next(seeds), activation="relu", name=f"head_{i}"))
        if recipe.head.dropout:
            head.append(keras.layers.Dropout(recipe.head.dropout, seed=next(seeds), name=f"head_dropout_{i}"))
    return fusion_model(
        parts,
        fusion,
        {recipe.target.name: recipe.target.size},
        front_ends=front_ends,
        presence_dropout=recipe.presence and recipe.presence.dropout,
        head=head,
        seed=next(seeds),
        # Keras wants a Python-like name here, recipes have dashes.
        name=recipe.name.replace("-", "_").replace(".", "_"),
    )


def build_front_ends(recipe: Recipe) -> dict[str, keras.Model]:
    """The front ends of the recipe's modalities, of those that have one; random weights, where it has any."""
    return {
        modality: FRONT_ENDS[section.front_end.name](
            section.shape,
            **section.front_end.model_dump(exclude={"name", "pretrained", "weights"}),
            name=f"{modality}_front_end",
        )
        for modality, section in recipe.inputs.items()
        if section.front_end
    }


def set_standardization(model: keras.Model, statistics: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Gives the model's feature standardisation its statistics, which then travel in its weights.

    Args:
        model: a model of `fusion_model`.
        statistics: modality → (mean, variance), each (width,), of the unmasked steps of the training split.
            Modalities whose backbone has no standardisation are passed over.
    """
    for modality, (mean, variance) in statistics.items():
        for layer in _backbone_layers(model, modality):
            if layer.name == STANDARDIZATION:
                layer.adapt_mean.assign(mean)
                layer.adapt_variance.assign(variance)
    refresh_standardization(model)


def is_standardized(model: keras.Model, modality: str) -> bool:
    """Whether the modality's backbone has a feature standardisation."""
    return any(layer.name == STANDARDIZATION for layer in _backbone_layers(model, modality))


def refresh_standardization(model: keras.Model) -> keras.Model:
    """`model`, working with the statistics that are in its weights: after `set_weights`, it still has those of before.

    (`load_weights` does this by itself.)
    """
    for layer in nested_layers(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    # A function that was compiled before holds the old statistics as constants.
    model.train_function = model.test_function = model.predict_function = None
    return model


def _backbone_layers(model: keras.Model, modality: str) -> list[keras.layers.Layer]:
    """The layers of the sub-models that the modality's input enters, a front end and what follows it among them."""
    if modality not in model.input:
        raise unknown_name("modality", modality, model.input)
    reached, layers = [model.input[modality]], []
    for part in model.layers:
        if not isinstance(part, keras.Model):
            continue
        for inputs, outputs in layer_calls(part):
            if any(tensor is entry for tensor in inputs for entry in reached):
                layers += part.layers
                reached += outputs
    return layers
