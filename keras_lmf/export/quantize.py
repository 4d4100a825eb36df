"""Float32 TFLite to float16, int8 or int16: a script that runs in a process of its own, without TensorFlow.

`quantized.py` starts it through `process.py` as `python -P quantize.py KIND FLOAT32 INPUTS SPECTRAL OUTPUT FAILURE`.
INPUTS is an .npz of calibration rows, by modality (N, …), which the calibrated kinds read; SPECTRAL is JSON, the
fields of `Spectral`. It exits with 0 and OUTPUT written, or with 1 and FAILURE written: JSON with `message` and an
empty list `operators`.
"""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SIGNATURE = "serving_default"
# Scopes as the modules that trace them name them; nothing of ours is imported here.
FILTERS = "mel_filters"  # `layers.mel_spectrogram`
INPUT_PRODUCT, RECURRENT_PRODUCT = "input_product", "recurrent_product"  # `export.loops`
# Below this, a float16 constant's own entry and its DEQUANTIZE op take more bytes than it saves.
LEAST_ELEMENTS = 64
SEARCHED = 2**22  # numbers of an input, at most, that its range is chosen by
# Ops whose constants are weights. Those of other ops (means of a standardisation, for one) keep their digits.
WEIGHTED = {
    *("FULLY_CONNECTED", "BATCH_MATMUL", "GATHER", "EMBEDDING_LOOKUP"),
    *("CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"),
}
# Ops that compute in int8. The others stay float32: standardisation takes features of unlike scales, and the
# fusion multiplies modalities, so that one scale for a whole tensor leaves too few steps to most of it. With
# every op in int8, a trained audio + video model gave another class than Keras in 23 % of the rows, so in 1 %.
# Products of two computed tensors (attention) stay float32, too: int8 adds more error there than anywhere else but in
# the first convolutions of a Whisper encoder, and takes three times as long for the whole file.
PRODUCTS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE")
# What int8 may add to the answers: the mean square of the difference, as a share of the answers' variance over rows.
# Of `whisper-voice`, 0.015 moved 8 % of the validation rows to another class, 0.004 moved 4 %.
NOISE = 0.005
JUDGED = 64  # rows, at most, on which it is measured


@dataclass(frozen=True)
class Spectral:
    """Names of the layers that work on spectra.

    Attributes:
        layers: from waveforms to spectra.
        power_readers: recurrent layers that take a spectrum in power, no logarithm between.
    """

    layers: tuple[str, ...] = ()
    power_readers: tuple[str, ...] = ()


def float16(content: bytes) -> bytes:
    """Weights stored as float16; DEQUANTIZE ops make float32 of them when the file is opened."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(content)
    names = [flatbuffer_utils.opcode_to_name(model, code) for code in range(len(model.operatorCodes))]
    dequantize = _dequantize_code(model)
    for graph in model.subgraphs:
        users: dict[int, set[str | None]] = {}
        for operator in graph.operators:
            for index in operator.inputs:
                users.setdefault(index, set()).add(names[operator.opcodeIndex])
        added = []
        for index, tensor in enumerate(list(graph.tensors)):
            data = model.buffers[tensor.buffer].data
            if tensor.type != schema.TensorType.FLOAT32 or data is None or index not in users:
                continue
            values = np.frombuffer(bytes(data), "<f4")
            if not users[index] <= WEIGHTED or values.size < LEAST_ELEMENTS or _beyond_float16(values):
                continue
            added.append(_dequantized(model, graph, index, values.astype("<f2"), dequantize))
        graph.operators = [*added, *graph.operators]
    return _written(model)


def _dequantize_code(model: Any) -> int:
    """Index of a new entry for DEQUANTIZE of float16."""
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3  # the first with float16
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _dequantized(model: Any, graph: Any, index: int, values: np.ndarray, code: int) -> Any:
    """A new op with this code that makes constant `index` of the graph out of `values`, float16."""
    from ai_edge_litert import schema_py_generated as schema

    tensor = graph.tensors[index]
    stored = copy.copy(tensor)
    stored.type, stored.buffer = schema.TensorType.FLOAT16, len(model.buffers)
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = values.view(np.uint8)
    tensor.buffer, tensor.name = 0, b""  # the name stays with the constant
    operator = schema.OperatorT()
    operator.opcodeIndex = code
    operator.inputs, operator.outputs = [len(graph.tensors)], [index]
    graph.tensors.append(stored)
    return operator


def _beyond_float16(values: np.ndarray) -> bool:
    return bool(np.abs(values).max() > np.finfo(np.float16).max)


def dynamic(content: bytes, spectral: Spectral = Spectral()) -> bytes:
    """int8 weights with a scale per channel; the kernels quantise activations as they go, spectra excepted."""
    from litert_quantizer import qtyping, recipe_manager

    rules = recipe_manager.RecipeManager()
    rules.add_dynamic_config(".*", qtyping.TFLOperationName.ALL_SUPPORTED, num_bits=8)
    _keep_spectra(rules, spectral)
    return _quantized(content, rules, spectral)


def int8(
    content: bytes, inputs: dict[str, np.ndarray], integer_ends: bool, spectral: Spectral = Spectral()
) -> bytes:
    """int8 weights and activations for `PRODUCTS`, by the smallest and largest value of each on `inputs`, which are
    clipped first where int8 ends have too few steps for them (`_within_steps`).

    Where that adds more than `NOISE` to the answers and the ends are float32, the last product and the first one, two,
    four, … (less than half of them) quantise their activations row by row, as those of `dynamic` do, until it no longer
    does. The first ones, as their error goes through all others; the last one, as nothing behind it mends what is
    clipped there: silence, for example, which no calibration row has.

    Loops (recurrent layers that are not unrolled) can't have integer activations: their state would change its
    type from one step to the next. Their weights are int8 all the same.

    Args:
        content: the float32 file.
        inputs: by modality (N, …), the rows to calibrate with.
        integer_ends: whether the model's inputs and outputs are int8, too.
        spectral: layers whose activations stay float32.
    """
    rules = _static(content, 8, integer_ends, spectral)
    if integer_ends:
        inputs = {name: _within_steps(values) for name, values in inputs.items()}
    ranges = _ranges(content, inputs, rules)
    written = _quantized(content, rules, spectral, ranges)
    if integer_ends:  # their steps add most of the error
        return written
    count = len(next(iter(inputs.values())))
    chosen = np.unique(np.linspace(0, count - 1, min(count, JUDGED)).astype(int))
    rows = {name: values[chosen] for name, values in inputs.items()}
    expected, products, moved = _answers(content, rows), _products(content, rules), 0
    most = (len(products) - 1) // 2
    while _noise(expected, _answers(written, rows)) > NOISE and max(1, 2 * moved) <= most:
        moved = max(1, 2 * moved)
        for scope, operator in (*products[:moved], products[-1]):
            rules.add_dynamic_config(scope, operator, num_bits=8)
        written = _quantized(content, rules, spectral, ranges)
    return written


def int16(content: bytes, inputs: dict[str, np.ndarray], spectral: Spectral = Spectral()) -> bytes:
    """As `int8`, with int16 activations: 65,535 steps about zero in the place of 256, for every product; weights stay
    int8."""
    rules = _static(content, 16, False, spectral)
    return _quantized(content, rules, spectral, _ranges(content, inputs, rules))


def _static(content: bytes, bits: int, integer_ends: bool, spectral: Spectral) -> Any:
    """The rules: int8 weights and activations of so many bits for `PRODUCTS`."""
    from ai_edge_litert.tools import flatbuffer_utils
    from litert_quantizer import algorithm_manager, qtyping, recipe_manager
    from litert_quantizer.utils import tfl_flatbuffer_utils

    graph, *loops = flatbuffer_utils.read_model_from_bytearray(content).subgraphs
    rules = recipe_manager.RecipeManager()
    rules.add_dynamic_config(".*", qtyping.TFLOperationName.BATCH_MATMUL, num_bits=8)  # where one is a weight
    for name in PRODUCTS:
        rules.add_static_config(".*", getattr(qtyping.TFLOperationName, name), bits, 8)
    # Gates take the sum of both products of a recurrent layer, that before the loop and that in it.
    for scope in (
        f"/{INPUT_PRODUCT}/",
        *(_scope(operator, loop) for loop in loops for operator in loop.operators),
    ):
        no = algorithm_manager.AlgorithmName.NO_QUANTIZE
        rules.add_quantization_config(scope, qtyping.TFLOperationName.ALL_SUPPORTED, algorithm_key=no)
        rules.add_dynamic_config(scope, qtyping.TFLOperationName.FULLY_CONNECTED, num_bits=8)
    _keep_spectra(rules, spectral)
    if integer_ends:
        for end in tfl_flatbuffer_utils.get_subgraph_input_output_operators(graph):
            rules.add_static_config(_scope(end, graph), end.op_key, bits, 8)
    return rules


def _ranges(content: bytes, inputs: dict[str, np.ndarray], rules: Any) -> Any:
    """The smallest and the largest value of every tensor on the rows, as the quantiser takes them."""
    from litert_quantizer import calibrator
    from litert_quantizer.utils import qsv_utils

    # The quantiser's own `calibrate` averages the extremes of the rows, and so clips the loud ones.
    calibration = calibrator.Calibrator(
        content,
        num_threads=1,
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=qsv_utils.min_max_update,
    )
    calibration.calibrate({SIGNATURE: list(_one_by_one(inputs))}, rules)
    return calibration.get_model_qsvs()


def _quantized(content: bytes, rules: Any, spectral: Spectral, ranges: Any = None) -> bytes:
    """The file by these rules; fixed scales need ranges."""
    from ai_edge_litert.tools import flatbuffer_utils
    from litert_quantizer import quantizer

    quantized = quantizer.Quantizer(content, rules.get_quantization_recipe()).quantize(
        ranges, enable_progress_report=False
    )
    model = flatbuffer_utils.read_model_from_bytearray(bytes(quantized.quantized_model))
    return _written(_with_half_kernels(model, spectral))


def _products(content: bytes, rules: Any) -> list[tuple[str, Any]]:
    """Scope and op of what the rules compute with fixed scales, in the order of the main graph."""
    from ai_edge_litert.tools import flatbuffer_utils
    from litert_quantizer.utils import tfl_flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(content)
    graph, found = model.subgraphs[0], []
    for operator in graph.operators:
        key = tfl_flatbuffer_utils.TFL_OP_CODE_TO_NAME.get(
            model.operatorCodes[operator.opcodeIndex].builtinCode
        )
        if key is None:
            continue
        _, config = rules.get_quantization_configs(
            key, tfl_flatbuffer_utils.get_op_scope(operator, graph.tensors)
        )
        if config is not None and config.activation_tensor_config is not None:
            found.append((_scope(operator, graph), key))
    return found


def _one_by_one(inputs: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    for row in range(len(next(iter(inputs.values())))):
        yield {name: values[row : row + 1] for name, values in inputs.items()}


def _answers(content: bytes, rows: dict[str, np.ndarray]) -> np.ndarray:
    """What a file with float32 ends answers, (N, numbers of all its outputs)."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner(SIGNATURE)
    answers = (sorted(runner(**row).items()) for row in _one_by_one(rows))
    return np.stack([np.concatenate([values.ravel() for _, values in answer]) for answer in answers])


def _noise(expected: np.ndarray, found: np.ndarray) -> float:
    """The mean square of the difference as a share of the variance over the rows; 0 where there is none."""
    variance = expected.var(axis=0, dtype=np.float64).mean()
    return float(np.mean(np.square(found - expected, dtype=np.float64)) / variance) if variance else 0.0


def _within_steps(values: np.ndarray) -> np.ndarray:
    """The rows, clipped where the 256 steps of an int8 input then lose least.

    Features of an input share one scale, and models standardise each: so what counts is the mean squared error as a
    share of the feature's variance. One feature a hundred times larger than the others would leave them no steps.
    """
    rows = values.reshape(-1, values.shape[-1])
    rows = rows[:: max(1, rows.size // SEARCHED)]
    rows = rows[rows.any(axis=1)]  # masked steps are zeros
    variance = rows.var(axis=0) if len(rows) else np.zeros(1)
    if not variance.any():
        return values
    rows, variance = rows[:, variance > 0], variance[variance > 0]

    def error(limit: float) -> float:
        step = limit / 127
        return float(np.mean((np.clip(np.round(rows / step), -128, 127) * step - rows) ** 2 / variance))

    largest = float(np.abs(values).max())
    limit = min((largest * 2 ** (-halvings / 2) for halvings in range(24)), key=error)
    return np.clip(values, -limit, limit)


def _keep_spectra(rules: Any, spectral: Spectral) -> None:
    """Later rules win: spectra span more decades than eight bits have steps, so of weights the mel filters are int8.

    What reads power has weights that span decades, too, large ones for bands of little power: its input kernel is
    float16 (`_with_half_kernels`). Its recurrent kernel is int8, on float32 states.
    """
    from litert_quantizer import algorithm_manager, qtyping

    product, every = qtyping.TFLOperationName.FULLY_CONNECTED, qtyping.TFLOperationName.ALL_SUPPORTED
    no = algorithm_manager.AlgorithmName.NO_QUANTIZE
    for name in spectral.layers:
        scope = _layer(name)
        rules.add_quantization_config(scope, every, algorithm_key=no)
        rules.add_weight_only_config(f"{scope}.*{FILTERS}/", product, num_bits=8)
    for name in spectral.power_readers:
        scope = _layer(name)
        rules.add_weight_only_config(scope, product, num_bits=8)
        # In Keras's own loop, a cell's first product is that with its input.
        inputs = rf"{scope}(.*{INPUT_PRODUCT}/|(?!.*{RECURRENT_PRODUCT}/).*/MatMul(?!_))"
        rules.add_quantization_config(inputs, every, algorithm_key=no)


def _with_half_kernels(model: Any, spectral: Spectral) -> Any:
    """The model, with the input kernels of power readers in float16.

    int8 with a scale per band, or per band and unit, doubles or triples the file's error; float16 leaves it as it is.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    (graph, *_), added = model.subgraphs, []
    readers = [re.compile(rf"{_layer(name)}.*{INPUT_PRODUCT}/") for name in spectral.power_readers]
    for operator in graph.operators:
        scope = graph.tensors[operator.outputs[0]].name.decode()
        name = flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex)
        if name != "FULLY_CONNECTED" or not any(reader.search(scope) for reader in readers):
            continue
        data = model.buffers[graph.tensors[operator.inputs[1]].buffer].data
        values = np.frombuffer(bytes(data or b""), "<f4")  # none: of a layer's second call it is float16
        if values.size and not _beyond_float16(values):
            code = _dequantize_code(model)
            added.append(_dequantized(model, graph, operator.inputs[1], values.astype("<f2"), code))
    graph.operators = [*added, *graph.operators]
    return model


def _layer(name: str) -> str:
    return rf"/{re.escape(name)}(_\d+)?/"


def _scope(operator: Any, graph: Any) -> str:
    """The rule that fits this op of `graph` alone: the quantiser goes by the names of an op's outputs."""
    from litert_quantizer.utils import tfl_flatbuffer_utils

    return f"^{re.escape(tfl_flatbuffer_utils.get_op_scope(operator, graph.tensors))}$"


def _written(model: Any) -> bytes:
    """The file, without the numbers of tensors that have others now."""
    from ai_edge_litert.tools import flatbuffer_utils

    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def main(kind: str, float32: str, inputs: str, spectral: str, output: str, failure: str) -> int:
    layers = Spectral(**{name: tuple(names) for name, names in json.loads(spectral).items()})
    try:
        content = Path(float32).read_bytes()
        if kind == "float16":
            content = float16(content)
        elif kind == "dynamic":
            content = dynamic(content, layers)
        elif kind == "int16":
            content = int16(content, dict(np.load(inputs)), layers)
        else:
            content = int8(content, dict(np.load(inputs)), kind == "int8-integer", layers)
    except Exception as error:
        message = {"message": str(error) or type(error).__name__, "operators": []}
        Path(failure).write_text(json.dumps(message), encoding="utf-8")
        return 1
    Path(output).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
