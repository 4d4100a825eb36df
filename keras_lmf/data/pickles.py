"""Read a pickle of arrays and plain containers without running any of it.

Unpickling is a small program that the file brings along, and Python's unpickler lets that program import and call
whatever it names. Here its opcodes are read with `pickletools` and carried out by the few lines below, which know
dicts, lists, tuples, sets, strings, numbers and, by name, the constructors that numpy writes (`CONSTRUCTORS`).
Nothing is ever imported, looked up by attribute or called because a file says so.

Read are the pickles of every numpy from Python 2's to today's, protocols 0–5. Python 2's byte strings become
latin-1 text.
"""

from __future__ import annotations

import ast
import math
import mmap
import pickletools
import re
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_lmf.data.npz import DAMAGE, is_text_or_number
from keras_lmf.errors import LMFError
from keras_lmf.files import require_content

OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
# Opcodes whose argument is the value.
LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
# Opcodes of a few bytes, and about what each takes in memory.
COSTS = {
    **dict.fromkeys(("MARK", "DUP", "GET", "BINGET", "LONG_BINGET"), 16),
    **dict.fromkeys(("EMPTY_LIST", "EMPTY_DICT", "LIST", "DICT", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"), 64),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "SETITEM"), 48),
    **dict.fromkeys(("EMPTY_SET", "FROZENSET"), 224),
}
LONGEST_INTEGER = 64  # bits; numpy has no larger ones, and Python refuses to write very long ones
NEWEST_PROTOCOL = 5
DEEPEST = 32
COMPRESSED = (b"\x1f\x8b", b"PK", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")

DTYPE = re.compile(r"b1|[iu][1248]|f[248]|[SU][1-9][0-9]{0,6}|O[48]?")
NDARRAY = object()  # stands for the class numpy.ndarray, which a pickle only passes on
LONGEST_EMPTY = 2**20  # axis of an array without values, which no file size bounds
SIMPLE = (str, bytes, int, float, type(None), np.generic)
KEY_BITS = 61  # Python hashes whole numbers modulo 2^61 - 1: larger ones can be chosen to collide


def read_pickle(path: str | Path) -> object:
    """The dicts, lists, tuples, sets, strings, numbers and numpy arrays of the pickle file `path`.

    Raises:
        LMFError: the file is missing, damaged or no pickle, or holds anything else; the message names the file and
            what it holds. None of its code is run.
    """
    path = require_content(Path(path))
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            if start.startswith(COMPRESSED):
                raise LMFError("a compressed file or archive, not a pickle. Unpack it first.")
            # Reads from a map stop at its end, whatever length the content declares.
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _resolved(_run(content), _Allowance(len(content)))
    except LMFError as error:
        raise LMFError(f"{path}: {error}") from None
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise LMFError(f"{path}: not a pickle, or a damaged one ({reason}). Copy it again.") from None


class _Allowance:
    """How many bytes a file may become in memory. Many small containers take 16 times their bytes in it."""

    def __init__(self, file_bytes: int) -> None:
        self.left = 16 * file_bytes + 2**22

    def spend_on(self, values: Iterable[object]) -> None:
        for value in values:
            if isinstance(value, str | bytes | bytearray | np.ndarray):
                # An honest pickle holds every byte of its arrays itself, so these count four times.
                self.spend(4 * (value.nbytes if isinstance(value, np.ndarray) else len(value)))
            elif isinstance(value, Sized):
                self.spend(64 + 64 * len(value))

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise LMFError("its content, unfolded, is far larger than the file: refused.")


@dataclass(frozen=True)
class _Constructor:
    """One of CONSTRUCTORS, waiting on the stack for its arguments."""

    build: Callable[..., object]


def _named(module: object, name: object) -> object:
    full = f"{_as_text(module)}.{_as_text(name)}"
    if full == "numpy.ndarray":
        return NDARRAY
    if full not in CONSTRUCTORS:
        raise LMFError(
            f"it asks for {full[:100]!r}, which is refused: a pickle can run code. Only numpy arrays and plain "
            "containers are read; convert the rest with the library that wrote it (tensor.numpy(), frame.to_numpy())."
        )
    return _Constructor(CONSTRUCTORS[full])


def _operations(content: mmap.mmap) -> Iterator[tuple[str, object]]:
    """Name and argument of each opcode up to STOP."""
    while code := content.read(1):
        if code not in OPCODES:
            raise ValueError(f"unknown opcode {code!r} at byte {content.tell() - 1}")
        opcode = OPCODES[code]
        if opcode.name == "STRING":  # Python 2's repr of bytes; pickletools reads ASCII alone
            text = ast.literal_eval("b" + content.readline().decode("latin-1"))
            yield opcode.name, _as_text(text)
        else:
            value = opcode.arg.reader(content) if opcode.arg else None
            if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
                raise LMFError(f"a whole number of more than {LONGEST_INTEGER} bits: refused.")
            yield opcode.name, value
        if opcode.name == "STOP":
            return
    raise ValueError("truncated: it ends before its STOP")


def _run(content: mmap.mmap) -> object:
    """What the program leaves on its stack, arrays still as `PickledArray`."""
    stack: list = []
    marks: list[int] = []
    memo: dict[int, object] = {}
    allowance = _Allowance(len(content))

    def since_mark() -> list:
        start = marks.pop()
        items = stack[start:]
        allowance.spend(16 * len(items))
        del stack[start:]
        return items

    def pairs_since_mark() -> dict:
        items = since_mark()
        allowance.spend(32 * len(items))
        return _as_dict(items[::2], items[1::2])

    def keys_since_mark() -> list:
        items = since_mark()
        allowance.spend(64 * len(items))
        return _as_keys(items)

    for name, argument in _operations(content):
        if name in COSTS:
            allowance.spend(COSTS[name])
        match name:
            case "PROTO":
                if argument > NEWEST_PROTOCOL:
                    raise LMFError(f"pickle protocol {argument}; 0 … {NEWEST_PROTOCOL} are read.")
            case "FRAME":
                continue  # a length, for readers of streams
            case "STOP":
                return stack.pop()
            case "MARK":
                marks.append(len(stack))
            case "POP":
                (marks if marks and marks[-1] == len(stack) else stack).pop()
            case "POP_MARK":
                since_mark()
            case "DUP":
                stack.append(stack[-1])
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "EMPTY_LIST" | "EMPTY_TUPLE" | "EMPTY_DICT" | "EMPTY_SET":
                stack.append({"LIST": list, "TUPLE": tuple, "DICT": dict, "SET": set}[name[6:]]())
            case "LIST":
                stack.append(since_mark())
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                size = int(name[-1])
                if len(stack) < size:
                    raise ValueError("a tuple of more values than there are")
                stack[-size:] = [tuple(stack[-size:])]
            case "DICT":
                stack.append(pairs_since_mark())
            case "FROZENSET":
                stack.append(frozenset(keys_since_mark()))
            case "APPEND":
                value = stack.pop()
                list.append(stack[-1], value)
            case "APPENDS":
                items = since_mark()
                list.extend(stack[-1], items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                dict.update(stack[-1], _as_dict([key], [value]))
            case "SETITEMS":
                pairs = pairs_since_mark()
                dict.update(stack[-1], pairs)
            case "ADDITEMS":
                keys = keys_since_mark()
                set.update(stack[-1], keys)
            case "GLOBAL":
                stack.append(_named(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                function, module = stack.pop(), stack.pop()
                stack.append(_named(module, function))
            case "REDUCE":
                arguments, constructor = stack.pop(), stack.pop()
                if not isinstance(constructor, _Constructor) or not isinstance(arguments, tuple):
                    raise LMFError(f"it calls a {type(constructor).__name__}, which is refused.")
                # The same few bytes of a file may be handed to a constructor again and again.
                allowance.spend_on(arguments)
                stack.append(constructor.build(*arguments))
            case "BUILD":
                state = stack.pop()
                if not isinstance(stack[-1], PickledArray | PickledDtype) or not isinstance(state, tuple):
                    raise LMFError(f"it sets the state of a {type(stack[-1]).__name__}, which is refused.")
                allowance.spend_on(state)
                stack[-1].set_state(state)
            case _ if name in LITERALS:
                stack.append(argument)
            case _:
                raise LMFError(
                    f"the opcode {name}, which is refused: numpy and plain containers don't need it."
                )
    raise AssertionError("_operations ends with STOP or an error")


def _resolved(value: object, allowance: _Allowance, depth: int = 0) -> object:
    """`value` with its arrays in place of `PickledArray`; containers are new ones."""
    allowance.spend(
        224 if isinstance(value, set | frozenset) else 64 if isinstance(value, dict | list | tuple) else 8
    )
    if depth > DEEPEST:
        raise LMFError(f"containers more than {DEEPEST} deep: refused.")
    if isinstance(value, PickledArray):
        value = value.complete()
    if isinstance(value, np.ndarray):
        allowance.spend_on([value])
        return value
    if isinstance(value, (*SIMPLE, bytearray)):
        return value
    if isinstance(value, dict):
        items = value.items()
        return {_resolved(k, allowance, depth + 1): _resolved(v, allowance, depth + 1) for k, v in items}
    for kind in (list, tuple, set, frozenset):
        if type(value) is kind:
            return kind([_resolved(item, allowance, depth + 1) for item in value])
    raise LMFError("it holds a bare function or type, which is refused.")


# -- What numpy writes: dtypes, arrays and scalars of numbers and strings, rebuilt by hand. Each constructor does what
# the function of that name does when numpy's own pickles call it, and refuses every other use. Content and declared
# shape must agree, so a shape can't ask for more memory than the file has bytes.


class PickledDtype:
    """A numpy.dtype that the file is building: `dtype(code, align, copy)`, then its state."""

    def __init__(self, code: object, *options: object) -> None:
        code = _as_text(code)
        if not DTYPE.fullmatch(code) or len(options) > 2:
            raise LMFError(f"an array of dtype {code[:40]!r}; only numbers, booleans and strings are read.")
        self.value = np.dtype(code.rstrip("48") if code[0] == "O" else code)

    def set_state(self, state: tuple) -> None:
        # (version, byte order, subdtype, names, fields, item size, alignment, flags[, metadata])
        if len(state) != 8 or any(part is not None for part in state[2:5]):
            raise LMFError(
                "an array with a structured dtype, or one with metadata; only plain ones are read."
            )
        order = _as_text(state[1])
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
    if not isinstance(shape, tuple) or not all(type(axis) is int and axis >= 0 for axis in shape):
        raise LMFError(f"an array of shape {repr(shape)[:60]}.")
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
    if not isinstance(text, str) or _as_text(encoding).replace("-", "") != "latin1":
        raise LMFError(f"bytes encoded as {encoding!r:.40}.")
    return text.encode("latin-1")


def _as_text(value: object) -> str:
    """A str, or Python 2's or protocol 0's bytes as latin-1 text."""
    if not isinstance(value, str | bytes):
        raise LMFError(f"{type(value).__name__} where numpy writes a string.")
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _as_dict(keys: Iterable[object], values: Iterable[object]) -> dict:
    """The dict of `keys` and as many `values`."""
    return dict(zip(_as_keys(keys), values, strict=True))


def _as_keys(values: Iterable[object]) -> list:
    """`values` that a dict or set may take: of others, the file could choose many with one hash."""
    keys = list(values)
    for key in keys:
        if not isinstance(key, SIMPLE) or (
            isinstance(key, int | np.integer) and int(key).bit_length() > KEY_BITS
        ):
            raise LMFError(
                "a key, or an element of a set, that is neither a string nor a small number: refused."
            )
    return keys


def _ordered(pairs: Iterable[Iterable[object]] = ()) -> dict:
    keys, values = zip(*pairs) if pairs else ((), ())
    return _as_dict(keys, values)


CONSTRUCTORS: dict[str, Callable[..., object]] = {
    "numpy.dtype": PickledDtype,
    "_codecs.encode": _bytes,
    "__builtin__.bytes": _bytes,
    "collections.OrderedDict": _ordered,
    "builtins.set": lambda values=(): set(_as_keys(values)),
    "builtins.frozenset": lambda values=(): frozenset(_as_keys(values)),
    "__builtin__.set": lambda values=(): set(_as_keys(values)),
    "__builtin__.frozenset": lambda values=(): frozenset(_as_keys(values)),
    # numpy 2 renamed its core.
    **{f"{core}.multiarray._reconstruct": PickledArray for core in ("numpy.core", "numpy._core")},
    **{f"{core}.multiarray.scalar": _scalar for core in ("numpy.core", "numpy._core")},
    **{f"{core}.numeric._frombuffer": _from_buffer for core in ("numpy.core", "numpy._core")},
}
