"""The bytes of a file, of a model as `flatbuffer_utils` reads it."""

from __future__ import annotations

from typing import Any


def file_of(model: Any) -> bytes:
    """The file, without the numbers of tensors that have others now."""
    from ai_edge_litert.tools import flatbuffer_utils

    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
