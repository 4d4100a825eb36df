"""What a .tflite file computes: its ops with their real dtypes, the memory that they take, and what a GPU refuses."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from keras_lmf.errors import import_extra

COLUMNS = ["operator", "activations", "weights", "outputs", "count"]
# Op → the newest version that LiteRT's GPU delegate takes, of floating-point numbers of 16 or 32 bits; and the dtypes
# of quantised ops, of which it takes any version. From https://www.tensorflow.org/lite/performance/gpu ("GPU ML
# operations support").
GPU_VERSIONS = dict.fromkeys(
    (
        *("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "EXP", "FULLY_CONNECTED", "LOGICAL_AND", "LOGISTIC"),
        *("MAX_POOL_2D", "MAXIMUM", "MINIMUM", "MUL", "PAD", "PRELU", "RELU", "RELU6", "RESHAPE", "SOFTMAX"),
        *("STRIDED_SLICE", "SUB", "TRANSPOSE_CONV"),
    ),
    1,
) | {"DEPTHWISE_CONV_2D": 2, "LSTM": 2, "RESIZE_BILINEAR": 3}  # fmt: skip
GPU_FLOATS, GPU_QUANTIZED = {"float16", "float32"}, {"int8", "uint8"}


class Operator(NamedTuple):
    """One op of a file.

    Attributes:
        name: the builtin's name, for example "FULLY_CONNECTED".
        activations: dtypes of the inputs that are computed, for example "int8".
        weights: dtypes of the constant inputs as they are stored: "float16" also where a DEQUANTIZE op makes
            float32 of them.
        outputs: dtypes of what it computes.
        scope: name of its first output, "model/layer/Op".
        version: of the builtin.
    """

    name: str
    activations: str
    weights: str
    outputs: str
    scope: str
    version: int = 1


def operators(content: bytes) -> list[Operator]:
    """The ops of a .tflite file, those in the bodies of loops among them, in the file's order."""
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "litert")
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
                    model.operatorCodes[operator.opcodeIndex].version,
                )
            )
    return found


def _dtypes(flatbuffer_utils: Any, graph: Any, indices: Iterable[int]) -> str:
    names = (flatbuffer_utils.type_to_name(graph.tensors[index].type).lower() for index in indices)
    return ", ".join(dict.fromkeys(names))


def table(found: Iterable[Operator]) -> pd.DataFrame:
    """`operators` counted: columns operator, activations, weights, outputs, count."""
    counts = pd.DataFrame([operator[:4] for operator in found], columns=COLUMNS[:-1])
    return counts.groupby(COLUMNS[:-1], sort=False).size().rename("count").reset_index()


def refused_by_gpu(found: Iterable[Operator]) -> list[tuple[str, str, int]]:
    """(op, why, how many) of the ops that LiteRT's GPU delegate does not take by its documentation.

    They run on the processor, and each change between the two costs time.
    """
    return [(name, why, count) for (name, why), count in Counter(_refusals(found)).items()]


def _refusals(found: Iterable[Operator]) -> Iterator[tuple[str, str]]:
    for operator in found:
        dtypes = {*f"{operator.activations}, {operator.outputs}".split(", ")} - {""}
        if (newest := GPU_VERSIONS.get(operator.name)) is None:
            yield operator.name, "not supported"
        elif others := dtypes - GPU_FLOATS - GPU_QUANTIZED:
            yield operator.name, f"not supported in {', '.join(sorted(others))}"
        elif dtypes <= GPU_FLOATS and operator.version > newest:
            yield operator.name, f"version {operator.version}, supported to {newest}"


def activation_bytes(content: bytes) -> int:
    """The most bytes that a file's activations take at once: inputs, and what ops computed and others still need.

    Computed from the shapes in the file, op by op in its order, with the inside of loops at the place of the loop. An
    interpreter's arena holds at least so much.
    """
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "litert")
    model = flatbuffer_utils.read_model_from_bytearray(content)

    @functools.cache
    def peak(index: int) -> int:
        graph = model.subgraphs[index]
        inputs, outputs = ([int(tensor) for tensor in end] for end in (graph.inputs, graph.outputs))
        needed = dict.fromkeys(inputs, 0)  # until which op
        for step, operator in enumerate(graph.operators):
            needed |= {int(tensor): step for tensor in (*operator.inputs, *operator.outputs)}
        needed |= dict.fromkeys(outputs, len(graph.operators))
        sizes = {
            tensor: _size(flatbuffer_utils, graph.tensors[tensor])
            for tensor in needed
            if tensor >= 0 and model.buffers[graph.tensors[tensor].buffer].data is None
        }
        held = {tensor for tensor in inputs if tensor in sizes}
        most = sum(sizes[tensor] for tensor in held)
        for step, operator in enumerate(graph.operators):
            held |= {int(tensor) for tensor in operator.outputs if int(tensor) in sizes}
            inside = max(map(peak, _subgraphs(operator)), default=0)
            most = max(most, sum(sizes[tensor] for tensor in held) + inside)
            held = {tensor for tensor in held if needed[tensor] > step}
        return most

    return peak(0)


def _subgraphs(operator: Any) -> list[int]:
    """Those that a loop or a condition runs."""
    options = vars(operator.builtinOptions) if operator.builtinOptions is not None else {}
    return [number for name, number in options.items() if name.lower().endswith("subgraphindex")]


def _size(flatbuffer_utils: Any, tensor: Any) -> int:
    """Bytes of a tensor of numbers; an axis whose length the file doesn't know counts as 1."""
    try:
        width = np.dtype(flatbuffer_utils.type_to_name(tensor.type).lower()).itemsize
    except TypeError:
        return 0  # handles and text
    return math.prod(max(1, int(length)) for length in ([] if tensor.shape is None else tensor.shape)) * width
