"""What a .tflite or .onnx file holds beside its computation: named texts, and at its end a hash of all before it.

A few fields are read here from the bytes: LiteRT's interpreter does not tell them, and its module of the whole schema
takes longer to import than a file takes to open. Onnxruntime tells them of a model that it has opened only.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

from keras_lmf import protobuf
from keras_lmf.errors import LMFError
from keras_lmf.spec import MAX_TEXT_BYTES

IDENTIFIER = b"TFL3"  # bytes 4 to 7 of every .tflite file
# The file ends with this and 64 hexadecimal digits, the SHA-256 of what is before them. In a .tflite file it is the
# comment of the zip archive with the labels: a tool that rewrites the file, a quantiser for example, drops both. In an
# .onnx file it is the last property.
SEAL = b"keras_lmf sha256 "
DIGITS = 64
MOST_ENTRIES = 1000
# Places of fields in the tables of TensorFlow Lite's schema.fbs.
MODEL_BUFFERS, MODEL_METADATA, METADATA_NAME, METADATA_BUFFER, BUFFER_DATA = 12, 16, 4, 6, 4
# Numbers of fields in the messages of ONNX's onnx.proto.
PROPERTIES, PROPERTY_KEY, PROPERTY_VALUE = 14, 1, 2


def sealed(content: bytes) -> bytes:
    """The file with its hash in the place of the 64 bytes at its end, which follow `SEAL`."""
    return content[:-DIGITS] + _digest(content)


def require_unchanged(content: bytes, where: str) -> None:
    """Refuses a file whose hash at its end is another's; one without a hash passes."""
    if content[-DIGITS - len(SEAL) : -DIGITS] == SEAL and content[-DIGITS:] != _digest(content):
        raise LMFError(f"{where} is damaged, or was changed: its sha256 differs. Copy it again.")


def buffer(content: bytes, name: str, where: str) -> bytes | None:
    """The metadata of that name; None without it.

    Args:
        content: of the file.
        name: of the metadata.
        where: the file, as errors call it.

    Raises:
        LMFError: metadata of more than 1 MiB or 1000 entries, or a damaged file.
    """
    if content[4:8] != IDENTIFIER:
        return None  # what is wrong with it, LiteRT says
    try:
        model = _follow(content, 0)
        for entry in _tables(content, _field(content, model, MODEL_METADATA)):
            if _bytes(content, _field(content, entry, METADATA_NAME)) != name.encode():
                continue
            at = _field(content, entry, METADATA_BUFFER)
            index = _number(content, "<I", at) if at else 0
            buffers, count = _vector(content, _field(content, model, MODEL_BUFFERS))
            if index >= count:
                raise ValueError(f"it names buffer {index} of {count}")
            stored = _follow(content, buffers + 4 * index)
            return _bytes(content, _field(content, stored, BUFFER_DATA))
    except (ValueError, struct.error) as error:
        raise _unreadable(where, error) from None
    return None


def onnx_property(content: bytes, name: str, where: str) -> bytes | None:
    """The property of that name of an .onnx file; None without it. Arguments and errors as of `buffer`."""
    try:
        for number, place in protobuf.parts(content, (0, len(content)), MOST_ENTRIES):
            if number != PROPERTIES:
                continue
            entry = dict(protobuf.parts(content, place, MOST_ENTRIES))
            key, value = (entry.get(part, (0, 0)) for part in (PROPERTY_KEY, PROPERTY_VALUE))
            if content[slice(*key)] != name.encode():
                continue
            if value[1] - value[0] > MAX_TEXT_BYTES:
                raise ValueError(f"{value[1] - value[0]} bytes, allowed {MAX_TEXT_BYTES}")
            return content[slice(*value)]
    except ValueError as error:
        raise _unreadable(where, error) from None
    return None


def _unreadable(where: str, error: Exception) -> LMFError:
    return LMFError(
        f"The metadata of {where} can't be read, it may be damaged or cut off: {error}. Copy the file again."
    )


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(memoryview(content)[:-DIGITS]).hexdigest().encode()


def _number(content: bytes, code: str, position: int) -> int:
    if position < 0:  # Python would count from the end
        raise ValueError(f"an offset to {position}")
    return struct.unpack_from(code, content, position)[0]


def _follow(content: bytes, position: int) -> int:
    """What the offset at `position` leads to."""
    return position + _number(content, "<I", position)


def _field(content: bytes, table: int, place: int) -> int | None:
    """Where a table has its field; None: it has none."""
    fields = table - _number(content, "<i", table)
    offset = _number(content, "<H", fields + place) if place < _number(content, "<H", fields) else 0
    return table + offset if offset else None


def _vector(content: bytes, field: int | None) -> tuple[int, int]:
    """Start and length of the vector in a field."""
    if field is None:
        return 0, 0
    start = _follow(content, field)
    return start + 4, _number(content, "<I", start)


def _tables(content: bytes, field: int | None) -> Iterator[int]:
    """The tables in the vector of a field."""
    start, count = _vector(content, field)
    if count > MOST_ENTRIES:
        raise ValueError(f"{count} entries, allowed {MOST_ENTRIES}")
    for position in range(start, start + 4 * count, 4):
        yield _follow(content, position)


def _bytes(content: bytes, field: int | None) -> bytes:
    start, length = _vector(content, field)
    if length > min(MAX_TEXT_BYTES, len(content) - start):
        raise ValueError(f"{length} bytes, allowed {MAX_TEXT_BYTES} and no more than the file has")
    return content[start : start + length]
