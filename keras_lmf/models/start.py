"""A training's start from another model's weights: which of its parts are copied, which begin anew, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_lmf import documents
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.files import sha256
from keras_lmf.locate import (
    ENTRY,
    RECIPE,
    WEIGHTS,
    bundled_folder,
    cache_folder,
    folders_with,
    known_entries,
    locate,
    unknown_entry,
)
from keras_lmf.models.factory import FUSION
from keras_lmf.models.pretrained import load_own
from keras_lmf.models.standardization import refresh_standardization
from keras_lmf.models.weights import require_answers
from keras_lmf.recipe import Modality, Recipe
from keras_lmf.records import Shipped

HEAD_LAYER = re.compile(r"head_(dropout_)?\d+")
FUSION_DROPOUT = "fusion_dropout"  # of the head


@dataclass(frozen=True)
class Source:
    """A trained model on this machine, not yet read.

    Attributes:
        name: as the recipe says it.
        recipe: what it was trained by.
        weights: its file.
        sha256: of that file.
        testvectors: of an entry, that it must answer; None: of a run.
    """

    name: str
    recipe: Recipe
    weights: Path
    sha256: str
    testvectors: Path | None

    def model(self) -> keras.Model:
        """The model with its weights; an LMFError where it doesn't answer its test vectors."""
        model = load_own(self.recipe, self.weights)
        if self.testvectors is not None:
            require_answers(model, self.testvectors, self.name)
        return model


def trained(word: str, key: str = "start.from") -> Source:
    """The zoo entry or the run that `word` means. Nothing is downloaded.

    Args:
        word: a name or a folder.
        key: of the recipe, which names it, for errors.

    Raises:
        LMFError: there is none, a file is missing or has another sha256, or a run has no weights yet.
    """
    place = locate(word, "entry", "run", hint=f"{key} names a trained model.")
    if place.kind == "run":
        weights = place.path / WEIGHTS
        if not weights.is_file():
            raise LMFError(f"{key}: the run {place.path} has no {WEIGHTS} yet: train it to the end first.")
        return Source(word, Recipe.read(place.path / RECIPE), weights, sha256(weights), None)
    folders = [place.path] if place.path else _folders_of(word)
    record = documents.read(folders[0] / ENTRY, Shipped)
    recipe = Recipe.read(folders[0] / RECIPE)
    if recipe.fingerprint != record.recipe_sha256:
        raise LMFError(f"{folders[0] / RECIPE} is not the recipe that {ENTRY} beside it tells the sha256 of.")
    files = {file: _checked(folders, record, file, key) for file in ("weights", "testvectors")}
    return Source(word, recipe, files["weights"], record.files["weights"].sha256, files["testvectors"])


def _folders_of(name: str) -> list[Path]:
    """Where the files of a known entry may be: the package, the cache."""
    if name not in known_entries():
        raise unknown_entry(name, f"'keras-lmf fetch {name}' brings one of a mirror.")
    folders = [folders_with(ENTRY, bundled_folder()).get(name), cache_folder() / name]
    return [folder for folder in folders if folder and folder.is_dir()]


def _checked(folders: Sequence[Path], record: Shipped, file: str, key: str) -> Path:
    if file not in record.files:
        raise LMFError(f"{folders[0] / ENTRY}: 'files' lacks {file!r}.")
    problems = []
    for folder in folders:
        path = folder / record.files[file].name
        if (problem := record.files[file].problem(path)) is None:
            return path
        problems.append(f"{path} {problem}")
    raise LMFError(f"{key}: {'; '.join(problems)}. 'keras-lmf fetch {folders[0].name}' brings it.")


def part_layers(model: keras.Model, recipe: Recipe) -> dict[str, list[keras.layers.Layer]]:
    """The layers of each of `recipe.trained_parts` in a model of the recipe; some have no weights."""
    layers = {part: [] for part in recipe.trained_parts}
    for layer in model.layers:
        name = layer.name.removesuffix("_backbone").removesuffix("_front_end")
        if name in recipe.inputs and name != layer.name:
            layers[name].append(layer)
        elif layer.name in (recipe.target.name, FUSION_DROPOUT) or HEAD_LAYER.fullmatch(layer.name):
            layers["head"].append(layer)
        elif f"{layer.name}_".startswith(f"{FUSION}_") and FUSION in layers:
            layers[FUSION].append(layer)
    return layers


@dataclass(frozen=True)
class Copied:
    """What a model took from a source.

    Attributes:
        parts: my part → its part.
        new: my other parts → why they begin with random weights.
    """

    parts: Mapping[str, str]
    new: Mapping[str, str]

    def __str__(self) -> str:
        copied = [mine if mine == theirs else f"{mine} (its {theirs})" for mine, theirs in self.parts.items()]
        new = "".join(f"; new: {part} ({reason})" for part, reason in self.new.items())
        return f"copied: {', '.join(copied)}{new}"


def copy_parts(source: Source, model: keras.Model, recipe: Recipe, own: Recipe) -> Copied:
    """Gives `model` the parts of the source that `own.start` asks for, with what was fitted to data in them.

    Args:
        source: what to copy from.
        model: of `recipe`.
        recipe: of what is trained, without front ends.
        own: the whole recipe, with them.

    Raises:
        LMFError: an input that the source doesn't have or whose network is another one, where `start.inputs` names it;
            a part to freeze that is not copied; or nothing to copy at all.
    """
    asked, theirs = own.start.inputs, source.recipe
    if theirs.fusion.parts(tuple(theirs.inputs)):
        raise LMFError(
            f"start.from: {source.name} joins answers of parts ({theirs.fusion.name!r}). Name a model that was trained "
            "as one."
        )
    for name in (asked or {}).values():
        if name not in theirs.inputs:
            raise unknown_name(f"input of {source.name} in start.inputs", name, theirs.inputs)
    trained = source.model()
    from_layers, to_layers = part_layers(trained, theirs), part_layers(model, recipe)
    parts, new = {}, {}
    for mine in recipe.trained_parts:
        wanted = asked is None or mine in asked
        other = asked.get(mine, mine) if asked else mine
        problem = (
            _why_not(mine, other, own, theirs, parts)
            if wanted
            else f"start.inputs names {', '.join(asked)} alone"
        )
        problem = problem or _other_weights(from_layers[other], to_layers[mine])
        if problem and asked and mine in asked:
            raise LMFError(f"start.inputs: {mine} can't start from {other} of {source.name}: {problem}.")
        if problem:
            new[mine] = problem
            continue
        parts[mine] = other
        for theirs_layer, layer in zip(from_layers[other], to_layers[mine]):
            layer.set_weights(theirs_layer.get_weights())
    copied = Copied(parts, new)
    if not parts:
        raise LMFError(f"start.from: nothing of {source.name} fits this recipe: {copied}.")
    if random := own.start.frozen(own.trained_parts) & new.keys():
        part = min(random)
        raise LMFError(f"start.freeze names {part!r}, whose weights are random: {new[part]}.")
    refresh_standardization(model)
    return copied


def _why_not(mine: str, other: str, own: Recipe, theirs: Recipe, parts: Mapping[str, str]) -> str | None:
    """Why a part is not that of the source, by what the recipes say; None: it may be."""
    if mine in own.inputs:
        if other not in theirs.inputs:
            return f"it has no such input, it has {', '.join(theirs.inputs)}"
        return _other_network(own.inputs[mine], theirs.inputs[other])
    if list(own.inputs) != list(theirs.inputs) or not parts.keys() >= own.inputs.keys():
        return f"the inputs are not all those of it, which are {', '.join(theirs.inputs)}"
    if own.fusion.name != theirs.fusion.name:
        return f"its fusion is {theirs.fusion.name}"
    if mine == "head":
        if FUSION in own.trained_parts and FUSION not in parts:
            return "the fusion is new"
        if own.head.units != theirs.head.units:
            return f"its hidden layers are {list(theirs.head.units)}"
        if own.target != theirs.target:
            return "the target is another one"
    return None


def _other_network(mine: Modality, theirs: Modality) -> str | None:
    def word(section: object) -> str:
        return "none" if section is None else f"{section.name} {section.options}"

    if mine.front_end != theirs.front_end:
        return f"its front end is {word(theirs.front_end)}, mine {word(mine.front_end)}"
    if mine.backbone.name != theirs.backbone.name:
        return f"its backbone is {theirs.backbone.name}, mine {mine.backbone.name}"
    return None


def _other_weights(theirs: Sequence[keras.layers.Layer], mine: Sequence[keras.layers.Layer]) -> str | None:
    """The first difference between the weights' shapes; None: they agree."""
    shapes = [
        [tuple(weight.shape) for layer in layers for weight in layer.weights] for layers in (theirs, mine)
    ]
    if shapes[0] == shapes[1] and len(theirs) == len(mine):
        return None
    for its, own in zip(*shapes):
        if its != own:
            return f"its weights have other shapes: {its}, mine {own}"
    return f"it has {len(shapes[0])} weights, mine {len(shapes[1])}"
