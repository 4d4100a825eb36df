"""What a .tflite file is made of, read from its bytes: every op with the real dtypes of its tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

from keras_lmf.errors import import_extra

COLUMNS = ["operator", "activations", "weights", "outputs", "count"]


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


def table(found: Iterable[Operator]) -> pd.DataFrame:
    """`operators` counted: columns operator, activations, weights, outputs, count."""
    counts = pd.DataFrame([operator[:-1] for operator in found], columns=COLUMNS[:-1])
    return counts.groupby(COLUMNS[:-1], sort=False).size().rename("count").reset_index()
