"""Fields of a protobuf message, from its bytes: without the module of its schema, which need not be installed."""

from __future__ import annotations

from collections.abc import Iterator

Place = tuple[int, int]  # start and end
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5  # wire types


def parts(content: bytes, message: Place, most: int) -> Iterator[tuple[int, Place]]:
    """Number and place of each text, list or message in a message.

    Raises:
        ValueError: a damaged message, or more than `most` fields.
    """
    return ((number, value) for number, kind, value in _fields(content, message, most) if kind == DELIMITED)


def numbers(content: bytes, message: Place, most: int) -> Iterator[tuple[int, int]]:
    """Number and value of each whole number; errors as of `parts`."""
    for number, kind, (start, end) in _fields(content, message, most):
        if kind == VARINT:
            yield number, _varint(content, start, end)[0]


def _fields(content: bytes, message: Place, most: int) -> Iterator[tuple[int, int, Place]]:
    """Number, wire type and place of each field."""
    start, end = message
    entries = 0
    while start < end:
        tag, start = _varint(content, start, end)
        kind = tag & 7
        length = {FIXED64: 8, FIXED32: 4}.get(kind, 0)
        if kind == DELIMITED:
            length, start = _varint(content, start, end)
        elif kind == VARINT:
            length = _varint(content, start, end)[1] - start
        elif not length:
            raise ValueError(f"a field of the kind {kind}")
        if length > end - start or (entries := entries + 1) > most:
            raise ValueError(f"a field of {length} bytes with {end - start} left, or more than {most} fields")
        yield tag >> 3, kind, (start, start + length)
        start += length


def _varint(content: bytes, start: int, end: int) -> tuple[int, int]:
    """A number, and where it ends."""
    number = 0
    for place, byte in enumerate(content[start : min(start + 10, end)]):
        number |= (byte & 127) << 7 * place
        if byte < 128:
            return number, start + place + 1
    raise ValueError("a number that does not end")
