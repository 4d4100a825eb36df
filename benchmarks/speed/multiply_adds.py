"""Multiply-adds of a .tflite file, counted from its ops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from keras_lmf.errors import LMFError, import_extra

# What multiplies matrices, or hides it, and has no formula here.
UNKNOWN = (
    "CONV_3D_TRANSPOSE",
    "CUSTOM",
    "RFFT2D",
    "TRANSPOSE_CONV",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "STABLEHLO_WHILE",
)


def multiply_adds(content: bytes) -> int:
    """Multiply-adds of the matrix products and convolutions of one call.

    A loop's body counts as often as it runs, which the profiler of TensorFlow doesn't know: it counts an LSTM's step
    once. Elementwise ops are left out. A spectral layer counts as it is computed: products with constant matrices.

    Args:
        content: of a float32 file for one row, as `export_model` writes it.

    Raises:
        LMFError: an op that can't be counted, or a loop without a fixed number of steps.
    """
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export")
    return _Counter(flatbuffer_utils, flatbuffer_utils.read_model_from_bytearray(content)).graph(0)


class _Counter:
    def __init__(self, flatbuffer_utils: Any, model: Any) -> None:
        self._utils = flatbuffer_utils
        self._model = model

    def graph(self, index: int) -> int:
        graph = self._model.subgraphs[index]
        return sum(self._operator(graph, operator) for operator in graph.operators)

    def _name(self, operator: Any) -> str:
        return self._utils.opcode_to_name(self._model, operator.opcodeIndex) or "CUSTOM"

    def _operator(self, graph: Any, operator: Any) -> int:
        name = self._name(operator)
        shapes = [list(graph.tensors[index].shape) for index in operator.inputs if index >= 0]
        made = math.prod(int(width) for width in graph.tensors[operator.outputs[0]].shape)
        match name:
            case "FULLY_CONNECTED":  # weights (units, width)
                return made * int(shapes[1][-1])
            case "CONV_2D":  # kernel (filters, height, width, channels)
                return made * math.prod(map(int, shapes[1][1:]))
            case "CONV_3D":  # kernel (frames, height, width, channels, filters)
                return made * math.prod(map(int, shapes[1][:4]))
            case "DEPTHWISE_CONV_2D":  # kernel (1, height, width, channels)
                return made * math.prod(map(int, shapes[1][1:3]))
            case "BATCH_MATMUL":
                return made * int(shapes[0][-2 if operator.builtinOptions.adjX else -1])
            case "WHILE":
                return self._steps(graph, operator) * self.graph(operator.builtinOptions.bodySubgraphIndex)
        if name in UNKNOWN:
            raise LMFError(f"The multiply-adds of the op {name} can't be counted here.")
        return 0

    def _steps(self, graph: Any, loop: Any) -> int:
        """How often a loop runs that goes on while counters, which start at 0 and go up by 1, are less than limits."""
        condition = self._model.subgraphs[loop.builtinOptions.condSubgraphIndex]
        outer = dict(zip(map(int, condition.inputs), map(int, loop.inputs)))
        limits = []
        for operator in condition.operators:
            if self._name(operator) != "LESS":
                continue
            counter, limit = map(int, operator.inputs)
            start, end = (self._number(condition, index, graph, outer) for index in (counter, limit))
            if start == 0 and end is not None:
                limits.append(end)
        if not limits:
            raise LMFError("A loop of the file has no fixed number of steps, so it can't be counted.")
        return min(limits)

    def _number(self, condition: Any, index: int, graph: Any, outer: dict[int, int]) -> int | None:
        """A constant of the condition, or of the graph around the loop."""
        if index in outer:
            condition, index = graph, outer[index]
        data = self._model.buffers[condition.tensors[index].buffer].data
        return None if data is None else int(np.frombuffer(bytes(data), "<i4")[0])
