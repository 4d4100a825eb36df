"""Published weights of front ends, and models behind them: what is published, what was trained, the two together.

A zoo entry's weights file holds all but the front ends whose weights are a backbone of the zoo.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import keras

from keras_lmf import backbones
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.locate import OFFLINE, known_backbones, offline
from keras_lmf.models.factory import (
    build,
    build_front_ends,
    foretold_shapes,
    weight_shapes,
)
from keras_lmf.models.standardization import refresh_standardization
from keras_lmf.models.weights import require_answers, stored_numbers, with_weights
from keras_lmf.recipe import FRONT_ENDS, MAX_PARAMETERS, Modality, Recipe
from keras_lmf.records import Backbone


def published_model(front_end: str, shape: Sequence[int]) -> keras.Model:
    """The front end of that word with all of its taps, {waveform or frames} → {embedding}, random weights."""
    section = FRONT_ENDS[front_end]
    body = section(name=front_end, **dict([section.published])).build(shape, "front_end")
    inputs = keras.Input(tuple(shape), name=body.input.name)
    return keras.Model({body.input.name: inputs}, {"embedding": body(inputs)}, name=front_end)


def load_backbone(name: str | Path, shape: Sequence[int] | None = None) -> keras.Model:
    """The front end with its published weights, all layers of it: its input → all taps beside one another.

    >>> load_backbone("ge2e").get_layer("lstm_2").units             # doctest: +SKIP
    256

    Args:
        name: of a backbone in the zoo, or a folder that holds one.
        shape: of the model's input, without the batch axis; None: of the test vectors.

    Raises:
        LMFError: an unknown name; a file that is missing or has another sha256; weights of other shapes, or that
            don't answer the test vectors.
    """
    known = known_backbones()
    folder = Path(name) if isinstance(name, Path) or str(name) not in known else known[str(name)]
    if not folder.is_dir():
        raise unknown_name("backbone", str(name), known)
    backbone = Backbone.read(folder)
    for record in backbone.files.values():
        if problem := record.problem(folder / record.name):
            raise LMFError(f"{folder / record.name} {problem}. Nothing was read from it.")
    model = published_model(backbone.front_end, backbone.shape)
    if weight_shapes(model) != backbone.weights:
        raise LMFError(
            f"The weights of {backbone.name!r} are not those of the front end {backbone.front_end!r}."
        )
    with_weights(model, folder / backbone.files["weights"].name)
    require_answers(model, folder / backbone.files["testvectors"].name, backbone.name)
    if shape is None:
        return model.layers[-1]
    longer = published_model(backbone.front_end, shape)
    longer.set_weights(model.get_weights())
    return longer.layers[-1]


def names(recipe: Recipe) -> dict[str, str]:
    """Modality → backbone of the zoo, of the modalities whose front end has published weights and keeps them."""
    words = {modality: section.frozen_front_end for modality, section in recipe.inputs.items()}
    return {modality: word.pretrained for modality, word in words.items() if hasattr(word, "pretrained")}


def published(recipe: Recipe) -> dict[str, keras.Model]:
    """The front ends whose weights are a backbone of the zoo, with these; nothing is downloaded."""
    return _filled(recipe, build_front_ends(recipe))


def front_ends(recipe: Recipe) -> dict[str, keras.Model]:
    """The recipe's front ends as a training starts from them; Keras downloads those of ImageNet.

    Raises:
        LMFError: an unknown backbone, or weights of ImageNet that can't be downloaded.
    """
    models = build_front_ends(recipe)
    _filled(recipe, models)
    for modality, section in recipe.inputs.items():
        if getattr(section.front_end, "weights", None) == "imagenet":
            models[modality].set_weights(_downloaded(modality, section).get_weights())
    return models


def _downloaded(modality: str, section: Modality) -> keras.Model:
    where = f"inputs.{modality}.front_end: the ImageNet weights of {section.front_end.network}"
    hint = 'weights = "random" needs none.'
    if offline():
        raise LMFError(f"{where} would be downloaded, but {OFFLINE} is set. {hint}")
    try:
        return backbones.front_ends.application(
            section.shape, weights=section.front_end.weights, **section.front_end.architecture
        )
    except LMFError:
        raise
    except Exception as error:  # Keras has no class of its own for a download that failed
        raise LMFError(f"{where} can't be downloaded ({' '.join(str(error).split())}). {hint}") from error


def _filled(recipe: Recipe, models: Mapping[str, keras.Model]) -> dict[str, keras.Model]:
    """Those of `models` that have published weights, filled with them."""
    for modality, name in names(recipe).items():
        _fill_published(models[modality], modality, name)
    return {modality: models[modality] for modality in names(recipe)}


def _fill_published(model: keras.Model, modality: str, name: str) -> None:
    if name not in known_backbones():
        raise unknown_name(f"backbone for inputs.{modality}.front_end", name, known_backbones())
    theirs = {weight.path: weight for weight in load_backbone(name).weights}
    for weight in model.weights:
        weight.assign(theirs[weight.path.removeprefix(f"{model.name}/")])


def fine_tuned(recipe: Recipe, model: keras.Model) -> dict[str, keras.Model]:
    """The front ends of `model` that are trained along, by modality."""
    return {
        modality: model.get_layer(f"{modality}_front_end")
        for modality, section in recipe.inputs.items()
        if section.front_end != section.frozen_front_end
    }


def fill_fine_tuned(recipe: Recipe, model: keras.Model) -> dict[str, keras.Model]:
    """`fine_tuned`, with the published weights that their training starts from."""
    models = fine_tuned(recipe, model)
    for modality, front_end in models.items():
        _fill_published(front_end, modality, recipe.inputs[modality].front_end.pretrained)
    return models


def on_features(recipe: Recipe, models: Mapping[str, keras.Model]) -> Recipe:
    """The recipe of what is trained: it takes the features of the front ends `models`."""
    sections = recipe.model_dump(exclude_none=True)
    for modality, model in models.items():
        sections["inputs"][modality]["shape"] = model.output_shape[1:]
        del sections["inputs"][modality]["front_end"]
        sections["inputs"][modality].pop("frame_rate", None)
        sections["inputs"][modality].pop("source", None)
    sections["training"].pop("augmentation", None)
    return Recipe(**sections)


def fill(model: keras.Model, models: Mapping[str, keras.Model], trained: keras.Model) -> keras.Model:
    """`model` of a recipe, with the weights of its front ends and those of the part that was trained."""
    for modality, front_end in models.items():
        model.get_layer(f"{modality}_front_end").set_weights(front_end.get_weights())
    for layer in trained.layers:
        model.get_layer(layer.name).set_weights(layer.get_weights())
    return refresh_standardization(model)


def fill_from_entry(model: keras.Model, recipe: Recipe, path: Path) -> keras.Model:
    """`model` of the recipe, with the weights in a zoo entry's file, which holds no published front ends, and these."""
    if not names(recipe):
        return with_weights(model, path)
    models = published(recipe)
    return fill(model, models, with_weights(build(on_features(recipe, models)), path))


def load_own(recipe: Recipe, path: Path) -> keras.Model:
    """The recipe's model with the weights in a user's file: of the whole model, as a run's, or as an entry's.

    Both may be a stranger's: the model has at most as many numbers as the file holds, or `MAX_PARAMETERS`.

    Raises:
        LMFError: a larger model, or as `with_weights`.
    """
    size = path.stat().st_size if path.is_file() else 0
    shapes = foretold_shapes(recipe, max(MAX_PARAMETERS, size))
    held, asked = stored_numbers(path, shapes), sum(math.prod(shape) for _, shape in shapes)
    if asked > max(MAX_PARAMETERS, held):  # the file is long, but not of weights
        raise LMFError(f"{path} holds {held} numbers, the recipe of {recipe.name!r} asks for {asked}.")
    model = build(recipe)
    return (
        fill_from_entry(model, recipe, path) if names(recipe) and held < asked else with_weights(model, path)
    )


def trained_part(recipe: Recipe, model: keras.Model) -> keras.Model:
    """The part of `model` whose weights no backbone of the zoo holds."""
    return _without_front_ends(recipe, model, names(recipe))


def behind_front_ends(recipe: Recipe, model: keras.Model) -> keras.Model:
    """The part of `model` that takes the features of front ends that stay as they are; without any, `model` itself."""
    modalities = [name for name, section in recipe.inputs.items() if section.frozen_front_end]
    return _without_front_ends(recipe, model, modalities) if modalities else model


def _without_front_ends(recipe: Recipe, model: keras.Model, modalities: Collection[str]) -> keras.Model:
    models = build_front_ends(recipe)
    part = build(on_features(recipe, {modality: models[modality] for modality in modalities}))
    for layer in part.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    return refresh_standardization(part)
