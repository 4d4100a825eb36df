"""Layers that work on spectra, and what of them stays out of int8."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_lmf.quantization.half import beyond_float16, in_half

# Scopes as the modules that trace them name them, which import Keras and so are not imported here.
FILTERS = "mel_filters"  # `layers.mel_spectrogram`
INPUT_PRODUCT, RECURRENT_PRODUCT = "input_product", "recurrent_product"  # `export.loops`


@dataclass(frozen=True)
class Spectral:
    """Names of the layers that work on spectra.

    Attributes:
        layers: from waveforms to spectra.
        power_readers: recurrent layers that take a spectrum in power, no logarithm between.
    """

    layers: tuple[str, ...] = ()
    power_readers: tuple[str, ...] = ()


NO_SPECTRA = Spectral()


def keep_spectra(rules: Any, spectral: Spectral) -> None:
    """Later rules win: spectra span more decades than eight bits have steps, so of weights the mel filters are int8.

    What reads power has weights that span decades, too, large ones for bands of little power: its input kernel is
    float16 (`with_half_kernels`). Its recurrent kernel is int8, on float32 states.
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


def with_half_kernels(model: Any, spectral: Spectral) -> Any:
    """The model, with the input kernels of power readers in float16.

    int8 with a scale per band, or per band and unit, adds far more error than float16, which adds next to none.
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
        if data is None:  # of a layer's second call it is float16 already
            continue
        values = np.frombuffer(bytes(data), "<f4")
        if not beyond_float16(values):
            added.append(in_half(model, graph, operator.inputs[1], values))
    graph.operators = [*added, *graph.operators]
    return model


def _layer(name: str) -> str:
    return rf"/{re.escape(name)}(_\d+)?/"
