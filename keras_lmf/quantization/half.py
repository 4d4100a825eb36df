"""Weights stored as float16."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from keras_lmf.quantization.file import file_of

# Below this, a float16 constant's own entry and its DEQUANTIZE op take more bytes than it saves.
LEAST_ELEMENTS = 64
# Ops whose constants are weights. Those of other ops (means of a standardisation, for one) keep their digits.
WEIGHTED = {
    *("FULLY_CONNECTED", "BATCH_MATMUL", "GATHER", "EMBEDDING_LOOKUP"),
    *("CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"),
}
WITH_FLOAT16 = 3  # the first version of DEQUANTIZE that takes it


def float16(content: bytes) -> bytes:
    """Weights stored as float16; DEQUANTIZE ops make float32 of them when the file is opened."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(content)
    names = [flatbuffer_utils.opcode_to_name(model, code) for code in range(len(model.operatorCodes))]
    for graph in model.subgraphs:
        users: dict[int, set[str | None]] = {}
        for operator in graph.operators:
            for index in operator.inputs:
                users.setdefault(index, set()).add(names[operator.opcodeIndex])
        added = []
        for index, tensor in enumerate(list(graph.tensors)):
            data = model.buffers[tensor.buffer].data
            if tensor.type != schema.TensorType.FLOAT32 or data is None or index not in users:
                continue
            values = np.frombuffer(bytes(data), "<f4")
            if not users[index] <= WEIGHTED or values.size < LEAST_ELEMENTS or beyond_float16(values):
                continue
            added.append(in_half(model, graph, index, values))
        graph.operators = [*added, *graph.operators]
    return file_of(model)


def in_half(model: Any, graph: Any, index: int, values: np.ndarray) -> Any:
    """A new op that makes constant `index` of the graph out of `values`, which are stored as float16."""
    from ai_edge_litert import schema_py_generated as schema

    tensor = graph.tensors[index]
    stored = copy.copy(tensor)
    stored.type, stored.buffer = schema.TensorType.FLOAT16, len(model.buffers)
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = values.astype("<f2").view(np.uint8)
    tensor.buffer, tensor.name = 0, b""  # the name stays with the constant
    operator = schema.OperatorT()
    operator.opcodeIndex = _dequantize_code(model)
    operator.inputs, operator.outputs = [len(graph.tensors)], [index]
    graph.tensors.append(stored)
    return operator


def _dequantize_code(model: Any) -> int:
    """Index of the model's entry for DEQUANTIZE of float16, made where there is none."""
    from ai_edge_litert import schema_py_generated as schema

    dequantize = schema.BuiltinOperator.DEQUANTIZE
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == dequantize:
            code.version = max(code.version, WITH_FLOAT16)
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = dequantize
    code.version = WITH_FLOAT16
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def beyond_float16(values: np.ndarray) -> bool:
    """Whether any is too large for it."""
    return bool(np.abs(values).max() > np.finfo(np.float16).max)
