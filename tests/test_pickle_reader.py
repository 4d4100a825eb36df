"""Honest pickles: what Python's own unpickler gives, and the files of older Pythons and numpys."""

from __future__ import annotations

import collections
import pickle
import struct

import numpy as np
import pytest

from keras_lmf.data.pickles import read_pickle
from keras_lmf.errors import LMFError

DRAW = np.random.default_rng(0)
VALUES = {
    "float32": DRAW.normal(size=(3, 4, 2)).astype("float32"),
    "float64": DRAW.normal(size=5),
    "float16": np.array([1.5, -np.inf], "float16"),
    "big-endian": np.arange(6, dtype=">i4").reshape(2, 3),
    "fortran": np.asfortranarray(DRAW.normal(size=(3, 4))),
    "slice": DRAW.normal(size=(6, 4))[::2, 1:],
    "bool": np.array([[True, False]]),
    "uint8": np.arange(5, dtype="u1"),
    "one number": np.array(3.25),
    "empty": np.zeros((0, 3)),
    "words": np.array(["joy", "größe", "😀"]),
    "bytes": np.array([b"03bSn", b"x"]),
    "objects": np.array([["a$_$1", 2, 0.5], [b"b", None, True]], object),
    "scalars": [np.float32(0.1), np.int64(-3), np.bool_(True), np.str_("né"), np.float64(2)],
    "plain": {
        "list": [1, -2, 2**40, 2**64 - 1, -(2**63), 0.1, None, True, "é\n'\"", b"\x00\xff"],
        "tuple": ((), (1,), (1, 2, 3, 4)),
    },
    "sets": [{1, 2}, frozenset({"a"}), set()],
    "ordered": collections.OrderedDict([("b", 1), ("a", [])]),
    "long": ["x" * 70_000, b"y" * 70_000, list(range(3000)), {k: str(k) for k in range(1500)}],
}
VALUES["shared"] = [VALUES["float64"], VALUES["float64"], VALUES["plain"], VALUES["plain"]]


def same(found: object, expected: object) -> None:
    if isinstance(expected, np.ndarray):
        assert isinstance(found, np.ndarray)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            same(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert type(found) is type(expected)
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            same(one, other)
    else:
        assert type(found) is type(expected)
        assert found == expected


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", VALUES)
def test_every_protocol_gives_what_was_written(name: str, protocol: int, tmp_path) -> None:
    (tmp_path / "values.pkl").write_bytes(pickle.dumps(VALUES[name], protocol))
    same(read_pickle(tmp_path / "values.pkl"), VALUES[name])


@pytest.mark.parametrize("protocol", range(6))
def test_numpys_old_and_new_module_names(protocol: int, tmp_path) -> None:
    written = pickle.dumps([VALUES["float32"], VALUES["fortran"], np.float64(0.5)], protocol)
    old, new = b"numpy.core.", b"numpy._core."
    names = {old, new}
    for core in names:
        renamed = written
        for module in (b"multiarray", b"numeric"):
            for now in names:
                # As a line of text, and with its length before it.
                renamed = renamed.replace(b"c" + now + module + b"\n", b"c" + core + module + b"\n")
                renamed = renamed.replace(
                    b"\x8c" + bytes([len(now + module)]) + now + module,
                    b"\x8c" + bytes([len(core + module)]) + core + module,
                )
        assert core in renamed
        assert (names - {core}).pop() not in renamed
        (tmp_path / "renamed.pkl").write_bytes(renamed)
        same(read_pickle(tmp_path / "renamed.pkl"), [VALUES["float32"], VALUES["fortran"], np.float64(0.5)])


# What Python 2.7 and numpy 1.16 write for {'id': 'caf\xe9', 'x': numpy.array([1.5, -2.0])}.
RAW = struct.pack("<2d", 1.5, -2.0)
PYTHON2 = {
    2: b"\x80\x02}q\x00(U\x02idq\x01U\x04caf\xe9q\x02U\x01xq\x03cnumpy.core.multiarray\n_reconstruct\nq\x04"
    b"cnumpy\nndarray\nq\x05K\x00\x85U\x01b\x87Rq\x06(K\x01K\x02\x85cnumpy\ndtype\nq\x07U\x02f8K\x00K\x01\x87R"
    b"q\x08(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10" + RAW + b"tbu.",
    0: b"(dp0\nS'id'\np1\nS'caf\\xe9'\np2\nsS'x'\np3\ncnumpy.core.multiarray\n_reconstruct\np4\n"
    b"(cnumpy\nndarray\np5\n(I0\ntS'b'\np6\ntRp7\n(I1\n(I2\ntcnumpy\ndtype\np8\n(S'f8'\np9\nI0\nI1\ntRp10\n"
    b"(I3\nS'<'\np11\nNNNI-1\nI-1\nI0\ntbI00\nS'"
    + "".join(f"\\x{byte:02x}" for byte in RAW).encode()
    + b"'\np12\ntbs.",
}


MANY = {
    "numbers in lists": [[0.5, 1, 2] for _ in range(50_000)],
    "rows of an id": [[f"video{row}", str(row), str(row + 1)] for row in range(50_000)],
    "tuples": [(row, row + 1) for row in range(50_000)],
    "scalars": [np.float32(row) for row in range(50_000)],
    "one word": ["Positive"] * 200_000,
    "flags": [True, False] * 200_000,
    "a dict": {f"id{row}": row for row in range(50_000)},
    "numbered": {row: [row] for row in range(50_000)},
    "a set": set(range(50_000)),
}


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [0, 4])
@pytest.mark.parametrize("name", MANY)
def test_many_small_values_are_no_bomb(name: str, protocol: int, tmp_path) -> None:
    (tmp_path / "many.pkl").write_bytes(pickle.dumps(MANY[name], protocol))
    assert read_pickle(tmp_path / "many.pkl") == MANY[name]


@pytest.mark.parametrize("protocol", PYTHON2)
def test_python_2_strings_are_latin_1(protocol: int, tmp_path) -> None:
    expected = {"id": "café", "x": np.array([1.5, -2.0])}
    same(pickle.loads(PYTHON2[protocol], encoding="latin1"), expected)
    (tmp_path / "old.pkl").write_bytes(PYTHON2[protocol])
    same(read_pickle(tmp_path / "old.pkl"), expected)


REFUSED = {
    "a class": (collections.Counter("a"), "collections.Counter"),
    "a complex number": (1j, "__builtin__.complex"),
    "complex numbers": (np.zeros(2, complex), "dtype 'c16'"),
    "dates": (np.zeros(2, "datetime64[s]"), "dtype 'M8'"),
    "records": (np.zeros(2, [("a", "f4")]), "dtype 'V4'"),
    "a matrix": (np.matrix([[1.0]]), "numpy.matrix"),
    "arrays in an object array": (np.array([np.zeros(1), np.zeros(2)], object), "object array"),
    "a dtype with metadata": (np.zeros(2, np.dtype("f8", metadata={"a": 1})), "metadata"),
    "defaultdict": (collections.defaultdict(list), "collections.defaultdict"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_what_is_refused_is_named(name: str, tmp_path) -> None:
    value, words = REFUSED[name]
    (tmp_path / "other.pkl").write_bytes(pickle.dumps(value, 2))
    with pytest.raises(LMFError, match=rf"other\.pkl: .*{words}"):
        read_pickle(tmp_path / "other.pkl")
