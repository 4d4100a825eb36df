"""What a .tflite file is made of: every op with the real dtypes of its tensors, and constants that need no bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from keras_lmf.errors import import_extra

COLUMNS = ["operator", "activations", "weights", "outputs", "count"]


# A smaller constant takes fewer bytes than the op that makes it.
LEAST_BYTES = 1024


class Operator(NamedTuple):
    """One op of a file.

    Attributes:
        name: the builtin's name, for example "FULLY_CONNECTED".
        activations: dtypes of the inputs that are computed, for example "int8".
        weights: dtypes of the constant inputs as they are stored: "float16" also where a DEQUANTIZE op makes
            float32 of them.
        outputs: dtypes of what it computes.
        scope: name of its first output, "model/layer/Op".
    """

    name: str
    activations: str
    weights: str
    outputs: str
    scope: str


def operators(content: bytes) -> list[Operator]:
    """The ops of a .tflite file, those in the bodies of loops among them, in the file's order."""
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export")
    model = flatbuffer_utils.read_model_from_bytearray(content)
    found = []
    for graph in model.subgraphs:
        stored = {
            index: flatbuffer_utils.type_to_name(tensor.type).lower()
            for index, tensor in enumerate(graph.tensors)
            if model.buffers[tensor.buffer].data is not None
        }
        for operator in graph.operators:
            name = flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex)
            inputs = [index for index in operator.inputs if index >= 0]  # −1: an input that is left out
            if name == "DEQUANTIZE" and inputs[0] in stored:
                stored[operator.outputs[0]] = stored[inputs[0]]
            computed = [index for index in inputs if index not in stored]
            found.append(
                Operator(
                    name or "CUSTOM",
                    _dtypes(flatbuffer_utils, graph, computed),
                    ", ".join(dict.fromkeys(stored[index] for index in inputs if index in stored)),
                    _dtypes(flatbuffer_utils, graph, operator.outputs),
                    graph.tensors[operator.outputs[0]].name.decode() if operator.outputs else "",
                )
            )
    return found


def _dtypes(flatbuffer_utils: Any, graph: Any, indices: Iterable[int]) -> str:
    names = (flatbuffer_utils.type_to_name(graph.tensors[index].type).lower() for index in indices)
    return ", ".join(dict.fromkeys(names))


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
    tensor.name = f"fill/{len(graph.tensors)}".encode()  # the quantiser wants names that differ
    tensor.shape = list(values.shape)
    tensor.type = schema.TensorType.INT32 if values.dtype.kind == "i" else schema.TensorType.FLOAT32
    tensor.buffer = len(model.buffers)
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = values.view(np.uint8)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def table(found: Iterable[Operator]) -> pd.DataFrame:
    """`operators` counted: columns operator, activations, weights, outputs, count."""
    counts = pd.DataFrame([operator[:-1] for operator in found], columns=COLUMNS[:-1])
    return counts.groupby(COLUMNS[:-1], sort=False).size().rename("count").reset_index()
