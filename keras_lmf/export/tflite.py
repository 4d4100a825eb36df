"""The format "tflite": one float32 file for one row at a time, in TensorFlow Lite's builtin ops."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import keras

from keras_lmf.errors import LMFError
from keras_lmf.export.source import Source
from keras_lmf.runtime import import_extra, open_artifact

CONVERTER = Path(__file__).with_name("convert.py")


def write_tflite(source: Source, path: Path) -> None:
    """Write the float32 TFLite file `path`; inputs are named as the modalities, outputs as the targets.

    Raises:
        LMFError: the model needs ops that are no builtins (ops and Keras layers are named), the conversion
            fails, crashes or exceeds `source.timeout_seconds`, or the file lost its weights.
    """
    # Asked first: the conversion takes seconds, and without the interpreter its result couldn't be judged.
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export")
    with tempfile.TemporaryDirectory() as scratch:
        source.save(Path(scratch, "saved_model"), batch=1)
        _convert(source, Path(scratch, "saved_model"), path, Path(scratch, "failure.json"))
    open_artifact(path)  # a damaged file is told as such
    # A file that reads its weights from resource variables carries none: it runs, and returns NaN.
    if count := flatbuffer_utils.count_resource_variables(bytearray(path.read_bytes())):
        raise LMFError(
            f"The TFLite file of model {source.model.name!r} came out without {count} of its weights. Layers "
            f"must create their weights with add_weight or as sublayers, so that Keras tracks them."
        )


def _convert(source: Source, saved_model: Path, path: Path, failure: Path) -> None:
    """Run `convert.py` in a process of its own, which never outlives this call."""
    # Conversion needs no GPU; TensorFlow's log is captured, and only its errors are asked for.
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    # -P: modules beside the script, or in the working folder, must not hide TensorFlow's own.
    command = [sys.executable, "-P", str(CONVERTER), str(saved_model), str(path), str(failure)]
    what = f"The TFLite conversion of model {source.model.name!r}"
    try:
        # `run` kills the process on time-out and on any exception here, Ctrl-C included.
        process = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=source.timeout_seconds
        )
    except subprocess.TimeoutExpired as error:
        raise LMFError(
            f"{what} was stopped after {source.timeout_seconds:g} seconds. Raise timeout_seconds, or make "
            f"the model smaller (unrolled recurrent layers convert slowly)."
        ) from error
    if process.returncode == 0 and path.is_file():
        return
    if not failure.is_file():
        code = process.returncode
        cause = f"crashed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
        raise LMFError(f"{what} {cause}. Its last words: {_tail(process.stderr)}")
    report = json.loads(failure.read_text(encoding="utf-8"))
    if report["operators"]:
        raise LMFError(f"{what} needs {_places(source.model, report['operators'])}.\n{_WAY_OUT}")
    raise LMFError(f"{what} failed: {_cause(report['message'])}")


_WAY_OUT = (
    "TensorFlow Lite has no builtin for this, and the Flex library that has it is in no stock interpreter. "
    "Express these layers with other keras.ops functions, or export to 'saved_model' only."
)


def _places(model: keras.Model, operators: list[tuple[str, str]]) -> str:
    """The ops that are no builtins, each with the layers it comes from."""
    layers = {layer.name: type(layer).__name__ for layer in model._flatten_layers(include_self=False)}
    places: dict[str, list[str]] = {}
    for operator, scope in operators:
        found = places.setdefault(operator, [])
        # The deepest part of "model_1/backbone_1/layer_1/Op" that is a layer; tracing adds the numbers.
        names = [re.sub(r"_\d+$", "", part) for part in scope.split("/")]
        names = [short if short in layers else part for short, part in zip(names, scope.split("/"))]
        layer = next((name for name in reversed(names) if name in layers), None)
        place = f"layer {layer!r} ({layers[layer]})" if layer else f"scope {scope!r}"
        if place not in found:
            found.append(place)
    return "; ".join(f"op {operator} in {', '.join(found)}" for operator, found in places.items())


def _cause(message: str) -> str:
    """The converter's reason, without the MLIR locations and the module dump around it."""
    errors = re.findall(r"error: (?!loc\()(.+)", message)
    return (errors[0] if errors else message.strip().splitlines()[0])[:500]


def _tail(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-500:] or "none"
