"""Weights and activations stored as integers, by rules of the quantiser: the later of two that fit an op wins."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from keras_lmf.quantization.calibration import answers_of, noise, ranges_of, within_steps
from keras_lmf.quantization.file import file_of
from keras_lmf.quantization.spectra import (
    INPUT_PRODUCT,
    NO_SPECTRA,
    Spectral,
    keep_spectra,
    with_half_kernels,
)

# Ops that compute in int8. The others stay float32: standardisation takes features of unlike scales, and the
# fusion multiplies modalities, so that one scale for a whole tensor leaves too few steps to most of it. Products of
# two computed tensors (attention) stay float32, too: int8 adds more error there than anywhere else but in the first
# convolutions of a Whisper encoder, and makes the file slower.
PRODUCTS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE")
# What int8 may add to the answers: the mean square of the difference, as a share of the answers' variance over rows.
# Chosen on validation rows of `whisper-voice`: more of it moves too many of them to another class.
NOISE = 0.005
JUDGED = 64  # rows, at most, on which it is measured


def dynamic(content: bytes, spectral: Spectral = NO_SPECTRA) -> bytes:
    """int8 weights with a scale per channel; the kernels quantise activations as they go, spectra excepted."""
    from litert_quantizer import qtyping, recipe_manager

    rules = recipe_manager.RecipeManager()
    rules.add_dynamic_config(".*", qtyping.TFLOperationName.ALL_SUPPORTED, num_bits=8)
    keep_spectra(rules, spectral)
    return _quantized(content, rules, spectral)


def int8(
    content: bytes, inputs: dict[str, np.ndarray], integer_ends: bool, spectral: Spectral = NO_SPECTRA
) -> bytes:
    """int8 weights and activations for `PRODUCTS`, by the smallest and largest value of each on `inputs`, which are
    clipped first where int8 ends have too few steps for them (`within_steps`).

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
        inputs = {
            name: within_steps(values) if values.dtype.kind == "f" else values  # token ids stay integers
            for name, values in inputs.items()
        }
    ranges = ranges_of(content, inputs, rules)
    written = _quantized(content, rules, spectral, ranges)
    if integer_ends:  # their steps add most of the error
        return written
    count = len(next(iter(inputs.values())))
    chosen = np.unique(np.linspace(0, count - 1, min(count, JUDGED)).astype(int))
    rows = {name: values[chosen] for name, values in inputs.items()}
    expected, products, moved = answers_of(content, rows), _products(content, rules), 0
    most = (len(products) - 1) // 2
    while noise(expected, answers_of(written, rows)) > NOISE and max(1, 2 * moved) <= most:
        moved = max(1, 2 * moved)
        for scope, operator in (*products[:moved], products[-1]):
            rules.add_dynamic_config(scope, operator, num_bits=8)
        written = _quantized(content, rules, spectral, ranges)
    return written


def int16(content: bytes, inputs: dict[str, np.ndarray], spectral: Spectral = NO_SPECTRA) -> bytes:
    """As `int8`, with int16 activations: 65,535 steps about zero in the place of 256, for every product; weights stay
    int8."""
    rules = _static(content, 16, False, spectral)
    return _quantized(content, rules, spectral, ranges_of(content, inputs, rules))


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
    keep_spectra(rules, spectral)
    if integer_ends:
        for end in tfl_flatbuffer_utils.get_subgraph_input_output_operators(graph):
            rules.add_static_config(_scope(end, graph), end.op_key, bits, 8)
    return rules


def _quantized(content: bytes, rules: Any, spectral: Spectral, ranges: Any = None) -> bytes:
    """The file by these rules; fixed scales need ranges."""
    from ai_edge_litert.tools import flatbuffer_utils
    from litert_quantizer import quantizer

    quantized = quantizer.Quantizer(content, rules.get_quantization_recipe()).quantize(
        ranges, enable_progress_report=False
    )
    model = flatbuffer_utils.read_model_from_bytearray(bytes(quantized.quantized_model))
    return file_of(with_half_kernels(model, spectral))


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


def _scope(operator: Any, graph: Any) -> str:
    """The rule that fits this op of `graph` alone: the quantiser goes by the names of an op's outputs."""
    from litert_quantizer.utils import tfl_flatbuffer_utils

    return f"^{re.escape(tfl_flatbuffer_utils.get_op_scope(operator, graph.tensors))}$"
