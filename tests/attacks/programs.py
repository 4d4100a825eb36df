"""Pickles assembled by hand: each would do something when unpickled, or cost more than it looks."""

from __future__ import annotations

import struct

RECONSTRUCT = b"cnumpy._core.multiarray\n_reconstruct\n"
NDARRAY = b"cnumpy\nndarray\n"
EMPTY_ARRAY = RECONSTRUCT + b"(" + NDARRAY + b"K\0\x85C\x01btR"


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def dtype(
    code: bytes, state: bytes = b"(K\x03" + text(b"<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
) -> bytes:
    return b"cnumpy\ndtype\n(" + text(code) + b"\x89\x88tR" + state


def array(code: bytes, shape: bytes, content: bytes) -> bytes:
    """An array of the dtype `code` that declares `shape` (a program) and holds `content` (a program)."""
    return EMPTY_ARRAY + b"(K\x01" + shape + dtype(code) + b"\x89" + content + b"tb"


def call(module: bytes, name: bytes, arguments: bytes) -> bytes:
    """`module.name(*arguments)` the oldest way: GLOBAL, then REDUCE."""
    return b"c" + module + b"\n" + name + b"\n(" + arguments + b"tR"


def code_that_runs(canary: bytes) -> dict[str, bytes]:
    """Programs that create the file `canary` when Python's own unpickler runs them."""
    touch = text(b"touch " + canary)
    code = text(b"open(%r, 'w').close()" % canary.decode())
    system = call(b"posix", b"system", touch)
    module = call(b"builtins", b"__import__", text(b"os"))
    return {
        "os.system": system + b".",
        "STACK_GLOBAL": b"\x80\x04" + text(b"posix") + text(b"system") + b"\x93(" + touch + b"tR.",
        "INST": b"(" + touch + b"iposix\nsystem\n.",
        "OBJ": b"(cposix\nsystem\n" + touch + b"o.",
        "eval": call(b"builtins", b"eval", code) + b".",
        "exec": call(b"builtins", b"exec", code) + b".",
        "python 2's eval": call(b"__builtin__", b"eval", code) + b".",
        "open": call(b"builtins", b"open", text(canary) + text(b"w")) + b".",
        "dotted name": b"\x80\x04" + text(b"builtins") + text(b"eval.__call__") + b"\x93(" + code + b"tR.",
        "getattr chain": call(b"builtins", b"getattr", module + text(b"system")) + b"(" + touch + b"tR.",
        "functools.partial": call(b"functools", b"partial", b"cposix\nsystem\n") + b"(" + touch + b"tR.",
        "map": call(b"builtins", b"list", call(b"builtins", b"map", b"cposix\nsystem\n](" + touch + b"e"))
        + b".",
        "inside the labels": b"}" + text(b"train") + b"}" + text(b"labels") + system + b"ss.",
        "as a key": b"}" + system + b"Ns.",
        "then forgotten": system + b"0}.",
        "as an array's class": RECONSTRUCT + b"(" + system + b"K\0\x85C\x01btR.",
        "as an array's content": EMPTY_ARRAY
        + b"(K\x01K\x01\x85"
        + dtype(b"O8", b"")
        + b"\x89]("
        + system
        + b"etb.",
        "as a dtype's metadata": dtype(
            b"f8",
            b"(K\x04"
            + text(b"<")
            + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0}("
            + text(b"a")
            + system
            + b"utb",
        )
        + b".",
        "in numpy": call(b"numpy.f2py.crackfortran", b"myeval", code) + b".",
    }


# Programs that call, name or change what no data file needs. What each is refused for is the last word of the pair.
FORBIDDEN: dict[str, tuple[bytes, str]] = {
    "persistent id": (b"Pfile:///etc/passwd\n.", "PERSID"),
    "binary persistent id": (b"K\x01Q.", "BINPERSID"),
    "extension 1": (b"\x82\xf0.", "EXT1"),
    "extension 2": (b"\x83\xf0\x00.", "EXT2"),
    "extension 4": (b"\x84\xf0\x00\x00\x00.", "EXT4"),
    "new object": (NDARRAY + b"K\x01\x85\x81.", "NEWOBJ"),
    "new object with keywords": (NDARRAY + b"K\x01\x85}\x92.", "NEWOBJ_EX"),
    "out-of-band buffer": (b"\x80\x05\x97.", "NEXT_BUFFER"),
    "state of a function": (RECONSTRUCT + b"}" + text(b"__code__") + b"Nsb.", "state of a _Constructor"),
    "state of a class": (NDARRAY + b"}" + text(b"__setstate__") + b"Nsb.", "state of a object"),
    "state of a dict": (b"}}" + text(b"__class__") + b"Nsb.", "state of a dict"),
    "slot state of an array": (EMPTY_ARRAY + b"N}" + text(b"dtype") + b"Ns\x86b.", "state is not numpy's"),
    "dict state of an array": (EMPTY_ARRAY + b"}" + text(b"shape") + b"Nsb.", "state of a PickledArray"),
    "call of data": (text(b"eval") + b"(tR.", "calls a str"),
    "call of an array": (EMPTY_ARRAY + b"(tR.", "calls a PickledArray"),
    "call of the class": (NDARRAY + b"(K\x05\x85tR.", "calls a object"),
    "bare function": (RECONSTRUCT + b".", "bare function"),
    "bare class in a list": (b"](" + NDARRAY + b"e.", "bare function"),
    "copyreg": (call(b"copyreg", b"_reconstructor", NDARRAY * 2 + b"N") + b".", "copyreg._reconstructor"),
    "copy_reg": (call(b"copy_reg", b"_reconstructor", NDARRAY * 2 + b"N") + b".", "copy_reg._reconstructor"),
    "ndarray's setstate": (
        b"\x80\x04" + text(b"numpy") + text(b"ndarray.__setstate__") + b"\x93.",
        "ndarray.__setstate__",
    ),
    "name with a line break": (b"\x80\x04" + text(b"os\nx") + text(b"a\r\n\x1b[2Jb") + b"\x93.", r"os\nx"),
    "name that is a number": (b"\x80\x04K\x01K\x02\x93.", "where numpy writes a string"),
    "subclass of ndarray": (RECONSTRUCT + b"(cnumpy\nmatrix\nK\0\x85C\x01btR.", "numpy.matrix"),
    "dtype of a class": (b"cnumpy\ndtype\n(cnumpy\nmatrix\ntR.", "numpy.matrix"),
    "void dtype": (dtype(b"V8") + b".", "dtype 'V8'"),
    "dtype by name": (dtype(b"f8,O") + b".", "dtype 'f8,O'"),
    "array without content": (EMPTY_ARRAY + b".", "without content"),
    "protocol 6": (b"\x80\x06N.", "protocol 6"),
}
LONG_NUMBER = b"\x8b" + struct.pack("<I", 3000) + b"\x7f" * 3000  # more digits than Python writes
FORBIDDEN |= {
    "long number": (LONG_NUMBER + b".", "more than 64 bits"),
    "long number as a split": (b"}" + LONG_NUMBER + b"}s.", "more than 64 bits"),
    "long number as a field": (b"}" + text(b"train") + b"}" + LONG_NUMBER + b"Nss.", "more than 64 bits"),
    "long number as an id": (
        b"}" + text(b"train") + b"}" + text(b"id") + b"](" + LONG_NUMBER + b"ess.",
        "more than 64 bits",
    ),
    "number of 65 bits": (b"\x8a\x09" + bytes(8) + b"\x01.", "more than 64 bits"),
    "key of 62 bits": (b"}\x8a\x08" + bytes(7) + b"\x20Ns.", "a key"),
    "tuple as a key": (b"})Ns.", "a key"),
}
SHARED = b"](" + b"K\0" * 10 + b"e" + b"".join(b"q%c](" % k + b"h%c" % k * 10 + b"e" for k in range(12))
HUGE = b"\x8a\x06" + b"\xff" * 5 + b"\0"  # 2^40 - 1
COLLIDING = [b"\x8a\x0a" + (k * (2**61 - 1)).to_bytes(10, "little") for k in range(50_000)]  # of one hash
MANY = [
    b"J" + struct.pack("<i", k << 16) for k in range(20_000)
]  # as many can be chosen that a dict is slow with them
BOMBS: dict[str, bytes] = {
    "half a million sets": b"(" + b"\x8f" * 500_000 + b"l.",
    "half a million dicts": b"(" + b"}" * 500_000 + b"l.",
    "half a million lists": b"(" + b"]" * 500_000 + b"l.",
    "half a million tuples": b"](" + b")\x85" * 500_000 + b"e.",
    "half a million marks": b"(" * 500_000 + b".",
    "half a million memos": b"N" + b"\x94" * 500_000 + b".",
    "one set, often": b"\x8fq\0](" + b"h\0" * 300_000 + b"e.",
    "one dict's keys, often": b"]("
    + b"".join(b"M" + struct.pack("<H", k) + b"q%c" % k for k in range(200))
    + b"e]("
    + (b"}(" + b"".join(b"h%cN" % k for k in range(200)) + b"u") * 1500
    + b"e.",
    "keys of one hash": b"}(" + b"N".join(COLLIDING) + b"Nu.",
    "elements of one hash": b"\x8f(" + b"".join(COLLIDING) + b"\x90.",
    "elements of one hash, called": call(b"builtins", b"set", b"](" + b"".join(COLLIDING) + b"e") + b".",
    **{
        f"numbers as keys, {how}": begin + separator.join(MANY) + end
        for how, begin, separator, end in (
            ("at once", b"}(", b"N", b"Nu."),
            ("one by one", b"}", b"Ns", b"Ns."),
            ("as elements", b"\x8f(", b"", b"\x90."),
        )
    },
    "shape that is 2^60 tuples": array(b"f8", b")" + b"2\x86" * 60, b"C\0") + b".",
    "encoding that is 2^60 tuples": call(b"_codecs", b"encode", b"K\0)" + b"2\x86" * 60) + b".",
    "shape of 100 000 long axes": array(
        b"f8", b"(\x8a\x08" + b"\xff" * 7 + b"\x7fq\1" + b"h\1" * 100_000 + b"t", b"C\0"
    )
    + b".",
    "tuple as a key, 100 000 deep": b"})" + b"\x85" * 100_000 + b"Ns.",
    "tuple as a key, 2^60 wide": b"})" + b"2\x86" * 60 + b"Ns.",
    "frozenset as a key": b"}(\x91Ns.",
    "array as a key": b"}" + EMPTY_ARRAY + b"Ns.",
    "bytes of 2^62": b"\x8e" + struct.pack("<Q", 2**62) + b"x.",
    "bytes of 30 GB": b"\x8e" + struct.pack("<Q", 30 * 2**30) + b"x.",
    "bytearray of 30 GB": b"\x96" + struct.pack("<Q", 30 * 2**30) + b"x.",
    "text of 2^62": b"\x8d" + struct.pack("<Q", 2**62) + b"x.",
    "text of 4 GB": b"X\xff\xff\xff\xffx.",
    "long of 2 GB": b"\x8b\xff\xff\xff\x7fx.",
    "long of negative size": b"\x8b\xff\xff\xff\xffx.",
    "frame of 2^62": b"\x80\x04\x95" + struct.pack("<Q", 2**62),
    "memo index 2^32": b"Nr\xff\xff\xff\xff",
    "digits": b"I" + b"9" * 100_000 + b"\n.",
    "shape of 2^40": array(b"f8", HUGE + b"\x85", b"C\x08" + b"x" * 8) + b".",
    "no values, 2^40 rows": array(b"f8", HUGE + b"K\0\x86", b"C\0") + b".",
    "values of no width": array(b"S0", HUGE + b"\x85", b"C\0") + b".",
    "strings of no width": array(b"U0", HUGE + b"\x85", b"C\0") + b".",
    "negative shape": array(b"f8", b"J\xff\xff\xff\xff\x85", b"C\x08" + b"x" * 8) + b".",
    "objects of 2^40": array(b"O8", HUGE + b"\x85", b"](Ne") + b".",
    "lists of one list": SHARED + b".",
    "list in itself": b"]q\0h\0a.",
    "lists 100 000 deep": b"]" * 100_000 + b"a" * 99_999 + b".",
    "tuples 100 000 deep": b")" + b"\x85" * 100_000 + b".",
    "one array, often": array(b"f8", b"M\xa0\x0f\x85", b"B" + struct.pack("<I", 32000) + b"x" * 32000)
    + b"q\0]("
    + b"h\0" * 10_000
    + b"e.",
    "one text encoded, often": text(b"x" * 100_000)
    + b"q\0]("
    + b"c_codecs\nencode\nh\0\x85R" * 10_000
    + b"e.",
    "one list made a dict, often": b"]("
    + b"".join(b"M" + struct.pack("<H", k) + b"N\x86" for k in range(10_000))
    + b"eq\0]("
    + b"ccollections\nOrderedDict\nh\0\x85R" * 10_000
    + b"e.",
    "one content for many arrays": b"B"
    + struct.pack("<I", 80_000)
    + b"x" * 80_000
    + b"q\0"
    + dtype(b"f8")
    + b"q\1]("
    + b"cnumpy._core.numeric\n_frombuffer\n(h\0h\1M\x10\x27\x85X\1\0\0\0CtR" * 10_000
    + b"e.",
}
