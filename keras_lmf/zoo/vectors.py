"""Test vectors: a few inputs of a model and what it answers, so that every copy and every format can be checked."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_lmf.data.npz import read_npz
from keras_lmf.errors import LMFError
from keras_lmf.files import write_atomically

Arrays = dict[str, np.ndarray]
MAX_UNPACKED_BYTES = 2**26  # a small archive can unpack to any size


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
    _refuse_large(Path(path))
    inputs: Arrays = {}
    outputs: Arrays = {}
    for key, array in read_npz(path).items():
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


def _refuse_large(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return  # `read_npz` says it better
    if size > MAX_UNPACKED_BYTES:
        raise LMFError(f"{path}: unpacks to {size} bytes; test vectors may have {MAX_UNPACKED_BYTES}.")
