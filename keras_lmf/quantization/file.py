"""The bytes of a file, of a model as `flatbuffer_utils` reads it."""

from __future__ import annotations

from typing import Any


def with_short_names(content: bytes) -> bytes:
    """The float32 file whose tensors are called as those of the files that are made of it."""
    from ai_edge_litert.tools import flatbuffer_utils

    return file_of(flatbuffer_utils.read_model_from_bytearray(content))


def file_of(model: Any) -> bytes:
    """The file, without unused buffers, empty entries and the names of ops that were fused into others.

    Of a small file these are a part that counts: "dense/MatMul;dense/BiasAdd;dense/Relu" is "dense/MatMul".
    """
    from ai_edge_litert.tools import flatbuffer_utils

    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    for tensor in tensors:
        quantization = tensor.quantization
        if quantization is not None and (quantization.scale is None or not len(quantization.scale)):
            tensor.quantization = None
        tensor.name = tensor.name.partition(b";")[0]
    used = {holder.buffer for holder in (*tensors, *(model.metadata or []))}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
    # Reading drops the empty buffers.
    model = flatbuffer_utils.read_model_from_bytearray(flatbuffer_utils.convert_object_to_bytearray(model))
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
