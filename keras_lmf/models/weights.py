"""Weights from a file, read so that no file does harm, and the test vectors that tell whether they are right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import h5py
import keras
import numpy as np

from keras_lmf.data.npz import read_npz
from keras_lmf.errors import LMFError
from keras_lmf.files import require_content, write_atomically
from keras_lmf.locate import WEIGHTS_SUFFIX
from keras_lmf.models.factory import Shapes, weight_shapes

Arrays = dict[str, np.ndarray]
MAX_UNPACKED_BYTES = 2**26  # a small archive can unpack to any size
# Of max(1, |y|): float32 sums differ between backends and machines; wrong weights differ by far more.
TOLERANCE = 1e-4


def with_weights(model: keras.Model, path: Path) -> keras.Model:
    """`model`, with the weights in the file.

    Raises:
        LMFError: no file of weights, one that can't be read safely, or weights of another model.
    """
    stored_numbers(path, weight_shapes(model))
    try:
        model.load_weights(path)
    except Exception as error:  # h5py and Keras raise all kinds on a damaged or hostile file
        reason = " ".join(str(error).split())[:500]
        raise LMFError(f"{path} does not hold the weights of the model {model.name!r}: {reason}") from error
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise LMFError(
                f"{path}: {weight.path!r} holds NaN or infinity. The training that wrote it went wrong."
            )
    return model


def stored_numbers(path: Path, shapes: Shapes) -> int:
    """How many numbers the file holds, in arrays that can be read safely, for a model of these `shapes`.

    Every array is of numbers, none larger than the model's largest weight, and stored in one piece, as Keras writes it:
    a small file can declare an array of any size, or compress one. Keras itself refuses links to other files.
    """
    if not path.name.endswith(WEIGHTS_SUFFIX) or not path.is_file():
        problem = "does not exist" if not path.exists() else f"is not a {WEIGHTS_SUFFIX} file"
        raise LMFError(
            f"The weights {path} can't be loaded: it {problem}. Write one with model.save_weights."
        )
    total = 0
    largest = max(math.prod(shape) for _, shape in shapes)

    def check(name: str, item: object) -> None:
        nonlocal total
        # A compiled model's file also holds its optimizer's state, which is not read here.
        if not isinstance(item, h5py.Dataset) or name.startswith("optimizer/"):
            return
        kind, width = item.dtype.kind, item.dtype.itemsize
        # bfloat16 is stored as two raw bytes.
        if kind not in "fiuV" or width > 8 or (kind == "V" and width != 2):
            raise LMFError(f"{path}: {name!r} holds {item.dtype} instead of numbers.")
        if item.chunks or item.external or item.is_virtual or item.id.get_storage_size() < item.nbytes:
            raise LMFError(f"{path}: {name!r} is not stored in one piece, as Keras writes every weight.")
        if int(item.size or 0) > largest:
            raise LMFError(
                f"{path}: {name!r} has the shape {item.shape}; the largest weight of this model has {largest} numbers."
            )
        total += int(item.size or 0)

    try:
        with h5py.File(require_content(path), "r") as file:
            file.visititems(check)
    except LMFError:
        raise
    except Exception as error:
        raise LMFError(f"{path} is no readable HDF5 file ({error}). Copy or write it again.") from error
    return total


def write_testvectors(
    path: str | Path, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
) -> Path:
    """Writes an .npz with the keys `input/<modality>` (N, …) and `output/<target>` (N, size), atomically."""
    arrays = {f"input/{name}": np.asarray(array) for name, array in inputs.items()}
    arrays |= {f"output/{name}": np.asarray(array) for name, array in outputs.items()}

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, **arrays)

    return write_atomically(Path(path), write)


def read_testvectors(path: str | Path) -> tuple[Arrays, Arrays]:
    """(inputs by modality, expected outputs by target) of a file that `write_testvectors` wrote.

    Raises:
        LMFError: missing, damaged, larger than 64 MiB unpacked, pickled, other keys, or not finite.
    """
    inputs: Arrays = {}
    outputs: Arrays = {}
    for key, array in read_npz(path, most=MAX_UNPACKED_BYTES).items():
        kind, _, name = key.partition("/")
        if kind not in ("input", "output") or not name:
            raise LMFError(
                f"{path}: unknown key {key!r}; test vectors hold input/<modality> and output/<target>."
            )
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise LMFError(f"{path}: {key!r} must hold finite numbers, it has dtype {array.dtype}.")
        (inputs if kind == "input" else outputs)[name] = array
    rows = {len(array) if array.ndim else 0 for array in [*inputs.values(), *outputs.values()]}
    if not inputs or not outputs or len(rows) != 1 or 0 in rows:
        raise LMFError(
            f"{path}: test vectors need inputs and outputs with the same number of rows, 1 or more."
        )
    return inputs, outputs


def require_answers(model: keras.Model, path: Path, name: str) -> None:
    """The model answers the test vectors as it did when they were made.

    Raises:
        LMFError: vectors that don't fit the model, or other answers.
    """
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
