"""Documents in .tflite files that lie, and files whose bytes changed."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
from documented import DIGITS, KEY, SMALL, described_alone, with_text

from keras_lmf import metadata
from keras_lmf.errors import LMFError
from keras_lmf.runtime import open_artifact
from keras_lmf.sidecar import Document


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    return described_alone(tmp_path)


def test_a_changed_file_is_told(alone: Path) -> None:
    content = alone.read_bytes()
    generator = np.random.default_rng(0)
    mark = content.rindex(b"keras_lmf sha256 ")
    for bit in generator.integers(0, 8 * len(content), 300):
        byte = int(bit) // 8
        changed = bytearray(content)
        changed[byte] ^= 1 << (int(bit) % 8)
        if mark <= byte < len(content) - DIGITS:
            continue  # then it has no hash
        with pytest.raises(LMFError, match="sha256 differs"):
            metadata.require_unchanged(bytes(changed), "it")
    alone.write_bytes(content[:-1] + b"x")
    for call in (Document.of, open_artifact):
        with pytest.raises(LMFError, match="damaged, or was changed"):
            call(alone)


def test_no_offset_leads_astray() -> None:
    """Damage without a hash: an error of ours, or what stands there, and never more than a file may say."""
    content = with_text(SMALL.read_bytes(), b'{"inputs": {}}')
    generator = np.random.default_rng(1)
    found = set()
    places = [*range(0, 400, 4), *generator.integers(0, len(content) - 4, 1000)]
    for place in places:
        for value in (0, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, int(generator.integers(0, len(content)))):
            changed = bytearray(content)
            struct.pack_into("<I", changed, int(place), value)
            try:
                text = metadata.buffer(bytes(changed), KEY.decode(), "it")
                found.add(type(text))
                assert text is None or len(text) <= 2**20
            except LMFError:
                found.add(LMFError)
    assert found == {bytes, type(None), LMFError}
    for length in range(0, len(content), 97):
        with contextlib.suppress(LMFError):
            metadata.buffer(content[:length], KEY.decode(), "it")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff", "not plain JSON"),
        (b"[" * 100000, "not plain JSON"),
        (b" " * (2**20 + 1), "1048577 bytes, allowed 1048576"),
        (b'{"inputs": {}, "inputs": {}}', "'inputs' is there twice"),
        (b'{"inputs": {"audio": {"shape": [1, 8]}}, "temperature": 0}', "temperature"),
        (b'{"inputs": {"audio": {"shape": [1, 9]}, "video": {"shape": [1, 8]}}}', "'audio' has rows of"),
        (b'{"inputs": {"audio": {"shape": [1, 8]}}}', "'video' has rows of"),
        (b'{"inputs": {"audio": {"media": "smell"}}}', "media"),
    ],
)
def test_a_document_that_does_no_harm(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(with_text(SMALL.read_bytes(), text))
    with pytest.raises(LMFError, match=message):
        open_artifact(path)
