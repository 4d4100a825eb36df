"""What a pickle builds by name: numpy's dtypes, arrays and scalars, bytes and sets, rebuilt by hand.

Each of `CONSTRUCTORS` does what the function of that name does when numpy's or Python's own pickles call it, and
refuses every other use. Content and declared shape must agree, so a shape can't ask for more memory than the file has
bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

import numpy as np

from keras_lmf.data.npz import is_text_or_number
from keras_lmf.errors import LMFError

DTYPE = re.compile(r"b1|[iu][1248]|f[248]|[SU][1-9][0-9]{0,6}|O[48]?")
NDARRAY = object()  # stands for the class numpy.ndarray, which a pickle only passes on
LONGEST_EMPTY = 2**20  # axis of an array without values, which no file size bounds
MOST_AXES, AXIS_BITS = 64, 63  # of numpy's arrays
SIMPLE = (str, bytes, int, float, type(None), np.generic)
NUMBERS = (int, float, np.number, np.bool_)
KEY_BITS = 61  # Python hashes whole numbers modulo 2^61 - 1: larger ones can be chosen to collide
# Numbers as keys of one dict or set: a file can choose them so that they get into each other's way.
MOST_NUMBERS = 10_000


class PickledDtype:
    """A numpy.dtype that the file is building: `dtype(code, align, copy)`, then its state."""

    def __init__(self, code: object, *options: object) -> None:
        code = as_text(code)
        if not DTYPE.fullmatch(code) or len(options) > 2:
            raise LMFError(f"an array of dtype {code[:40]!r}; only numbers, booleans and strings are read.")
        self.value = np.dtype(code.rstrip("48") if code[0] == "O" else code)

    def set_state(self, state: tuple) -> None:
        # (version, byte order, subdtype, names, fields, item size, alignment, flags[, metadata])
        if len(state) != 8 or any(part is not None for part in state[2:5]):
            raise LMFError(
                "an array with a structured dtype, or one with metadata; only plain ones are read."
            )
        order = as_text(state[1])
        if order not in ("<", ">", "=", "|"):
            raise LMFError(f"an array of byte order {order[:40]!r}.")
        if order in ("<", ">"):
            self.value = self.value.newbyteorder(order)


class PickledArray:
    """A numpy.ndarray that the file is building: empty, then its state."""

    def __init__(self, kind: object, shape: object, code: object) -> None:
        if kind is not NDARRAY:
            raise LMFError("an array of a class that is not numpy.ndarray.")
        self.value: np.ndarray | None = None

    def set_state(self, state: tuple) -> None:
        # ([version,] shape, dtype, is in Fortran order, content)
        if len(state) not in (4, 5) or not isinstance(state[-3], PickledDtype):
            raise LMFError("an array whose state is not numpy's.")
        shape, dtype, fortran, content = state[-4:]
        self.value = _filled(content, dtype.value, shape, "F" if fortran else "C")

    def complete(self) -> np.ndarray:
        """The array, once its state is set."""
        if self.value is None:
            raise LMFError("an array without content.")
        return self.value


def _filled(content: object, dtype: np.dtype, shape: tuple, order: str) -> np.ndarray:
    """The array of `shape` that `content` fills exactly; `content` is bytes, or a list for objects."""
    if (
        not isinstance(shape, tuple)
        or len(shape) > MOST_AXES
        or not all(type(axis) is int and axis >= 0 and axis.bit_length() <= AXIS_BITS for axis in shape)
    ):  # what it is instead may take forever to be printed
        raise LMFError(f"an array whose shape is not a tuple of at most {MOST_AXES} whole numbers.")
    if dtype.kind == "O":
        if not isinstance(content, list) or not all(isinstance(value, SIMPLE) for value in content):
            raise LMFError("an object array; only object arrays of strings and numbers are read.")
        flat = np.empty(len(content), object)
        flat[:] = content
    else:
        # Python 2 stored the bytes as its text; np.frombuffer shares the bytes' memory.
        raw = content.encode("latin-1") if isinstance(content, str) else content
        if not isinstance(raw, bytes | bytearray) or len(raw) % dtype.itemsize:
            raise LMFError(f"an array of dtype {dtype} whose content does not fit it.")
        flat = np.frombuffer(raw, dtype)
        if not is_text_or_number(flat):
            raise LMFError("an array of strings whose content is no text.")
    if math.prod(shape) != len(flat) or (not len(flat) and max(shape) > LONGEST_EMPTY):
        raise LMFError(f"an array that declares shape {repr(shape)[:60]} and holds {len(flat)} values.")
    return flat.reshape(shape, order=order)


def _from_buffer(content: object, dtype: object, shape: object, order: object) -> np.ndarray:
    if not isinstance(dtype, PickledDtype):
        raise LMFError("an array whose dtype is not numpy's.")
    return _filled(content, dtype.value, shape, "F" if order == "F" else "C")


def _scalar(dtype: object, content: object = b"") -> np.generic:
    if not isinstance(dtype, PickledDtype) or dtype.value.kind == "O":
        raise LMFError("a numpy scalar that is neither number nor string.")
    return _filled(content, dtype.value, (1,), "C")[0]


def _bytes(text: str = "", encoding: object = "latin1") -> bytes:
    """What protocols 0–2 write for bytes: latin-1 text and how to encode it."""
    name = as_text(encoding)
    if not isinstance(text, str) or name.replace("-", "") != "latin1":
        raise LMFError(f"bytes encoded as {name[:40]!r}.")
    return text.encode("latin-1")


def as_text(value: object) -> str:
    """A str, or Python 2's or protocol 0's bytes as latin-1 text."""
    if not isinstance(value, str | bytes):
        raise LMFError(f"{type(value).__name__} where numpy writes a string.")
    return value.decode("latin-1") if isinstance(value, bytes) else value


def as_dict(keys: Iterable[object], values: Iterable[object], held: int = 0) -> dict:
    """The dict of `keys` and as many `values`, for one that holds so many already."""
    return dict(zip(as_keys(keys, held), values, strict=True))


def as_keys(values: Iterable[object], held: int = 0) -> list:
    """`values` that a dict or set may take that holds so many already: of others, the file could choose many whose
    hashes are slow together.
    """
    keys = list(values)
    for key in keys:
        if not isinstance(key, SIMPLE) or (
            isinstance(key, int | np.integer) and int(key).bit_length() > KEY_BITS
        ):
            raise LMFError(
                "a key, or an element of a set, that is neither a string nor a small number: refused."
            )
    if (
        held + len(keys) > MOST_NUMBERS
        and any(isinstance(key, NUMBERS) for key in keys)
        and not any(keys == list(range(start, start + len(keys))) for start in (held - 1, held, held + 1))
    ):  # which are numbered rows, that nobody chose
        raise LMFError(
            f"a dict or set of more than {MOST_NUMBERS:,} keys, with numbers among them that don't number its rows: "
            "refused."
        )
    return keys


def _ordered(pairs: Iterable[Iterable[object]] = ()) -> dict:
    keys, values = zip(*pairs) if pairs else ((), ())
    return as_dict(keys, values)


def _set(values: Iterable[object] = ()) -> set:
    return set(as_keys(values))


def _frozenset(values: Iterable[object] = ()) -> frozenset:
    return frozenset(as_keys(values))


CONSTRUCTORS: dict[str, Callable[..., object]] = {
    "numpy.dtype": PickledDtype,
    "_codecs.encode": _bytes,
    "__builtin__.bytes": _bytes,
    "collections.OrderedDict": _ordered,
    **{f"{python}.set": _set for python in ("builtins", "__builtin__")},
    **{f"{python}.frozenset": _frozenset for python in ("builtins", "__builtin__")},
    # numpy 2 renamed its core.
    **{f"{core}.multiarray._reconstruct": PickledArray for core in ("numpy.core", "numpy._core")},
    **{f"{core}.multiarray.scalar": _scalar for core in ("numpy.core", "numpy._core")},
    **{f"{core}.numeric._frombuffer": _from_buffer for core in ("numpy.core", "numpy._core")},
}
