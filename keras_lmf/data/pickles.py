"""Read a pickle of arrays and plain containers without running any of it.

Unpickling is a small program that the file brings along, and Python's unpickler lets that program import and call
whatever it names. Here its opcodes are read with `pickletools` and carried out by the few lines below, which know
dicts, lists, tuples, sets, strings, numbers and, by name, the constructors that numpy writes (`pickled_values`).
Nothing is ever imported, looked up by attribute or called because a file says so.

Read are the pickles of every numpy from Python 2's to today's, protocols 0–5. Python 2's byte strings become
latin-1 text.
"""

from __future__ import annotations

import ast
import mmap
import pickletools
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_lmf.data.npz import DAMAGE
from keras_lmf.data.pickled_values import (
    CONSTRUCTORS,
    NDARRAY,
    SIMPLE,
    PickledArray,
    PickledDtype,
    as_dict,
    as_keys,
    as_text,
)
from keras_lmf.errors import LMFError
from keras_lmf.files import require_content

OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
# Opcodes whose argument is the value.
LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": set}
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
    full = f"{as_text(module)}.{as_text(name)}"
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
            yield opcode.name, as_text(text)
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

    def pairs(items: list, held: int = 0) -> dict:
        allowance.spend(32 * len(items))
        return as_dict(items[::2], items[1::2], held)

    def keys(items: list, held: int = 0) -> list:
        allowance.spend(64 * len(items))
        return as_keys(items, held)

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
            case _ if name in CONSTANTS:
                stack.append(CONSTANTS[name])
            case _ if name in EMPTY:
                stack.append(EMPTY[name]())
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
                stack.append(pairs(since_mark()))
            case "FROZENSET":
                stack.append(frozenset(keys(since_mark())))
            case "APPEND":
                value = stack.pop()
                list.append(stack[-1], value)
            case "APPENDS":
                items = since_mark()
                list.extend(stack[-1], items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                dict.update(stack[-1], as_dict([key], [value], len(stack[-1])))
            case "SETITEMS":
                items = since_mark()
                dict.update(stack[-1], pairs(items, len(stack[-1])))
            case "ADDITEMS":
                items = since_mark()
                set.update(stack[-1], keys(items, len(stack[-1])))
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
