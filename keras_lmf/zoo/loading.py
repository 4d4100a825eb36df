"""load: trained weights into our own architecture, each step checked; no code comes from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.locate import ENTRY, RECIPE, WEIGHTS_SUFFIX, Place, locate
from keras_lmf.recipe import Recipe, run_spec
from keras_lmf.spec import attach
from keras_lmf.zoo import fetching
from keras_lmf.zoo.entry import Entry
from keras_lmf.zoo.filling import weight_shapes
from keras_lmf.zoo.sizes import kernel_numbers
from keras_lmf.zoo.vectors import read_testvectors

if TYPE_CHECKING:
    import keras

RUN_WEIGHTS = f"model{WEIGHTS_SUFFIX}"
OTHERS = (
    "(.tflite and SavedModel: klmf.runtime.open_artifact. A .keras file is a program: keras.saving.load_model, if you "
    "trust it.)"
)
# Of max(1, |y|): float32 sums differ between backends and machines; wrong weights differ by far more.
TOLERANCE = 1e-4


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

    An entry's weights are checked in this order: recipe against its fingerprint and the entry's number of parameters;
    paths and shapes of the model's weights against the entry; sha256 of the file; then the model must answer the
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
    from keras_lmf.models import build

    entry, recipe = files.entry, fetching.recipe(files)
    _require_agreement(entry, recipe)
    _require_size(entry, recipe)
    try:
        model = build(recipe)
    except Exception as error:  # whatever Keras and the backend raise where the parts don't fit
        reason = " ".join(str(error).split())[:500]
        raise LMFError(f"The recipe of {entry.name!r} builds no model: {reason}") from error
    _require_shapes(model, entry)
    if weights is not None:
        return attach(_with_own(model, recipe, weights), recipe.spec)
    _fill(model, recipe, fetching.file(files, "weights"))
    vectors = fetching.file(files, "testvectors")
    require_answers(model, vectors, entry.name)
    return attach(model, entry.spec, read_testvectors(vectors)[0])


def load_own(place: Place, weights: Path | None = None) -> keras.Model:
    """The model of what a user trained: a run's folder, a recipe, or weights beside their recipe."""
    from keras_lmf.models import build

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
        if weights is None and (path / RUN_WEIGHTS).is_file():
            return attach(_with_own(build(recipe), recipe, path / RUN_WEIGHTS), run_spec(path))
    if weights is None:
        raise LMFError(
            f"{path} has no {RUN_WEIGHTS}: train it to the end first, or give weights=…; "
            f"klmf.build(recipe) makes the model with random weights."
        )
    return attach(_with_own(build(recipe), recipe, weights), recipe.spec)


def _with_own(model: keras.Model, recipe: Recipe, path: Path) -> keras.Model:
    """`model` with weights that have no record: a run's file holds all of them, an entry's only what was trained."""
    from keras_lmf.zoo import pretrained

    if pretrained.names(recipe) and _plain_numbers(path, model) < model.count_params():
        _fill(model, recipe, path)
        return model
    return with_weights(model, path)


def _fill(model: keras.Model, recipe: Recipe, path: Path) -> None:
    """The weights in the file, and those of published front ends, which it doesn't hold."""
    from keras_lmf.models import build
    from keras_lmf.zoo import pretrained

    if not pretrained.names(recipe):
        with_weights(model, path)
        return
    models = pretrained.published(recipe)
    pretrained.fill(model, models, with_weights(build(pretrained.on_features(recipe, models)), path))


def with_weights(model: keras.Model, path: Path) -> keras.Model:
    """`model`, with the weights in the file."""
    _plain_numbers(path, model)
    try:
        model.load_weights(path)
    except Exception as error:  # h5py and Keras raise all kinds on a damaged or hostile file
        reason = " ".join(str(error).split())[:500]
        raise LMFError(f"{path} does not hold the weights of the model {model.name!r}: {reason}") from error
    return model


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


def _require_size(entry: Entry, recipe: Recipe) -> None:
    """The recipe builds no more than the entry says, so that a few bytes of it take no gigabytes."""
    if (numbers := kernel_numbers(recipe)) > entry.parameters:
        raise LMFError(
            f"The recipe of {entry.name!r} builds {numbers} weights or more, {ENTRY} says {entry.parameters}."
        )


def _require_shapes(model: keras.Model, entry: Entry) -> None:
    built = weight_shapes(model)
    if built == entry.weights:
        return
    pairs = zip([*built, *[None] * len(entry.weights)], [*entry.weights, *[None] * len(built)])
    at, (ours, theirs) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
    raise LMFError(
        f"The weights of {entry.name!r} (written by keras-lmf {entry.keras_lmf_version}) are not those that its "
        f"recipe builds here: weight {at} is {ours or 'none'} in the model, {theirs or 'none'} in {ENTRY}."
    )


def _plain_numbers(path: Path, model: keras.Model) -> int:
    """How many numbers the file holds, in arrays that can be read safely.

    Every array is of numbers, none larger than the model's largest weight, and as Keras writes it, in one piece: a
    small file can declare an array of any size, or compress one. Keras itself refuses links to other files.
    """
    import h5py

    if not path.name.endswith(WEIGHTS_SUFFIX) or not path.is_file():
        problem = "does not exist" if not path.exists() else f"is not a {WEIGHTS_SUFFIX} file"
        raise LMFError(
            f"The weights {path} can't be loaded: it {problem}. Write one with model.save_weights."
        )
    total = 0
    largest = max(int(np.prod(shape, dtype=np.int64)) for _, shape in weight_shapes(model))

    def check(name: str, item: object) -> None:
        nonlocal total
        # A compiled model's file also holds its optimizer's state, which is not read here.
        if not isinstance(item, h5py.Dataset) or name.startswith("optimizer/"):
            return
        kind, width = item.dtype.kind, item.dtype.itemsize
        if (
            kind not in "fiuV" or width > 8 or (kind == "V" and width != 2)
        ):  # bfloat16 is stored as two raw bytes
            raise LMFError(f"{path}: {name!r} holds {item.dtype} instead of numbers.")
        if item.chunks:
            raise LMFError(f"{path}: {name!r} is chunked or compressed, as Keras writes no weight.")
        if int(item.size or 0) > largest:
            raise LMFError(
                f"{path}: {name!r} has the shape {item.shape}; the largest weight of this model has {largest} numbers."
            )
        total += int(item.size or 0)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(check)
    except LMFError:
        raise
    except Exception as error:
        raise LMFError(f"{path} is no readable HDF5 file ({error}). Copy or write it again.") from error
    return total


def require_answers(model: keras.Model, path: Path, name: str) -> None:
    """The model answers the test vectors as it did when the entry was made."""
    import keras

    inputs, expected = read_testvectors(path)
    shapes = {modality: tuple(tensor.shape[1:]) for modality, tensor in model.input.items()}
    if {modality: array.shape[1:] for modality, array in inputs.items()} != shapes:
        received = {modality: array.shape for modality, array in inputs.items()}
        raise LMFError(
            f"{path}: inputs of shapes {received} don't fit the model, which takes rows of {shapes}."
        )
    answers = model({modality: array.astype("float32") for modality, array in inputs.items()}, training=False)
    if answers.keys() != expected.keys():
        raise LMFError(f"{path}: outputs {', '.join(expected)}; the model gives {', '.join(answers)}.")
    for target, values in expected.items():
        answer = keras.ops.convert_to_numpy(answers[target]).astype("float64")
        if answer.shape != values.shape:
            raise LMFError(
                f"{path}: output {target!r} has shape {values.shape}, the model gives {answer.shape}."
            )
        distance = float(np.max(np.abs(answer - values) / np.maximum(1, np.abs(values))))
        if not distance <= TOLERANCE:  # NaN is no agreement either
            raise LMFError(
                f"The zoo entry {name!r} does not answer its test vectors: {target!r} is off by {distance:.3g} · "
                f"max(1, |y|), allowed {TOLERANCE:g}. Precision is {keras.config.dtype_policy().name!r}; the entry "
                f"was made in 'float32'."
            )
