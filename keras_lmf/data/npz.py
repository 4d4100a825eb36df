"""Read an .npz or .npy of plain arrays; nothing in it is ever unpickled."""

from __future__ import annotations

import math
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_lmf.errors import LMFError, missing_name
from keras_lmf.files import require_content

# What damaged, encrypted, oversized or hostile content raises, in numpy, zipfile and the reader of pickles.
DAMAGE = (
    *(ValueError, TypeError, LookupError, ArithmeticError, EOFError, MemoryError, OSError),
    *(RuntimeError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
# Real corpora unpack to 1–3 times their size, padded sequences to some 30 times; deflate can do 1000.
MAX_EXPANSION, FREE_BYTES = 100, 2**26

HEADERS = {
    b"\x93NUMPY\x01\x00": np.lib.format.read_array_header_1_0,
    b"\x93NUMPY\x02\x00": np.lib.format.read_array_header_2_0,
}


def read_npz(path: str | Path, needed: Iterable[str] = (), most: float = math.inf) -> dict[str, np.ndarray]:
    """Every array of the file, by key, in the file's order.

    Args:
        path: of the file.
        needed: keys that must be there.
        most: bytes to which it may unpack.

    Raises:
        LMFError: the file is missing, empty, damaged or no .npz, unpacks to more than `most` or than 64 MiB + 100
            times its size, lacks a key that is `needed`, or one of its arrays is damaged or an object array. An
            object array is a pickle; its code is not run.
    """
    path = require_content(Path(path))
    try:
        if not zipfile.is_zipfile(path):
            raise LMFError(
                f"{path}: not an .npz archive, or a truncated one ({path.stat().st_size} bytes). "
                "Write it with numpy.savez_compressed, or copy it again."
            )
        with np.load(path, allow_pickle=False) as archive:
            _check_expansion(path, archive.zip, most)
            arrays = {key: _read_array(path, archive, key) for key in archive.files}
    except LMFError:
        raise
    except DAMAGE as error:
        raise LMFError(f"{path}: unreadable .npz archive ({error}). Copy or write it again.") from error
    for key in needed:
        if key not in arrays:
            raise LMFError(f"{path}: {missing_name('key', key, arrays)}")
    return arrays


def read_npy(path: str | Path) -> np.ndarray:
    """The array of a .npy file.

    Raises:
        LMFError: the file is missing, damaged, no .npy or an object array, whose code is not run.
    """
    path = require_content(Path(path))
    try:
        with path.open("rb") as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
    except DAMAGE as error:
        raise LMFError(
            f"{path}: no .npy file of numbers, or a damaged one ({error}). Copy it again."
        ) from None
    return array


def _read_array(path: Path, archive: np.lib.npyio.NpzFile, key: str) -> np.ndarray:
    try:
        _check_size(archive.zip, f"{key}.npy")
        array = archive[key]
    except DAMAGE as error:
        if "allow_pickle" in str(error):
            raise LMFError(
                f"{path}: {key!r} is an object array, that is a pickle, and pickles can run code. "
                "Store numbers or fixed-width strings (array.astype(float) or array.astype(str))."
            ) from None
        raise LMFError(f"{path}: {key!r} is damaged ({error}). Copy or write the file again.") from error
    if not isinstance(array, np.ndarray):  # numpy hands out the raw bytes of a member that is no .npy
        raise LMFError(f"{path}: {key!r} is not a numpy array. Write the file with numpy.savez_compressed.")
    if not is_text_or_number(array):
        raise LMFError(
            f"{path}: {key!r} is damaged (strings that are no text). Copy or write the file again."
        )
    return array


def _check_expansion(path: Path, archive: zipfile.ZipFile, most: float) -> None:
    """Zipfile reads no more of a member than it declares."""
    members, size = archive.infolist(), path.stat().st_size
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise LMFError(
            f"{path}: compressed in a way that numpy doesn't. Write it with numpy.savez_compressed."
        )
    unpacked = sum(member.file_size for member in members)
    if unpacked > most:
        raise LMFError(f"{path}: unpacks to {unpacked} bytes; such a file may have {most:.0f}.")
    if unpacked > FREE_BYTES + MAX_EXPANSION * size:
        raise LMFError(
            f"{path}: {size} bytes that unpack to {unpacked}, which no recorded data do: refused. If they are yours, "
            "write them with numpy.savez, uncompressed."
        )


def _check_size(archive: zipfile.ZipFile, member: str) -> None:
    """Raise ValueError if the member's header declares more than it holds: numpy makes room for that first."""
    if member not in archive.namelist():
        return
    with archive.open(member) as stream:
        start = stream.read(np.lib.format.MAGIC_LEN)
        read_header = HEADERS.get(start)
        if read_header:
            shape, _, dtype = read_header(stream)
            declared, held = math.prod(shape) * dtype.itemsize, archive.getinfo(member).file_size
            if declared > held and not dtype.hasobject:
                raise ValueError(f"it declares {declared} bytes and holds {held}")


def is_text_or_number(array: np.ndarray) -> bool:
    """Whether every character of a string array is one; Python fails on others wherever it meets them."""
    if array.dtype.kind != "U":
        return True
    codes = (
        np.ascontiguousarray(array).reshape(-1).view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    )
    return not (codes > sys.maxunicode).any()
