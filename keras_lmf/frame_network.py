"""A .tflite file whose pictures come in frames, cut in two: the network of one frame, and the rest.

From one window to the next most frames are the same. Who keeps what the network made of each asks it about new ones
alone. Both halves hold the file's own ops and constants, so that together they compute what the file computes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_lmf.errors import import_extra, unknown_name

PICTURE, FEATURES = "picture", "features"  # names in the halves
WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "RESIZE_BILINEAR"}
ALONG_AXES = {"MEAN", "SUM", "REVERSE_V2"}  # which axes, the second input says
ELEMENTWISE = {
    *("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARE", "SQRT", "RSQRT", "EXP"),
    *("RELU", "RELU6", "LEAKY_RELU", "PRELU", "ELU", "GELU", "HARD_SWISH", "LOGISTIC", "TANH"),
}
POOLED = {"AVERAGE_POOL_2D", "MAX_POOL_2D"}


@dataclass(frozen=True)
class FrameNetwork:
    """The two halves of a file.

    Attributes:
        network: a .tflite file, `picture` (1, height, width, channels) → `features` (1, …).
        rest: a .tflite file with the outputs of the whole one, those of its inputs that are needed still, and
            `features` (frames, …).
        picture: shape of `picture`.
        inputs: shapes of the inputs of `rest`, by name.
    """

    network: bytes
    rest: bytes
    picture: tuple[int, ...]
    inputs: dict[str, tuple[int, ...]]


def frame_network(content: bytes, name: str) -> FrameNetwork | None:
    """The halves of a .tflite file, cut at the last tensor in which each frame stands by itself.

    Args:
        content: of the file; one row at a time.
        name: of its input with pictures.

    Returns:
        None where it can't be cut so: a single picture, no network for each frame, more than one tensor of it that the
        rest takes, or one of integers; more than one signature, or none.

    Raises:
        LMFError: the file has no such input.
    """
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "litert")
    model = flatbuffer_utils.read_model_from_bytearray(content)
    if len(model.signatureDefs or ()) != 1:
        return None
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    inputs, outputs = (
        {tensor.name.decode(): tensor.tensorIndex for tensor in ends}
        for ends in (signature.inputs, signature.outputs)
    )
    if name not in inputs:
        raise unknown_name("input of the .tflite file", name, inputs)
    shapes = [tuple(tensor.shape or ()) for tensor in graph.tensors]
    frames = shapes[inputs[name]][1:]
    kinds = [flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) for operator in graph.operators]
    starts = [
        operator.outputs[0]
        for operator, kind in zip(graph.operators, kinds)
        if kind == "RESHAPE" and operator.inputs[0] == inputs[name] and shapes[operator.outputs[0]] == frames
    ]
    if len(frames) != 4 or frames[0] < 2 or len(starts) != 1:
        return None
    (start,) = starts
    rows, ends = _rows(model, kinds, shapes, start)
    types = [flatbuffer_utils.type_to_name(graph.tensors[index].type) for index in ends]
    if types != ["FLOAT32"] or ends == [start] or FEATURES in inputs:
        return None
    network, rest = copy.deepcopy(model), model
    network.subgraphs = network.subgraphs[:1]  # without loops, which have graphs of their own
    for index in rows:
        tensor = network.subgraphs[0].tensors[index]
        tensor.shape, tensor.shapeSignature = [1, *shapes[index][1:]], None
    _cut(network, {PICTURE: start}, {FEATURES: ends[0]})
    _cut(rest, inputs | {FEATURES: ends[0]}, outputs)
    taken = {tensor.name.decode(): shapes[tensor.tensorIndex] for tensor in rest.signatureDefs[0].inputs}
    contents = (bytes(flatbuffer_utils.convert_object_to_bytearray(half)) for half in (network, rest))
    return FrameNetwork(*contents, (1, *frames[1:]), taken)


def _rows(
    model: Any, kinds: list[str], shapes: list[tuple[int, ...]], start: int
) -> tuple[set[int], list[int]]:
    """The tensors computed from `start` frame by frame, and those of them that other ops take."""
    graph = model.subgraphs[0]
    constants = {
        index for index, tensor in enumerate(graph.tensors) if model.buffers[tensor.buffer].data is not None
    }
    rows, taken = {start}, set(graph.outputs)
    for operator, kind in zip(graph.operators, kinds):
        inputs = {index for index in operator.inputs if index >= 0}  # −1: one that is left out
        if inputs <= constants:  # DEQUANTIZE, of weights of 16 bits
            constants.update(operator.outputs)
        elif inputs <= rows | constants and _by_row(model, operator, kind, shapes, rows):
            rows.update(operator.outputs)
        else:
            taken |= inputs
    return rows, sorted(rows & taken)


def _by_row(model: Any, operator: Any, kind: str, shapes: list[tuple[int, ...]], rows: set[int]) -> bool:
    """Whether the op computes each row of its first axis by itself, all with the same constants."""
    first, *others = operator.inputs
    output = shapes[operator.outputs[0]]
    if output[:1] != shapes[first][:1] and kind not in ELEMENTWISE:
        return False
    if kind in WEIGHTED or kind in POOLED:
        return first in rows and not rows & set(others)
    if kind in ALONG_AXES:
        data = model.buffers[model.subgraphs[0].tensors[others[0]].buffer].data
        return data is not None and 0 not in np.frombuffer(bytes(data), "<i4") % len(shapes[first])
    if kind == "CONCATENATION":
        return {first, *others} <= rows and operator.builtinOptions.axis % len(output) > 0
    if kind not in ELEMENTWISE:
        return False
    ranks = {len(shapes[index]) for index in operator.inputs if index in rows}
    constants = (shapes[index] for index in operator.inputs if index not in rows)
    return ranks == {len(output)} and all(len(shape) < len(output) or shape[0] == 1 for shape in constants)


def _cut(model: Any, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
    """Leaves of the model what leads from these tensors to those."""
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    ends, needed, kept = set(inputs.values()), set(outputs.values()), []
    for operator in reversed(graph.operators):
        if needed & set(operator.outputs) - ends:
            needed.update(operator.inputs)
            kept.append(operator)
    graph.operators = kept[::-1]
    taken = {name: index for name, index in inputs.items() if index in needed}
    for part, told in {"inputs": taken, "outputs": outputs}.items():
        setattr(graph, part, list(told.values()))
        setattr(signature, part, [_entry(signature, name, index) for name, index in told.items()])
    used = {graph.tensors[index].buffer for index in needed if index >= 0}
    used |= {tensor.buffer for other in model.subgraphs[1:] for tensor in other.tensors}
    model.metadata = None
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None


def _entry(signature: Any, name: str, index: int) -> Any:
    """A tensor as a signature names it."""
    entry = copy.copy(signature.outputs[0])
    entry.name, entry.tensorIndex = name.encode(), index
    return entry
