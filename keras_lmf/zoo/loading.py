"""load: trained weights into our own architecture, each step checked; no code comes from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from keras_lmf.errors import LMFError
from keras_lmf.locate import ENTRY, RECIPE, WEIGHTS, Place, locate
from keras_lmf.recipe import Recipe, run_spec
from keras_lmf.spec import attach
from keras_lmf.zoo import fetching
from keras_lmf.zoo.entry import Entry

if TYPE_CHECKING:
    import keras

    from keras_lmf.models.factory import Shapes

OTHERS = (
    "(.tflite and SavedModel: klmf.runtime.open_artifact. A .keras file is a program: keras.saving.load_model, if you "
    "trust it.)"
)


def load(
    name: str | Path, weights: str | Path | None = None, cache_dir: str | Path | None = None
) -> keras.Model:
    """A trained model.

    >>> model = load("lmf-mosi-avt")                                # doctest: +SKIP
    >>> model = load("lmf-mosi-avt", weights="mine.weights.h5")     # doctest: +SKIP
    >>> model = load("runs/mine")                                   # doctest: +SKIP

    Args:
        name: the name of a zoo entry, or a folder that holds one; the folder of a training run; a `.toml` recipe
            (with `weights`); or a `.weights.h5` that has its recipe.toml beside it.
        weights: your own `.weights.h5` for the architecture of `name`, instead of the weights there.
        cache_dir: see `fetch`.

    Returns:
        The functional model: modalities in, {target: (batch, size)} out; logits for classes.

    An entry's weights are checked in this order: recipe against its fingerprint; paths and
    shapes of the model's weights against the entry; sha256 of the file; then the model must answer the
    entry's test vectors. Your own weights have no record, so only their shapes are checked.

    Raises:
        LMFError: one of these checks fails, and which; or as `fetch`.
    """
    own = None if weights is None else Path(weights)
    place = locate(name, "entry", "run", "recipe", "weights", hint=OTHERS)
    if place.kind == "entry":
        return load_entry(fetching.files_of(place, cache_dir), own)
    return load_own(place, own)


def load_entry(files: fetching.EntryFiles, weights: Path | None = None) -> keras.Model:
    """The model of an entry, with its own weights or those in `weights`."""
    from keras_lmf.models import build, foretold_shapes, pretrained, read_testvectors
    from keras_lmf.models.weights import require_answers

    entry, recipe = files.entry, fetching.recipe(files)
    _require_agreement(entry, recipe)
    _require_shapes(foretold_shapes(recipe), entry)
    if weights is not None:
        return pretrained.load_own(recipe, weights)
    model = pretrained.fill_from_entry(build(recipe), recipe, fetching.file(files, "weights"))
    vectors = fetching.file(files, "testvectors")
    require_answers(model, vectors, entry.name)
    return attach(model, entry.spec, read_testvectors(vectors)[0])


def load_own(place: Place, weights: Path | None = None) -> keras.Model:
    """The model of what a user trained: a run's folder, a recipe, or weights beside their recipe."""
    from keras_lmf.models import pretrained

    path = place.path
    if place.kind == "weights":
        if weights is not None:
            raise LMFError(f"Received the weights {path} and the weights {weights}. Give one of them.")
        if not (path.parent / RECIPE).is_file():
            raise LMFError(
                f"{path} holds weights alone, and no {RECIPE} lies beside it. "
                f"Give what they belong to: klmf.load(NAME or RECIPE.toml, weights={str(path)!r})."
            )
        recipe, weights = Recipe.read(path.parent / RECIPE), path
    elif place.kind == "recipe":
        recipe = Recipe.read(path)
        if weights is None:
            raise LMFError(f"{path} is a recipe, which holds no weights. Give weights='….weights.h5' too.")
    else:
        recipe = Recipe.read(path / RECIPE)
        if weights is None and (path / WEIGHTS).is_file():
            return attach(pretrained.load_own(recipe, path / WEIGHTS), run_spec(path))
    if weights is None:
        raise LMFError(
            f"{path} has no {WEIGHTS}: train it to the end first, or give weights=…; "
            f"klmf.build(recipe) makes the model with random weights."
        )
    return pretrained.load_own(recipe, weights)


def _require_agreement(entry: Entry, recipe: Recipe) -> None:
    """What entry.json says of the model is what the recipe says."""
    facts = {
        "fusion": (entry.fusion, recipe.fusion.name),
        "corpus": (entry.corpus, recipe.corpus.name),
        "target": (entry.target, recipe.target),
        "presence": (entry.presence, recipe.spec.presence),
        "inputs": tuple(
            [(name, spec.shape, spec.media, spec.rate) for name, spec in described.spec.inputs.items()]
            for described in (entry, recipe)
        ),
    }
    for field, (said, built) in facts.items():
        if said != built:
            raise LMFError(f"{ENTRY} of {entry.name!r} says {field} {said}, its recipe says {built}.")


def _require_shapes(built: Shapes, entry: Entry) -> None:
    if built == entry.weights:
        return
    pairs = zip([*built, *[None] * len(entry.weights)], [*entry.weights, *[None] * len(built)])
    at, (ours, theirs) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
    raise LMFError(
        f"The weights of {entry.name!r} (written by keras-lmf {entry.keras_lmf_version}) are not those that its "
        f"recipe builds here: weight {at} is {ours or 'none'} in the model, {theirs or 'none'} in {ENTRY}."
    )
