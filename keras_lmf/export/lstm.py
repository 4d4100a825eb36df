"""LSTMs as TensorFlow Lite's own op, UNIDIRECTIONAL_SEQUENCE_LSTM, where the converter would write a loop.

While a model is traced, each LSTM is a call that the converter keeps as one custom op (`as_one_op`). In the file that
comes out of it, the custom ops are replaced by the builtin one (`with_lstms`). The builtin op keeps its state from call
to call. A file answers about each row by itself, so a first step is put before the sequence that closes all gates: it
leaves the state at zero, whatever it was.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lmf.backend import nested_layers
from keras_lmf.errors import import_extra

if TYPE_CHECKING:
    import keras

OP, LSTM = "keras_lmf.LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"
GATES = 4
# What the input and output gates are moved by in the first step: the recurrent weights can't make up for it.
CLOSED = 1e4


@contextlib.contextmanager
def as_one_op(model: keras.Model) -> Iterator[None]:
    """Within it, each LSTM of the model that the op can stand for is traced as one call, for one row."""
    layers = [layer for layer in nested_layers(model) if _fits(layer)]
    try:
        for number, layer in enumerate(layers):
            # The op's name is all that is kept of where it comes from.
            layer.call = _call_of(layer, f"{OP}/{layer.name}/{number}")
        yield
    finally:
        for layer in layers:
            del layer.call


def _fits(layer: keras.Layer) -> bool:
    """Whether the op computes what the layer does."""
    import keras

    if not isinstance(layer, keras.layers.LSTM) or not layer.built:
        return False
    activations = layer.activation, layer.recurrent_activation
    return (
        activations == (keras.activations.tanh, keras.activations.sigmoid)
        and layer.compute_dtype == "float32"
        and not (layer.stateful or layer.return_state or layer.unroll)
    )


def _call_of(layer: keras.layers.LSTM, op: str) -> Callable[..., Any]:
    tf = import_extra("tensorflow", "tf")
    own = type(layer).call

    def call(sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        if initial_state is not None or training or None in sequences.shape:
            return own(layer, sequences, initial_state=initial_state, mask=mask, training=training)
        if layer.go_backwards:
            sequences = tf.reverse(sequences, [1])
            mask = None if mask is None else tf.reverse(mask, [1])
        if mask is None:
            steps = _states(tf, layer, op, sequences)
            return steps if layer.return_sequences else steps[:, -1]
        # Keras leaves masked steps out: the state after them is that before them. So the others come one after the
        # other, and each step is given the state of the last one that was not left out; zeros before the first.
        count = tf.cumsum(tf.cast(mask[0], tf.int32))
        length, width = sequences.shape[1:]
        places = tf.where(mask[0], count - 1, length)
        close = tf.scatter_nd(places[:, None], sequences[0], [length + 1, width])[:length]
        steps = tf.pad(_states(tf, layer, op, close[None])[0], [[1, 0], [0, 0]])
        if not layer.return_sequences:
            return tf.gather(steps, count[-1:])
        found = tf.gather(steps, count)[None]
        return tf.where(mask[..., None], found, 0.0) if layer.zero_output_for_mask else found

    return call


def _states(tf: Any, layer: keras.layers.LSTM, op: str, sequences: Any) -> Any:
    """(1, steps, units) of (1, steps, width), from a state of zeros."""
    width, units = sequences.shape[-1], layer.units
    bias = layer.cell.bias if layer.use_bias else tf.zeros(GATES * units)

    fusable = f'name: {json.dumps(op)} attr {{ key: "tfl_fusable_op" value {{ b: true }} }}'

    @tf.function(experimental_implements=fusable)
    def lstm(steps: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
        return tf.zeros((1, steps.shape[1], units))  # its shape; `with_lstms` says what it computes

    first = tf.constant([[[0.0] * width + [CLOSED]]])
    steps = tf.concat([first, tf.pad(sequences, [[0, 0], [0, 0], [0, 1]])], axis=1)
    weights = (layer.cell.kernel, layer.cell.recurrent_kernel, bias)
    return lstm(steps, *(tf.convert_to_tensor(weight) for weight in weights))[:, 1:]


def with_lstms(content: bytes) -> bytes:
    """The .tflite file with the builtin op in place of the custom ones."""
    if OP.encode() not in content:
        return content
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export")
    schema = import_extra("ai_edge_litert.schema_py_generated", "export")
    model = flatbuffer_utils.read_model_from_bytearray(content)
    layers = {
        index: code.customCode.decode().removeprefix(OP)
        for index, code in enumerate(model.operatorCodes)
        if (code.customCode or b"").startswith(OP.encode())
    }
    builtin, *_ = layers
    for graph in model.subgraphs:
        for operator in graph.operators:
            if operator.opcodeIndex in layers:
                graph.tensors[operator.outputs[0]].name = f"{layers[operator.opcodeIndex]}/{LSTM}".encode()
                operator.opcodeIndex = builtin
                _fill(schema, model, graph, operator)
        taken = {index for operator in graph.operators for index in operator.inputs}
        for index, tensor in enumerate(graph.tensors):
            if index not in taken and model.buffers[tensor.buffer].data is not None:
                tensor.buffer = 0  # the weights as they were
    for index in layers:  # of all but the first there is no op any more
        code = model.operatorCodes[index]
        code.customCode, code.version = None, 1
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, LSTM)
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _fill(schema: Any, model: Any, graph: Any, operator: Any) -> None:
    """Gives the op the 24 inputs of the builtin one, for the four of the custom one."""
    steps, *weights = (int(index) for index in operator.inputs)
    stored = [model.buffers[graph.tensors[index].buffer].data for index in weights]
    units = graph.tensors[operator.outputs[0]].shape[-1]
    kernel, recurrent, bias = (np.frombuffer(bytes(data), "<f4") for data in stored)
    kernel = kernel.reshape(-1, GATES, units)
    # Closes the input, forget and output gates where the first step has `CLOSED`. As large as the largest weight, so
    # that eight bits keep the others as exact as without it.
    closing = np.zeros((1, GATES, units), "<f4")
    closing[:, [0, 1, 3]] = -max(np.abs(kernel).max(), 1e-2)
    kernel = np.concatenate([kernel, closing])
    name = graph.tensors[operator.outputs[0]].name.decode()

    def added(what: str, values: np.ndarray | None, shape: tuple[int, ...]) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = f"{name}/{what}".encode(), list(shape)
        tensor.type, tensor.buffer = schema.TensorType.FLOAT32, 0
        if values is None:
            tensor.isVariable = True
        else:
            tensor.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.ascontiguousarray(values, "<f4").view(np.uint8).reshape(-1)
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    gates = ("input", "forget", "cell", "output")
    of_input = [added(f"{gate}_kernel", kernel[:, i].T, kernel[:, i].T.shape) for i, gate in enumerate(gates)]
    square = recurrent.reshape(units, GATES, units)
    of_state = [added(f"{gate}_recurrent", square[:, i].T, (units, units)) for i, gate in enumerate(gates)]
    biases = [added(f"{gate}_bias", bias.reshape(GATES, units)[i], (units,)) for i, gate in enumerate(gates)]
    states = [added(what, None, (1, units)) for what in ("hidden", "memory")]
    peepholes, projection, norms = [-1] * 3, [-1] * 2, [-1] * 4
    operator.inputs = [steps, *of_input, *of_state, *peepholes, *biases, *projection, *states, *norms]
    operator.customOptions = None
    operator.builtinOptionsType = schema.BuiltinOptions.UnidirectionalSequenceLSTMOptions
    operator.builtinOptions = schema.UnidirectionalSequenceLSTMOptionsT()
    operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.TANH
    operator.builtinOptions.asymmetricQuantizeInputs = True
