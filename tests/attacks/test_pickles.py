"""Hostile pickles: nothing in them runs, nothing outgrows its file, each is one line that names the file."""

from __future__ import annotations

import bz2
import contextlib
import copyreg
import gzip
import io
import lzma
import pickle
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from programs import BOMBS, FORBIDDEN, code_that_runs

from keras_lmf.data import load
from keras_lmf.data.pickles import read_pickle
from keras_lmf.errors import LMFError
from keras_lmf.target import Target

SENTIMENT = Target(name="sentiment", range=(-3, 3))


def refusal(path: Path, content: bytes, reader: Callable = read_pickle) -> str:
    """What reading `content` from `path` is refused for: one line that begins with the file."""
    path.write_bytes(content)
    found = outcome(path, reader)
    assert isinstance(found, str), found
    return found.removeprefix(f"{path}: ")


def outcome(path: Path, reader: Callable = read_pickle) -> object:
    """What `reader` gives; or its error's message, which must be one line that begins with the file."""
    try:
        return reader(path)
    except LMFError as error:
        message = str(error)
    assert message.startswith(f"{path}: ")
    assert message.isprintable(), message
    return message


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


NAMES = list(code_that_runs(b""))


@pytest.mark.parametrize("name", NAMES)
def test_code_runs_in_pythons_unpickler_and_not_in_ours(name: str, canary: Path, tmp_path: Path) -> None:
    program = code_that_runs(str(canary).encode())[name]
    # Ours first: afterwards modules are loaded and caches filled.
    assert "refused" in refusal(tmp_path / "attack.pkl", program)
    refusal(tmp_path / "attack.pkl", program, lambda path: load(path, target=SENTIMENT))
    assert not canary.exists()
    with contextlib.suppress(TypeError, ValueError):  # of what stands around the call
        pickle.loads(program)
    assert canary.exists(), "the attack of this test must work"


AUDIT = """
import sys
from pathlib import Path
from keras_lmf.data.pickles import read_pickle
from keras_lmf.errors import LMFError

def read(path):
    try:
        read_pickle(path)
    except LMFError as error:
        return str(error)

folder, events, refused = Path(sys.argv[1]), set(), 0
read(folder / "absent.pkl")
paths = sorted(folder.glob("*.pkl"))
sys.addaudithook(lambda event, arguments: events.add(event))
for path in paths:
    refused += read(path) is not None
print(refused, sorted(events))
"""


def test_the_interpreter_sees_nothing_but_opened_files(tmp_path: Path, canary: Path) -> None:
    """Python's audit hooks report every import, compilation, call of the system and find_class."""
    programs = [
        *code_that_runs(str(canary).encode()).values(),
        *(program for program, _ in FORBIDDEN.values()),
    ]
    for number, program in enumerate(programs):
        (tmp_path / f"{number}.pkl").write_bytes(program)
    result = subprocess.run(
        [sys.executable, "-c", AUDIT, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert result.stdout == f"{len(programs)} ['mmap.__new__', 'open']\n", result.stderr
    assert not canary.exists()


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_no_data_file_needs_is_refused_by_name(name: str, tmp_path: Path) -> None:
    program, words = FORBIDDEN[name]
    assert words in refusal(tmp_path / "odd.pkl", program)


def test_a_registered_extension_is_refused_even_when_cached(tmp_path: Path, canary: Path) -> None:
    copyreg.add_extension("posix", "system", 0xF0)
    try:
        program = (
            b"\x82\xf0(" + b"X" + len(f"touch {canary}").to_bytes(4, "little") + f"touch {canary}tR.".encode()
        )
        pickle.loads(program)  # works, and fills the interpreter's cache of extensions
        assert canary.exists()
        canary.unlink()
        assert "EXT1" in refusal(tmp_path / "extension.pkl", program)
        assert not canary.exists()
    finally:
        copyreg.remove_extension("posix", "system", 0xF0)
        copyreg.clear_extension_cache()


def test_as_many_numbers_as_a_corpus_has_keys_are_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.pkl"
    for content in (
        {0.25 * frame: frame for frame in range(9_999)},
        dict.fromkeys(map(str, range(20_000))),
        dict.fromkeys(range(1, 20_001)),
        {"name": "of a corpus"} | dict.fromkeys(range(20_000)),
    ):
        path.write_bytes(pickle.dumps(content))
        assert read_pickle(path) == content


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_stay_small(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.pkl"
    tracemalloc.start()
    start = time.process_time()
    refusal(path, BOMBS[name])
    seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
    assert seconds < 20


def whole(protocol: int) -> bytes:
    draw = np.random.default_rng(0)
    splits = {
        name: {
            "vision": draw.normal(size=(2, 3, 2)).astype("float32"),
            "audio": draw.normal(size=(2, 2)),
            "labels": draw.uniform(-3, 3, (2, 1, 1)),
            "id": [f"{name}é$_$1", f"{name}é$_$2"],
        }
        for name in ("train", "test")
    }
    return pickle.dumps(splits, protocol)


@pytest.mark.parametrize("protocol", range(6))
def test_every_truncation_is_refused(protocol: int, tmp_path: Path) -> None:
    content, path = whole(protocol), tmp_path / "cut.pkl"
    path.write_bytes(content)
    assert len(load(path, target=SENTIMENT)) == 4
    for size in [*range(0, len(content), 5), len(content) - 1]:
        refusal(path, content[:size], lambda path: load(path, target=SENTIMENT))


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_damaged_byte_is_refused_or_gives_a_dataset(protocol: int, tmp_path: Path) -> None:
    content, path, refused = whole(protocol), tmp_path / "damaged.pkl", 0
    draw = np.random.default_rng(protocol)
    for place in draw.integers(len(content), size=400):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(draw.integers(8))
        path.write_bytes(damaged)
        found = outcome(path, lambda path: load(path, target=SENTIMENT))
        refused += isinstance(found, str)
    assert refused > 80


@pytest.mark.parametrize("seed", range(4))
def test_random_programs_are_refused(seed: int, tmp_path: Path) -> None:
    draw, path = np.random.default_rng(seed), tmp_path / "random.pkl"
    codes = np.frombuffer(
        b"()]}.0N12IKMJX\x8c\x8d\x8e\x93\x94abcdeghijlopqrstuR\x81\x85\x86\x87\x88\x89\x8f\x90\x91\n\x01 ",
        "u1",
    )
    for _ in range(300):
        path.write_bytes(draw.choice(codes, size=30).tobytes())
        found = outcome(path)
        assert isinstance(found, dict | list | tuple | set | frozenset | str | bytes | int | float | None)


def compressed(pack: str) -> bytes:
    if pack == "zip":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("data.pkl", whole(4))
        return stream.getvalue()
    return {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[pack](whole(4))


@pytest.mark.parametrize("pack", ["gzip", "bz2", "xz", "zip"])
def test_compressed_files_are_named(pack: str, tmp_path: Path) -> None:
    assert "compressed" in refusal(tmp_path / "packed.pkl", compressed(pack))


@pytest.mark.parametrize(
    "content", [b"\n", b"\0" * 100, b"{'train': {}}", b"\x89HDF\r\n\x1a\n", b"\xff" * 64]
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    assert "not a pickle" in refusal(tmp_path / "other.pkl", content)


def test_missing_empty_and_folders(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "a folder"), (tmp_path / "absent.pkl", "no such file")):
        with pytest.raises(LMFError, match=words):
            read_pickle(path)
    assert "empty" in refusal(tmp_path / "empty.pkl", b"")
