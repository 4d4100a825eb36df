"""A .tflite file of LSTMs as TensorFlow Lite's op UNIDIRECTIONAL_SEQUENCE_LSTM, which its converter no longer writes.

The op keeps its states between two calls. Here a ZEROS_LIKE op writes into each before the LSTM runs, so that each call
starts a new clip, whatever the program does. (LiteRT was seen to do so, with and without XNNPACK; no
documentation says it.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

Builtin = schema.BuiltinOperator
LSTM, ZEROS, REVERSE = Builtin.UNIDIRECTIONAL_SEQUENCE_LSTM, Builtin.ZEROS_LIKE, Builtin.REVERSE_V2
LAST, BESIDE = Builtin.STRIDED_SLICE, Builtin.CONCATENATION


class _File:
    """A file with one graph, to which ops are added."""

    def __init__(self) -> None:
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.subgraphs, self.model.operatorCodes = 3, [self.graph], []
        self.model.buffers = [schema.BufferT()]
        self.graph.tensors, self.graph.operators = [], []

    def tensor(
        self, shape: Sequence[int], values: np.ndarray | None = None, scale: float | None = None
    ) -> int:
        """Index of a new tensor: float32, or a constant as the values are."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = f"t{len(self.graph.tensors)}".encode(), list(shape), 0
        names = {"float32": "FLOAT32", "int8": "INT8", "int32": "INT32"}
        tensor.type = getattr(schema.TensorType, names["float32" if values is None else values.dtype.name])
        if values is not None:
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(schema.BufferT())
            self.model.buffers[-1].data = np.ascontiguousarray(values).view(np.uint8).ravel()
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [0]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def op(
        self, code: int, inputs: Sequence[int], outputs: Sequence[int], version: int = 1, **options: Any
    ) -> None:
        entry = schema.OperatorCodeT()
        entry.builtinCode = entry.deprecatedBuiltinCode = code
        entry.version = version
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = (
            len(self.model.operatorCodes),
            inputs,
            outputs,
        )
        self.model.operatorCodes.append(entry)
        kind = {
            LSTM: "UnidirectionalSequenceLSTMOptions",
            ZEROS: "ZerosLikeOptions",
            REVERSE: "ReverseV2Options",
            LAST: "StridedSliceOptions",
            BESIDE: "ConcatenationOptions",
        }[code]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        operator.builtinOptions = getattr(schema, f"{kind}T")()
        for name, value in options.items():
            setattr(operator.builtinOptions, name, value)
        self.graph.operators.append(operator)

    def weights(self, matrix: np.ndarray, int8: bool) -> list[int]:
        """The four gates' parts of a kernel (width, 4 · units), each (units, width); int8 has one scale a part."""
        found = []
        for part in np.split(np.asarray(matrix).T, 4):
            scale = float(np.abs(part).max()) / 127 if int8 else None
            values = np.round(part / scale).astype(np.int8) if int8 else part
            found.append(self.tensor(part.shape, values, scale))
        return found

    def reversed(self, index: int) -> int:
        shape = self.graph.tensors[index].shape
        output = self.tensor(shape)
        self.op(REVERSE, [index, self.tensor([1], np.array([1], np.int32))], [output])
        return output

    def lstm(self, layer: keras.layers.LSTM, index: int, int8: bool) -> int:
        """The layer's outputs in the order of time, or its last; its inputs are tensor `index`."""
        index = self.reversed(index) if layer.go_backwards else index
        steps = self.graph.tensors[index].shape[1]
        kernel, recurrent, bias = layer.get_weights()
        biases = [self.tensor(part.shape, part) for part in np.split(bias, 4)]
        states = [self.tensor([layer.units]) for _ in range(2)]
        for state in states:
            self.graph.tensors[state].isVariable = True
            self.op(ZEROS, [biases[0]], [state])
        inputs = [index, *self.weights(kernel, int8), *self.weights(recurrent, int8), -1, -1, -1, *biases]
        outputs = self.tensor([1, steps, layer.units])
        options = {
            "fusedActivationFunction": schema.ActivationFunctionType.TANH,
            "asymmetricQuantizeInputs": int8,
        }
        self.op(LSTM, [*inputs, -1, -1, *states, -1, -1, -1, -1], [outputs], 3 if int8 else 1, **options)
        if layer.return_sequences:
            return self.reversed(outputs) if layer.go_backwards else outputs
        last = self.tensor([1, layer.units])
        slices = [
            np.array(values, np.int32) for values in ([0, steps - 1, 0], [1, steps, layer.units], [1, 1, 1])
        ]
        self.op(LAST, [outputs, *(self.tensor([3], values) for values in slices)], [last], shrinkAxisMask=2)
        return last


def written(
    layer: keras.layers.LSTM | keras.layers.Bidirectional, shape: Sequence[int], int8: bool = False
) -> bytes:
    """The file of one layer for one row of (steps, width): input `x`, output `y`."""
    file = _File()
    inputs = file.tensor([1, *shape])
    if isinstance(layer, keras.layers.Bidirectional):
        both = [file.lstm(half, inputs, int8) for half in (layer.forward_layer, layer.backward_layer)]
        (rows, steps, units) = file.graph.tensors[both[0]].shape
        output = file.tensor([rows, steps, 2 * units])
        file.op(BESIDE, both, [output], axis=2)
    else:
        output = file.lstm(layer, inputs, int8)
    file.graph.inputs, file.graph.outputs = [inputs], [output]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    for name, index, ends in (("x", inputs, "inputs"), ("y", output, "outputs")):
        end = schema.TensorMapT()
        end.name, end.tensorIndex = name.encode(), index
        setattr(signature, ends, [end])
    file.model.signatureDefs = [signature]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(file.model))
