"""Float32 TFLite to ONNX: a script that runs in a process of its own, as the converter imports TensorFlow.

`onnx.py` starts it through `process.py` as `python -P convert_onnx.py TFLITE OUTPUT FAILURE`. OUTPUT and FAILURE are as
in `convert.py`: FAILURE lists the TensorFlow Lite ops that the converter can't express in ONNX.
"""

from __future__ import annotations

import copy
import logging
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_lmf import failures

OPSET = 18
INT64 = 7  # of ONNX's types
SIGNATURE = b"serving_default"
WAY_OUT = (
    "The converter to ONNX, tf2onnx, has nothing for this. Express these layers with other keras.ops functions, or "
    "export to 'tflite'."
)


class Unsupported(Exception):
    """The ops, [op, name scope of the op], that are none of ONNX."""


def convert(content: bytes) -> bytes:
    """The ONNX model that computes what the float32 .tflite file does.

    Raises:
        Unsupported: it has ops for which ONNX has nothing.
    """
    import onnx
    import tf2onnx

    # What it can't convert stays in the model, and is told below.
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "model.tflite")
        path.write_bytes(_prepared(content))
        handlers = {"TFL_GELU": (_gelu, []), "TFL_DYNAMIC_UPDATE_SLICE": (_updated_row, [])}
        model, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET, custom_op_handlers=handlers)
    for graph in _graphs(model.graph):
        if graph is not model.graph:
            # Of a loop's states, behind its counter and its condition, the converter says a wrong shape where another
            # loop gave them. They need none.
            for end in (*graph.input[2:], *graph.output[1:]):
                end.type.tensor_type.ClearField("shape")
    nodes = [node for graph in _graphs(model.graph) for node in graph.node]
    if unknown := [
        [node.op_type.removeprefix("TFL_"), node.name] for node in nodes if not onnx.defs.has(node.op_type)
    ]:
        raise Unsupported(unknown)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _prepared(content: bytes) -> bytes:
    """The same file, as the converter needs it.

    Its input and output tensors are called as its signature does: ONNX has no other names for them. What a product
    with a bias takes is a matrix: of other shapes the converter loses the bias.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(content)
    (signature,) = (part for part in model.signatureDefs if part.signatureKey == SIGNATURE)
    for end in (*signature.inputs, *signature.outputs):
        model.subgraphs[signature.subgraphIndex].tensors[end.tensorIndex].name = end.name
    reshape = schema.OperatorCodeT()
    reshape.builtinCode = reshape.deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    reshape.version = 1
    model.operatorCodes.append(reshape)
    for graph in model.subgraphs:
        operators = []
        for operator in graph.operators:
            name = flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex)
            if name == "FULLY_CONNECTED" and not operator.builtinOptions.keepNumDims:
                taken = graph.tensors[operator.inputs[0]]
                if len(taken.shape) != 2:
                    operators.append(_as_matrix(schema, graph, operator, len(model.operatorCodes) - 1))
            operators.append(operator)
        graph.operators = operators
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _as_matrix(schema: Any, graph: Any, product: Any, opcode: int) -> Any:
    """A new op of this code, RESHAPE, that gives the product its input as a matrix."""
    taken, weights = (graph.tensors[index] for index in product.inputs[:2])
    width = int(weights.shape[1])
    matrix = copy.copy(taken)
    matrix.name, matrix.buffer, matrix.shapeSignature = taken.name + b"/matrix", 0, None
    matrix.shape = [math.prod(map(int, taken.shape)) // width, width]
    operator = schema.OperatorT()
    operator.opcodeIndex = opcode
    operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    operator.builtinOptions = schema.ReshapeOptionsT()
    operator.builtinOptions.newShape = matrix.shape
    operator.inputs, operator.outputs = [product.inputs[0]], [len(graph.tensors)]
    graph.tensors.append(matrix)
    product.inputs[0] = operator.outputs[0]
    return operator


def _graphs(graph: Any) -> Iterator[Any]:
    """The graph, those in its loops, and so on."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _gelu(graph: Any, node: Any, name: str, arguments: list[Any]) -> None:
    """TensorFlow Lite's GELU, which the converter does not know: x/2 · (1 + erf(x/√2)), or its approximation by tanh.

    Hendrycks and Gimpel 2016, section 2.
    """
    from tf2onnx import utils

    def constant(value: float) -> str:
        return graph.make_const(utils.make_name(f"{name}/constant"), np.float32(value)).output[0]

    def made(op: str, *inputs: str, **options: Any) -> str:
        return graph.make_node(op, list(inputs), name=utils.make_name(f"{name}/{op}"), **options).output[0]

    (x,), output = node.input, node.output[0]
    if node.get_attr_value("approximate"):
        cube = made("Mul", made("Mul", made("Mul", x, x), x), constant(0.044715))
        curve = made("Tanh", made("Mul", made("Add", x, cube), constant(math.sqrt(2 / math.pi))))
    else:
        curve = made("Erf", made("Mul", x, constant(math.sqrt(1 / 2))))
    half = made("Mul", x, constant(0.5))
    shape, dtype = graph.get_shape(output), graph.get_dtype(output)
    graph.remove_node(node.name)
    share = made("Add", curve, constant(1))
    made("Mul", half, share, outputs=[output], shapes=[shape], dtypes=[dtype])


def _updated_row(graph: Any, node: Any, name: str, arguments: list[Any]) -> None:
    """TensorFlow Lite's DYNAMIC_UPDATE_SLICE, which the converter does not know, where it sets one row (n, …).

    By it a loop keeps its outputs. Of other parts of a tensor it stays, and is told as unknown.
    """
    from tf2onnx import utils

    (rows, row, start), output = node.input, node.output[0]
    if graph.get_shape(row) != [1, *graph.get_shape(rows)[1:]]:
        return
    shape, dtype = graph.get_shape(output), graph.get_dtype(output)
    graph.remove_node(node.name)
    first = graph.make_const(utils.make_name(f"{name}/first"), np.zeros((1, 1), "int64")).output[0]
    place = graph.make_node("Gather", [start, first], name=utils.make_name(f"{name}/Gather")).output[0]
    index = graph.make_node("Cast", [place], attr={"to": INT64}, name=utils.make_name(f"{name}/Cast"))
    inputs = [rows, index.output[0], row]
    graph.make_node("ScatterND", inputs, outputs=[output], shapes=[shape], dtypes=[dtype])


def main(tflite: str, output: str, failure: str) -> int:
    try:
        content = convert(Path(tflite).read_bytes())
    except Unsupported as error:
        return failures.tell(failure, WAY_OUT, error.args[0])
    except Exception as error:
        return failures.tell(failure, error)
    Path(output).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.modules["keras"] = sys.modules["jax"] = None  # as in `convert.py`
    sys.exit(main(*sys.argv[1:]))
