"""Arrays in memory-mapped .npy files: sound as int16, pictures as uint8, features as float32."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from keras_lmf.data.npz import DAMAGE
from keras_lmf.errors import LMFError
from keras_lmf.files import require_content
from keras_lmf.lazy import LazyArray

DTYPES = ("int16", "uint8", "float32")


class Shards(LazyArray):
    """The rows of .npy files, one file below another, as float32 numbers that are read when asked for.

    Files are mapped for the time of a reading alone, so that what was read once takes no memory. Rows of float32 files
    are checked whenever they are read: NaN or infinity is an LMFError with file and row. A masked step must be zeros.

    Args:
        paths: of the files, each (n, …) of one dtype out of `DTYPES` and the same row shape.
        scale: by which the numbers are divided: 32767 for sound in int16, 255 for pictures in uint8; None for no
            division.
        digest: a hash that stands for the files' content.

    Raises:
        LMFError: no file, a missing or damaged one, or dtypes or shapes that are not allowed or differ.
    """

    def __init__(self, paths: Sequence[Path], scale: float | None, digest: str) -> None:
        if not paths:
            raise LMFError("Shards: received no file, one .npy or more is needed.")
        files = [_File(Path(path), scale) for path in paths]
        for file in files[1:]:
            if (file.dtype, file.shape[1:]) != (files[0].dtype, files[0].shape[1:]):
                raise LMFError(
                    f"{file.path}: {file.dtype} rows of shape {file.shape[1:]}, must be {files[0].dtype} of shape "
                    f"{files[0].shape[1:]} as in {files[0].path.name}."
                )
        super().__init__(files, digest)


class _File:
    """A .npy file as a part of a `LazyArray`."""

    def __init__(self, path: Path, scale: float | None) -> None:
        try:
            mapped = np.lib.format.open_memmap(require_content(path), mode="r")
        except DAMAGE as error:
            raise LMFError(
                f"{path}: no .npy file of numbers, or a damaged one ({error}). Copy it again."
            ) from None
        if mapped.dtype.name not in DTYPES or mapped.ndim < 2 or np.isfortran(mapped):
            raise LMFError(
                f"{path}: dtype {mapped.dtype}, shape {mapped.shape}; must be rows (N, …) of {', '.join(DTYPES)}, "
                "C-contiguous."
            )
        needed, size = mapped.offset + mapped.nbytes, path.stat().st_size
        if size != needed:
            raise LMFError(f"{path}: {size} bytes, must be {needed} by its header. Copy it again.")
        self.path, self.shape, self.dtype = path, mapped.shape, mapped.dtype
        self._offset, self._scale = mapped.offset, scale

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        mapped = np.memmap(self.path, self.dtype, "r", self._offset, self.shape)
        values = np.array(mapped[rows], np.float32)
        if self.dtype.kind == "f" and not np.isfinite(values).all():
            bad = ~np.isfinite(values).reshape(len(rows), -1).all(axis=1)
            raise LMFError(f"{self.path}, row {rows[np.argmax(bad)]}: NaN or infinity. Write the file again.")
        return values if self._scale is None else np.divide(values, np.float32(self._scale), out=values)


def write_rows(path: Path, arrays: Iterable[np.ndarray], rows: int, digest: str) -> Shards:
    """Writes arrays of one row shape, one below another, as a float32 .npy file; only one of them is in memory.

    Args:
        path: of the file; its folder is made where it isn't there.
        arrays: (n, …) each.
        rows: that they have together, 1 or more.
        digest: a hash that stands for their numbers.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        for i, array in enumerate(arrays):
            if i == 0:
                header = {"descr": "<f4", "fortran_order": False, "shape": (rows, *array.shape[1:])}
                np.lib.format.write_array_header_1_0(stream, header)
            stream.write(np.ascontiguousarray(array, "<f4").data)
    return Shards([path], None, digest)
