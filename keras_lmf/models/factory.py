"""Models from parts, and from the words of a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_lmf.backbones.picture_augmentation import picture_augmentation
from keras_lmf.backbones.sequence import dense, seed_stream
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.layers import ModalityPresence
from keras_lmf.models.joints import joint_layer
from keras_lmf.recipe import Recipe
from keras_lmf.recipe.sections import MAX_PARAMETERS
from keras_lmf.spec import attach

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
FUSION = "fusion"


def fusion_model(
    backbones: Mapping[str, keras.Model],
    fusion: Callable[..., Any] | None,
    outputs: Mapping[str, int],
    *,
    front_ends: Mapping[str, keras.Model] | None = None,
    augmentations: Mapping[str, keras.Model] | None = None,
    presence_dropout: float | None = None,
    head: Sequence[keras.layers.Layer] = (),
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """A functional model: a dict of modalities in, a dict of targets out.

    Args:
        backbones: modality name → model with one input and one embedding; the order is the modality order. With
            one modality there is nothing to fuse and `fusion` is left out.
        fusion: a layer that takes a dict of embeddings, for example `LowRankFusion(64, rank=4)`, or a function
            that is called as one; None for one modality.
        outputs: target name → width: the number of classes (logits), or of regression values.
        front_ends: for the modalities that have one: a model from raw input to what their backbone takes.
        augmentations: for the modalities whose input training changes: a model from that input to the changed one.
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
    changed = inputs | {
        modality: model(inputs[modality]) for modality, model in (augmentations or {}).items()
    }
    features = {
        modality: front_ends[modality](tensor) if modality in front_ends else tensor
        for modality, tensor in changed.items()
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
    the output layer after the target. `model.spec` is the recipe's.

    Raises:
        LMFError: the recipe leaves its target to the corpus: `recipe.for_target`.
    """
    return attach(_model(recipe), recipe.spec)


def build_front_ends(recipe: Recipe) -> dict[str, keras.Model]:
    """The front ends that stay as they are, by modality; random weights, where they have any."""
    return {
        name: section.frozen_front_end.build(section.shape, f"{name}_front_end")
        for name, section in recipe.inputs.items()
        if section.frozen_front_end
    }


def front_ends_of(model: keras.Model) -> dict[str, keras.Model]:
    """The front ends of a model of `build`, by modality, whether they stay as they are or not."""
    layers = {layer.name: layer for layer in model.layers}
    return {name: layers[f"{name}_front_end"] for name in model.input if f"{name}_front_end" in layers}


class TooManyWeights(LMFError):
    """A recipe asks for more than is allowed."""


def foretold_shapes(recipe: Recipe, most: int = MAX_PARAMETERS) -> Shapes:
    """`weight_shapes` of the recipe's model, which is not built: a few bytes of a recipe can ask for any memory.

    Args:
        recipe: may be a stranger's.
        most: numbers in all its weights.

    Raises:
        TooManyWeights: the parts have more numbers than `most`.
        LMFError: they don't fit.
    """

    def shapes() -> Shapes:
        with keras.StatelessScope(initialize_variables=False):
            return weight_shapes(_model(recipe, most))

    # Keras keeps, per thread, what it will initialise at the end of the next such scope: here nothing ever is to be.
    with ThreadPoolExecutor(1) as thread:
        try:
            return thread.submit(shapes).result()
        except TooManyWeights:
            raise
        except Exception as error:  # whatever we, Keras and the backend raise where the parts don't fit
            reason = " ".join(str(error).split())[:500]
            raise LMFError(f"The recipe of {recipe.name!r} builds no model: {reason}") from error


def weight_shapes(model: keras.Model) -> Shapes:
    """(path, shape) of every weight of the model, in order: the `weights` of a zoo entry."""
    return tuple((weight.path, tuple(int(width) for width in weight.shape)) for weight in model.weights)


@dataclass(frozen=True)
class _Limit:
    """How many numbers all weights of a recipe's model may have."""

    recipe: str
    most: float

    def require(self, models: Iterable[keras.Model]) -> None:
        """TooManyWeights where these have more."""
        numbers = sum(model.count_params() for model in models)
        if numbers > self.most:
            raise TooManyWeights(
                f"The recipe of {self.recipe!r} builds {numbers} weights or more, allowed here are {self.most}."
            )


def _model(recipe: Recipe, most: float = math.inf) -> keras.Model:
    """The model of the recipe; no further part is made once there are more numbers than `most`."""
    if recipe.target is None:
        raise LMFError(
            f"The recipe {recipe.name!r} leaves its target to the corpus: train it, or give recipe.for_target(target)."
        )

    limit, front_ends, shapes = _Limit(recipe.name, most), {}, {}
    for name, section in recipe.inputs.items():
        shapes[name] = section.shape
        if section.front_end:
            front_ends[name] = section.front_end.build(section.shape, f"{name}_front_end")
            limit.require(front_ends.values())
            shapes[name] = front_ends[name].output_shape[1:]
    if not (words := recipe.parts()):
        return _network(recipe, shapes, _python_name(recipe.name), front_ends, front_ends.values(), limit)
    parts = {}
    for part, own in words.items():
        made = (*front_ends.values(), *parts.values())
        parts[part] = _network(own, shapes, f"{part}_part", {}, made, limit)
        limit.require((*made, parts[part]))
    return _joined(recipe, parts, front_ends)


def _python_name(name: str) -> str:
    """Keras wants such a name of models, recipes have dashes."""
    return name.replace("-", "_").replace(".", "_")


def _joined(
    recipe: Recipe, parts: Mapping[str, keras.Model], front_ends: Mapping[str, keras.Model]
) -> keras.Model:
    """The parts' answers, fused; a part takes the features of its modalities."""
    inputs = {name: keras.Input(section.shape, name=name) for name, section in recipe.inputs.items()}
    features = {name: front_ends[name](x) if name in front_ends else x for name, x in inputs.items()}
    own = {part: {name: features[name] for name in model.input} for part, model in parts.items()}
    target = recipe.target.name
    answers = {part: model(own[part])[target] for part, model in parts.items()}
    layer = joint_layer(parts=list(parts), name=target, **recipe.fusion.joint(recipe.target, list(parts)))
    presence = None
    if recipe.presence:
        there = ModalityPresence(name="presence")(list(features.values()))
        places = [[list(features).index(name) for name in tensors] for tensors in own.values()]
        counts = [ops.sum(ops.take(there, place, axis=-1), axis=-1) for place in places]
        enough = [count >= least_inputs(len(place)) for count, place in zip(counts, places)]
        presence = ops.cast(ops.stack(enough, axis=-1), there.dtype)
    return keras.Model(inputs, {target: layer(answers, presence=presence)}, name=_python_name(recipe.name))


def least_inputs(modalities: int) -> int:
    """Of a part that takes so many, how many must be there for it to answer.

    With one of several it would say again what the part of that one says.
    """
    return min(2, modalities)


def _network(
    recipe: Recipe,
    shapes: Mapping[str, Sequence[int]],
    name: str,
    front_ends: Mapping[str, keras.Model],
    made: Collection[keras.Model],
    limit: _Limit,
) -> keras.Model:
    """What follows the front ends, which give features of such `shapes`; with them in front where they are given.

    `made` are the models that count towards the limit with it.
    """
    seeds, backbones = seed_stream(recipe.seed), {}
    for modality, section in recipe.inputs.items():
        make = section.backbone.build_steps if recipe.fusion.of_steps else section.backbone.build
        backbones[modality] = make(shapes[modality], f"{modality}_backbone", seed=next(seeds))
        limit.require((*made, *backbones.values()))
    model = fusion_model(
        backbones,
        recipe.fusion.build(seeds, FUSION),
        {recipe.target.name: recipe.target.size},
        front_ends=front_ends,
        augmentations=_augmentations(recipe),
        presence_dropout=recipe.presence and recipe.presence.dropout,
        head=recipe.head.build(seeds),
        seed=next(seeds),
        name=name,
    )
    limit.require([model])
    return model


def _augmentations(recipe: Recipe) -> dict[str, keras.Model]:
    seeds, settings = seed_stream(recipe.seed), recipe.training.picture_augmentation
    return {
        name: picture_augmentation(
            recipe.inputs[name].shape, **settings.model_dump(), seed=next(seeds), name=f"{name}_augmentation"
        )
        for name in recipe.changed_pictures
    }
