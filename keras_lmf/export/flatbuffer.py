"""Changes of a .tflite file: constants that need no bytes, and long products that take less time."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from keras_lmf.errors import import_extra
from keras_lmf.quantization.file import file_of

# A smaller constant takes fewer bytes than the op that makes it.
LEAST_BYTES = 1024
# A shorter product takes no longer than a multiplication and a sum.
LEAST_WIDTH = 1024


def with_fills(content: bytes) -> bytes:
    """The file with FILL ops in place of float32 constants that hold one number over and over and enter a loop.

    A converted LSTM stores the empty array of its outputs that way, 4 · steps · units bytes. Weights stay constants,
    which quantisers and kernels ask for.
    """
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export")
    schema = import_extra("ai_edge_litert.schema_py_generated", "export")
    model = flatbuffer_utils.read_model_from_bytearray(content)
    code, filled = len(model.operatorCodes), False
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
            inputs = [
                _constant(schema, model, graph, array)
                for array in (np.array(tensor.shape, "<i4"), values[:1])
            ]
            graph.tensors[inputs[1]].shape = []  # the value is a scalar
            tensor.buffer = 0
            added.append(_operator(schema, code, "Fill", inputs, index))
        graph.operators = [*added, *graph.operators]
        filled = filled or bool(added)
    if not filled:
        return content
    _add_code(schema, model, "FILL")
    return file_of(model)


def with_sums(content: bytes) -> bytes:
    """The file with MUL, SUM and ADD in place of float32 products of one vector with another, long one.

    Kernels multiply with 8 to 32 vectors at a time, and fill up with zeros where there is one. Quantisers ask for
    FULLY_CONNECTED, so this comes after them.
    """
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export")
    schema = import_extra("ai_edge_litert.schema_py_generated", "export")
    model = flatbuffer_utils.read_model_from_bytearray(content)
    first, changed = len(model.operatorCodes), False
    for graph in model.subgraphs:
        operators = []
        for operator in graph.operators:
            name = flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex)
            if name != "FULLY_CONNECTED" or not _is_long(schema, graph, operator):
                operators.append(operator)
                continue
            changed = True
            taken, weights, bias = operator.inputs
            (given,) = operator.outputs
            product, total = _copied(graph, taken, b"/product"), _copied(graph, given, b"/sum")
            axis = _constant(schema, model, graph, np.array([1], "<i4"))
            operators += [
                _operator(schema, first, "Mul", [taken, weights], product),
                _operator(schema, first + 1, "Reducer", [product, axis], total, keepDims=True),
                _operator(
                    schema,
                    first + 2,
                    "Add",
                    [total, bias],
                    given,
                    fusedActivationFunction=operator.builtinOptions.fusedActivationFunction,
                ),
            ]
        graph.operators = operators
    if not changed:
        return content
    for name in ("MUL", "SUM", "ADD"):
        _add_code(schema, model, name)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _is_long(schema: Any, graph: Any, product: Any) -> bool:
    """Whether it has one number as its answer, a bias, and only float32."""
    if len(product.inputs) != 3 or min(product.inputs) < 0:
        return False
    taken, weights, bias = (graph.tensors[index] for index in product.inputs)
    return (
        {taken.type, weights.type, bias.type} == {schema.TensorType.FLOAT32}
        and list(taken.shape) == list(weights.shape) == [1, weights.shape[-1]]
        and weights.shape[-1] >= LEAST_WIDTH
    )


def _copied(graph: Any, index: int, ending: bytes) -> int:
    """Index of a new tensor like that one, but without its numbers."""
    tensor = copy.copy(graph.tensors[index])
    tensor.buffer, tensor.name = 0, graph.tensors[index].name + ending
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _add_code(schema: Any, model: Any, name: str) -> None:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
    code.version = 1
    model.operatorCodes.append(code)


def _operator(schema: Any, code: int, kind: str, inputs: list[int], output: int, **options: Any) -> Any:
    """A new op with the options of that kind."""
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, inputs, [output]
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{kind}Options")
    operator.builtinOptions = getattr(schema, f"{kind}OptionsT")()
    for name, value in options.items():
        setattr(operator.builtinOptions, name, value)
    return operator


def _constant(schema: Any, model: Any, graph: Any, values: np.ndarray) -> int:
    """Index of a new constant of the graph."""
    tensor = schema.TensorT()
    tensor.name = f"constant/{len(model.buffers)}".encode()  # the quantiser wants names that differ
    tensor.shape = list(values.shape)
    tensor.type = schema.TensorType.INT32 if values.dtype.kind == "i" else schema.TensorType.FLOAT32
    tensor.buffer = len(model.buffers)
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = values.view(np.uint8)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
