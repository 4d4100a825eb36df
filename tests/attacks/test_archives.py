""".npz archives that lie: headers that are code, shapes without content, members that are pickles or bombs."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from programs import code_that_runs

from keras_lmf.data import Dataset
from keras_lmf.data.npz import read_npz
from keras_lmf.errors import LMFError

ROWS = 4


def member(header: str, content: bytes = b"") -> bytes:
    """An .npy with this header, whatever it says."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def archive(path: Path, **changes: bytes) -> Path:
    """The layout of `Dataset.save` with some members replaced."""
    names = np.array([f"clip{row}" for row in range(ROWS)])
    members = {
        "input/audio": npy(np.ones((ROWS, 2), np.float32)),
        "label": npy(np.zeros(ROWS, np.float32)),
        "group": npy(names),
        "id": npy(names),
        "split": npy(np.full(ROWS, "train")),
        "target": npy(np.array('{"name": "sentiment", "range": [-3, 3]}')),
    }
    members.update({key.replace("__", "/"): content for key, content in changes.items()})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        for key, content in members.items():
            stream.writestr(f"{key}.npy", content)
    return path


def test_the_archive_of_this_test_is_read(tmp_path: Path) -> None:
    assert len(Dataset.load(archive(tmp_path / "whole.npz"))) == ROWS


FLOATS = "{'descr': '<f4', 'fortran_order': False, 'shape': %s}"
MEMBERS = {
    "header is code": member("__import__('os').system('touch CANARY')"),
    "header holds code": member(
        "{'descr': __import__('os').system('touch CANARY'), 'fortran_order': False, 'shape': ()}"
    ),
    "shape without content": member(FLOATS % "(1099511627776,)"),
    "shape beyond integers": member(FLOATS % "(99999999999999999999999,)"),
    "negative shape": member(FLOATS % "(-4,)", b"\0" * 16),
    "shape that is no tuple": member(FLOATS % "'4'", b"\0" * 16),
    "shape of too many axes": member(FLOATS % f"({'1,' * 100})", b"\0" * 4),
    "rows of nothing": member(FLOATS % "(1099511627776, 0)"),
    "header of brackets": member("(" * 9000),
    "dtype unknown": member("{'descr': '<q9', 'fortran_order': False, 'shape': (4,)}", b"\0" * 32),
    "dtype of objects": member(
        "{'descr': '|O', 'fortran_order': False, 'shape': (4,)}", pickle.dumps([None] * 4)
    ),
    "structured": npy(np.zeros(ROWS, [("a", "f4"), ("b", "f4")])),
    "dates": npy(np.zeros(ROWS, "datetime64[s]")),
    "text that is none": member("{'descr': '<U2', 'fortran_order': False, 'shape': (4,)}", b"\xff" * 32),
    "empty member": b"",
}


@pytest.mark.parametrize("key", ["input__audio", "label", "id", "group", "split", "target"])
@pytest.mark.parametrize("name", MEMBERS)
def test_members_that_lie_are_refused(name: str, key: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = archive(tmp_path / "lie.npz", **{key: MEMBERS[name]})
    tracemalloc.start()
    with pytest.raises(LMFError) as caught:
        Dataset.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1
    assert peak < 20e6
    assert not (tmp_path / "CANARY").exists()


@pytest.mark.parametrize("name", list(code_that_runs(b"")))
def test_no_pickle_in_an_archive_runs(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    program = code_that_runs(str(canary).encode())[name]
    objects = member("{'descr': '|O', 'fortran_order': False, 'shape': (4,)}", program)
    for content in (objects, program):
        with pytest.raises(LMFError, match=r"attack\.npz: 'label' is "):
            Dataset.load(archive(tmp_path / "attack.npz", label=content))
    (tmp_path / "renamed.npz").write_bytes(program)
    with pytest.raises(LMFError, match=r"renamed\.npz: not an \.npz archive"):
        Dataset.load(tmp_path / "renamed.npz")
    assert not canary.exists()


def test_names_of_members_write_no_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "slip.npz", "w") as stream:
        stream.writestr("../../escaped.npy", npy(np.zeros(3)))
    with pytest.raises(LMFError, match=r"slip\.npz: key 'label' is missing"):
        Dataset.load(tmp_path / "slip.npz")
    assert not list(tmp_path.parent.glob("escaped*"))


def zeros(path: Path, members: int, megabytes: int, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """An honest archive, but for arrays of nothing but zeros."""
    header = member(FLOATS % f"({megabytes * 2**18},)")
    with zipfile.ZipFile(path, "w", compression) as stream:
        for number in range(members):
            with stream.open(f"input/{number}.npy", "w") as file:
                file.write(header)
                for _ in range(megabytes):
                    file.write(bytes(2**20))
    return path


@pytest.mark.parametrize("members", [1, 8])
def test_an_archive_that_unpacks_to_far_more_is_refused(members: int, tmp_path: Path) -> None:
    path = zeros(tmp_path / "bomb.npz", members, 128 // members)
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    with pytest.raises(LMFError, match=r"bomb\.npz: \d+ bytes that unpack to 134\d+"):
        Dataset.load(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_other_compressions_are_refused(tmp_path: Path) -> None:
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = zeros(tmp_path / "other.npz", 1, 1, compression)
        with pytest.raises(LMFError, match="compressed in a way that numpy doesn't"):
            Dataset.load(path)


def test_arrays_of_zeros_among_data_are_read(tmp_path: Path) -> None:
    path = tmp_path / "padded.npz"
    data, padding = np.random.default_rng(0).normal(size=200_000), np.zeros(10**7, "float32")
    np.savez_compressed(path, data=data, padding=padding)
    assert read_npz(path)["padding"].size == padding.size
    np.savez(path, padding=padding)
    assert read_npz(path)["padding"].size == padding.size
