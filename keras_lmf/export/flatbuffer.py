"""Changes of a .tflite file: constants that need no bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_lmf.errors import import_extra

# A smaller constant takes fewer bytes than the op that makes it.
LEAST_BYTES = 1024


def with_fills(content: bytes) -> bytes:
    """The file with FILL ops in place of float32 constants that hold one number over and over and enter a loop.

    A converted LSTM stores the empty array of its outputs that way, 4 · steps · units bytes. Weights stay constants,
    which quantisers and kernels ask for.
    """
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export")
    schema = import_extra("ai_edge_litert.schema_py_generated", "export")
    model = flatbuffer_utils.read_model_from_bytearray(content)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FILL
    code.version = 1
    filled = False
    for graph in model.subgraphs:
        added = []
        users: dict[int, set[str | None]] = {}
        for operator in graph.operators:
            for index in operator.inputs:
                users.setdefault(index, set()).add(
                    flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex)
                )
        for index, tensor in enumerate(list(graph.tensors)):
            data = model.buffers[tensor.buffer].data
            if tensor.type != schema.TensorType.FLOAT32 or data is None or len(data) < LEAST_BYTES:
                continue
            values = np.frombuffer(bytes(data), "<f4")
            if users.get(index) != {"WHILE"} or not (values.view("<u4") == values.view("<u4")[0]).all():
                continue
            operator = schema.OperatorT()
            operator.opcodeIndex = len(model.operatorCodes)
            operator.builtinOptionsType = schema.BuiltinOptions.FillOptions
            operator.builtinOptions = schema.FillOptionsT()
            operator.inputs = [
                _constant(schema, model, graph, array)
                for array in (np.array(tensor.shape, "<i4"), values[:1])
            ]
            graph.tensors[operator.inputs[1]].shape = []  # the value is a scalar
            operator.outputs = [index]
            tensor.buffer = 0
            added.append(operator)
        graph.operators = [*added, *graph.operators]
        filled = filled or bool(added)
    if not filled:
        return content
    model.operatorCodes.append(code)
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _constant(schema: Any, model: Any, graph: Any, values: np.ndarray) -> int:
    """Index of a new constant of the graph."""
    tensor = schema.TensorT()
    tensor.name = f"fill/{len(model.buffers)}".encode()  # the quantiser wants names that differ
    tensor.shape = list(values.shape)
    tensor.type = schema.TensorType.INT32 if values.dtype.kind == "i" else schema.TensorType.FLOAT32
    tensor.buffer = len(model.buffers)
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = values.view(np.uint8)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
