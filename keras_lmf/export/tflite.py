"""The formats that are .tflite files: float32, float16, dynamic, int8, int16.

Each takes one row at a time, uses TensorFlow Lite's builtin ops only, and has inputs and outputs named as the model's.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from keras_lmf.backend import maker, nested_layers
from keras_lmf.errors import LMFError, import_extra
from keras_lmf.export.flatbuffer import with_fills, with_sums
from keras_lmf.export.process import places, run_script
from keras_lmf.export.source import Source
from keras_lmf.layers import MelSpectrogram
from keras_lmf.lazy import Array, blocks, moments
from keras_lmf.operators import Operator, operators
from keras_lmf.quantization import Spectral
from keras_lmf.runtime import open_artifact

CALIBRATION_ROWS = 1000
# What carries a model's weights. An int8 or int16 file must have one of the first two in integers.
INTEGER = ("FULLY_CONNECTED", "CONV_2D")
PRODUCTS = (*INTEGER, "CONV_3D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "BATCH_MATMUL")
_WAYS_OUT = (
    "A loop (an LSTM or GRU) keeps float32 activations beside its int8 weights: build the layer with "
    "unroll=True to have it in int8. CONV_3D has no int8 kernel: fold time into the batch and use 2-D layers. "
    "Products of two computed tensors (attention) are slower and less exact in int8. The first and the last layers "
    "quantise their activations row by row where fixed scales would add over half a percent of noise to the answers."
)


def write_tflite(source: Source, path: Path) -> None:
    """The float32 file."""
    path.write_bytes(with_sums(float32_file(source).read_bytes()))


def write_float16(source: Source, path: Path) -> None:
    """Weights as float16, computed in float32; constants of 63 or fewer numbers stay float32."""
    _quantize("float16", source, path)
    path.write_bytes(with_sums(path.read_bytes()))


def write_dynamic(source: Source, path: Path) -> None:
    """Weights as int8 with a scale per channel; activations are quantised row by row as the file runs."""
    _quantize("dynamic", source, path)


def write_int8(source: Source, path: Path) -> None:
    """Matrix products and convolutions in int8, scaled by `source.calibration`; inputs and outputs float32.

    Where fixed scales would add more than half a percent of noise to the answers, the first products and the last one
    quantise their activations row by row instead (`quantization.int8`).

    Raises:
        LMFError: nothing in the file computes in int8, so that it can't be called so.
    """
    _quantize("int8", source, path)
    _require_integers(source.model, path, "int8")


def write_int16(source: Source, path: Path) -> None:
    """As `write_int8`, with int16 activations; weights are int8.

    Raises:
        LMFError: as `write_int8`.
    """
    _quantize("int16", source, path)
    _require_integers(source.model, path, "int16")


def write_int8_integer(source: Source, path: Path) -> None:
    """As `write_int8`, with int8 inputs and outputs.

    Raises:
        LMFError: as `write_int8`, or an input is not int8.
    """
    _quantize("int8-integer", source, path)
    _require_integers(source.model, path, "int8")
    for name, info in open_artifact(path).inputs.items():
        if info.quantization is None and info.dtype.kind == "f":
            raise LMFError(
                f"Input {name!r} of model {source.model.name!r} stays {info.dtype}, so the file isn't called an "
                f"integer one. Export to 'tflite-int8' instead."
            )


def float32_file(source: Source) -> Path:
    """The float32 TFLite file that all TFLite formats start from: for each `source` it is tried once, also where that
    fails.

    Raises:
        LMFError: the model needs ops that are no builtins (ops and Keras layers are named), the conversion
            fails, crashes or exceeds `source.timeout_seconds`, or the file lost its weights.
    """
    path = source.scratch / "float32" / "model.tflite"
    if path.is_file():
        return path
    refused = path.with_suffix(".txt")
    if refused.is_file():
        raise LMFError(refused.read_text("utf-8"))
    path.parent.mkdir(exist_ok=True)
    try:
        path.write_bytes(with_fills(_converted(source)))
    except LMFError as error:
        refused.write_text(str(error), "utf-8")
        raise
    return path


def _converted(source: Source) -> bytes:
    # Asked first: the conversion takes seconds, and without the interpreter its result couldn't be judged.
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export")
    with tempfile.TemporaryDirectory() as scratch:
        saved_model, path = Path(scratch, "saved_model"), Path(scratch, "model.tflite")
        source.save(saved_model, batch=1)
        _convert(source, saved_model, path)
        open_artifact(path)  # a damaged file is told as such
        content = path.read_bytes()
    # A file that reads its weights from resource variables carries none: it runs, and returns NaN.
    if count := flatbuffer_utils.count_resource_variables(bytearray(content)):
        raise LMFError(
            f"The TFLite file of model {source.model.name!r} came out without {count} of its weights. "
            f"Layers must create their weights with add_weight or as sublayers, so that Keras tracks them."
        )
    return content


def _convert(source: Source, saved_model: Path, path: Path) -> None:
    run_script(
        "convert.py",
        [saved_model],
        path,
        what="The TFLite conversion",
        model=source.model,
        timeout_seconds=source.timeout_seconds,
    )


def notes(source: Source, path: Path, found: list[Operator]) -> list[str]:
    """What a reader of a calibrated file must know: what isn't integers, and inputs that suffer from it."""
    said = []
    spectral = re.compile(
        "|".join(rf"/{re.escape(name)}(_\d+)?/" for name in _spectral(source.model).layers) or "$^"
    )
    left = [
        operator
        for operator in found
        if operator.name in PRODUCTS and not _of_integers(operator) and not spectral.search(operator.scope)
    ]
    if left:
        where = places(source.model, [(operator.name, operator.scope) for operator in left])
        said.append(f"Computed with float32 activations: {where}. {_WAYS_OUT}")
    for name, info in open_artifact(path).inputs.items():
        if info.quantization is None:
            continue
        values = source.calibration[name]
        spread = np.sqrt(moments(lambda values=values: _steps(values))[1])
        coarse = int(((spread > 0) & (spread < info.quantization.scale)).sum())
        if coarse:
            said.append(
                f"Input {name!r} in int8 has steps of {info.quantization.scale:.3g}, which is more than the "
                f"standard deviation of {coarse} of its {len(spread)} features on the calibration rows: they "
                f"are all but lost. Standardise them before the model, or take 'tflite-int8'."
            )
    return said


def _steps(values: Array) -> Iterator[np.ndarray]:
    for _, block in blocks(values):
        yield block.reshape(-1, block.shape[-1]).astype(np.float64)


def _quantize(kind: str, source: Source, path: Path) -> None:
    """Run `quantize.py` on the float32 file."""
    import_extra("litert_quantizer", "export")
    float32 = float32_file(source)
    with tempfile.TemporaryDirectory() as scratch:
        rows = Path(scratch, "rows.npz")
        if source.calibration is not None:
            count = len(next(iter(source.calibration.values())))
            chosen = np.unique(np.linspace(0, count - 1, min(count, CALIBRATION_ROWS)).astype(int))
            np.savez(rows, **{name: values[chosen] for name, values in source.calibration.items()})
        run_script(
            "quantize.py",
            [kind, float32, rows, json.dumps(dataclasses.asdict(_spectral(source.model)))],
            path,
            what=f"The {kind} quantisation",
            model=source.model,
            timeout_seconds=source.timeout_seconds,
        )


def _spectral(model: keras.Model) -> Spectral:
    """The layers of `model` that need spectra in float32 in every format."""
    layers = nested_layers(model)
    readers = [layer for layer in layers if isinstance(layer, keras.layers.RNN)]
    return Spectral(
        layers=tuple(sorted({layer.name for layer in layers if isinstance(layer, MelSpectrogram)})),
        # Of its subclasses, the spectra in decibels, eight bits hold enough.
        power_readers=tuple(
            sorted({layer.name for layer in readers if type(_before(layer)) is MelSpectrogram})
        ),
    )


def _before(layer: keras.layers.Layer) -> keras.Operation | None:
    """What made the layer's input; None of a layer that is called within another."""
    try:
        return maker(layer.input)
    except (AttributeError, ValueError):
        return None


def _of_integers(operator: Operator) -> bool:
    return operator.activations == operator.outputs != "float32"


def _require_integers(model: keras.Model, path: Path, dtype: str) -> None:
    found = operators(path.read_bytes())
    if any(operator.name in INTEGER and _of_integers(operator) for operator in found):
        return
    left = [(operator.name, operator.scope) for operator in found if operator.name in PRODUCTS]
    where = f"These stay float32: {places(model, left)}. {_WAYS_OUT}" if left else "It has no weights."
    raise LMFError(
        f"The {dtype} file of model {model.name!r} has no {' or '.join(INTEGER)} that computes in {dtype}, so it "
        f"isn't called so. {where} Or export to 'tflite-dynamic'."
    )
