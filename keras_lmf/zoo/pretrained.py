"""Models with published front ends: what is published, what was trained, and the two together.

An entry's weights file holds all but the front ends whose weights come from a backbone of the zoo.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.locate import OFFLINE, known_backbones, offline
from keras_lmf.recipe import Recipe
from keras_lmf.recipe.parts import Modality
from keras_lmf.zoo.backbones import load_backbone

if TYPE_CHECKING:
    import keras


def names(recipe: Recipe) -> dict[str, str]:
    """Modality → backbone of the zoo, of the modalities whose front end has published weights."""
    sections = {modality: section.front_end for modality, section in recipe.inputs.items()}
    found = {modality: getattr(front_end, "pretrained", None) for modality, front_end in sections.items()}
    return {modality: name for modality, name in found.items() if name}


def published(recipe: Recipe) -> dict[str, keras.Model]:
    """The front ends whose weights are a backbone of the zoo, with these; nothing is downloaded."""
    from keras_lmf.models import build_front_ends

    return _filled(recipe, build_front_ends(recipe))


def front_ends(recipe: Recipe) -> dict[str, keras.Model]:
    """The recipe's front ends as a training starts from them; Keras downloads those of ImageNet.

    Raises:
        LMFError: an unknown backbone, or weights of ImageNet that can't be downloaded.
    """
    from keras_lmf.models import build_front_ends

    models = build_front_ends(recipe)
    _filled(recipe, models)
    for modality, section in recipe.inputs.items():
        if getattr(section.front_end, "weights", None) == "imagenet":
            models[modality].set_weights(_downloaded(modality, section).get_weights())
    return models


def _downloaded(modality: str, section: Modality) -> keras.Model:
    from keras_lmf.backbones import frames

    where = f"inputs.{modality}.front_end: the ImageNet weights of {section.front_end.network}"
    hint = 'weights = "random" needs none.'
    if offline():
        raise LMFError(f"{where} would be downloaded, but {OFFLINE} is set. {hint}")
    try:
        return frames.application(section.shape, **section.front_end.model_dump(exclude={"name"}))
    except LMFError:
        raise
    except Exception as error:  # Keras has no class of its own for a download that failed
        raise LMFError(f"{where} can't be downloaded ({' '.join(str(error).split())}). {hint}") from error


def _filled(recipe: Recipe, models: Mapping[str, keras.Model]) -> dict[str, keras.Model]:
    """Those of `models` that have published weights, filled with them."""
    for modality, name in names(recipe).items():
        if name not in known_backbones():
            raise unknown_name(f"backbone for inputs.{modality}.front_end", name, known_backbones())
        body = load_backbone(name)
        for layer in models[modality].layers:
            if layer.weights:
                layer.set_weights(body.get_layer(layer.name).get_weights())
    return {modality: models[modality] for modality in names(recipe)}


def on_features(recipe: Recipe, models: Mapping[str, keras.Model]) -> Recipe:
    """The recipe of what is trained: it takes the features of the front ends `models`."""
    sections = recipe.model_dump(exclude_none=True)
    for modality, model in models.items():
        sections["inputs"][modality]["shape"] = model.output_shape[1:]
        del sections["inputs"][modality]["front_end"]
        sections["inputs"][modality].pop("frame_rate", None)
    sections["training"].pop("augmentation", None)
    return Recipe(**sections)


def fill(model: keras.Model, models: Mapping[str, keras.Model], trained: keras.Model) -> keras.Model:
    """`model` of a recipe, with the weights of its front ends and those of the part that was trained."""
    from keras_lmf.models import refresh_standardization

    for modality, front_end in models.items():
        model.get_layer(f"{modality}_front_end").set_weights(front_end.get_weights())
    for layer in trained.layers:
        model.get_layer(layer.name).set_weights(layer.get_weights())
    return refresh_standardization(model)


def trained_part(recipe: Recipe, model: keras.Model) -> keras.Model:
    """The part of `model` whose weights no backbone of the zoo holds."""
    from keras_lmf.models import build, build_front_ends, refresh_standardization

    models = build_front_ends(recipe)
    part = build(on_features(recipe, {modality: models[modality] for modality in names(recipe)}))
    for layer in part.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    return refresh_standardization(part)
